// What is said about one volume: how much a client may say, and what a new one has not been told.
import { EngineError } from "../core/errors.ts";
import type { VolumeName } from "../core/names.ts";
import { DESCRIPTION_BYTES_MAX } from "../core/state-store.ts";

/** What nobody has said yet of a volume that is new to us, and what has not happened to it. */
export const unsaid = { lastUse: null, note: null, protection: null } as const;

/** Longest reason and note, in characters. */
const LINE_LENGTH_MAX = 1_000;

type Texts = Readonly<Record<string, string>> | null;

/**
 * Throws `request.invalid` when labels and options together, as JSON in UTF-8, take more than
 * `DESCRIPTION_BYTES_MAX`; it names the larger of the two.
 */
export function checkDescription(name: VolumeName, said: { labels: Texts; options: Texts }): void {
  const labelBytes = bytesOf(said.labels);
  const optionBytes = bytesOf(said.options);
  const bytes = labelBytes + optionBytes;
  if (bytes <= DESCRIPTION_BYTES_MAX) return;
  const field = labelBytes >= optionBytes ? "Labels" : "DriverOpts";
  throw new EngineError(
    "request.invalid",
    `${field} of volume ${name} are too long: labels and driver options take ${bytes} bytes as ` +
      `JSON, at most ${DESCRIPTION_BYTES_MAX} are allowed`,
    { details: { field, bytes, bytesMax: DESCRIPTION_BYTES_MAX } },
  );
}

function bytesOf(texts: Texts): number {
  return texts === null ? 0 : Buffer.byteLength(JSON.stringify(texts));
}

/** Throws `request.invalid` unless a text is one line of 1 to `LINE_LENGTH_MAX` characters. */
export function checkLine(field: string, text: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
  const isLine = !/[\u0000-\u001f\u007f\u0085\u2028\u2029]/.test(text) && text.trim() !== "";
  if (isLine && text.length <= LINE_LENGTH_MAX) return;
  throw new EngineError(
    "request.invalid",
    `${field}: one line of 1 to ${LINE_LENGTH_MAX} characters is needed`,
    { details: { field, length: text.length } },
  );
}
