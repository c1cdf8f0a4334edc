// What registries say: bounded answers, JSON that may be anything, refusals with their reasons.
import type { ErrorCode } from "../../core/error-table.ts";
import { EngineError } from "../../core/errors.ts";
import type { Answer } from "./exchange.ts";
import { printable, silence } from "./failures.ts";
import { REFUSAL_BYTES_MAX, REFUSAL_CHARACTERS_MAX } from "./limits.ts";

/** How much an answer may be, and how long it may take from here. */
export interface AnswerBounds {
  readonly bytesMax: number;
  readonly answerMs: number;
}

/** The whole body. Throws `registry.failed` when it is longer, `registry.unreachable`. */
export async function readWhole(answer: Answer, bounds: AnswerBounds): Promise<Uint8Array> {
  const { bytesMax, answerMs } = bounds;
  if (Number(answer.header("content-length") ?? 0) > bytesMax) {
    answer.close();
    throw tooLong(answer, bytesMax);
  }
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    answer.close();
  }, answerMs);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of answer.body()) {
      bytes += chunk.byteLength;
      if (bytes > bytesMax) throw tooLong(answer, bytesMax);
      chunks.push(chunk);
    }
  } catch (error) {
    if (isLate) throw silence({ method: "GET", url: answer.url, isConnecting: false });
    throw error;
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks);
}

/** JSON of a stranger; undefined: it is none. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return parsed;
  } catch {
    return undefined;
  }
}

/** A member of an object of a stranger. */
export function member(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return Reflect.get(value, name);
}

/**
 * An answer that is no success as an error, with the registry's own words: `registry.denied`,
 * `registry.not_found`, `registry.failed`. `hide` takes secrets out of them.
 */
export async function refusal(
  answer: Answer,
  { hide, answerMs }: { readonly hide: (text: string) => string; readonly answerMs: number },
): Promise<EngineError> {
  const { status, url } = answer;
  const bounds = { bytesMax: REFUSAL_BYTES_MAX, answerMs };
  const bytes = await readWhole(answer, bounds).catch(() => new Uint8Array());
  const words = oneLine(hide(wordsOf(parseJson(bytes))));
  return new EngineError(codeOf(status), textOf(status, url, words), {
    details: { status, host: url.host, words },
  });
}

function codeOf(status: number): ErrorCode {
  if (status === 401 || status === 403) return "registry.denied";
  return status === 404 ? "registry.not_found" : "registry.failed";
}

function textOf(status: number, url: URL, words: string): string {
  if (status === 401 || status === 403) {
    const said = words === "" ? "authorization failed" : words;
    return (
      "access denied, repository does not exist or may require authorization: server message: " +
      said
    );
  }
  const shown = `unexpected status ${status} from ${printable(url)}`;
  return words === "" ? shown : `${shown}: ${words}`;
}

/** `{"errors": [{"code", "message"}]}` of registries, `{"details"}` or `{"error"}` of others. */
function wordsOf(parsed: unknown): string {
  const errors = member(parsed, "errors");
  const all = Array.isArray(errors) ? errors.slice(0, 3) : [];
  const texts = all.map((one) => {
    const code = member(one, "code");
    const spelled = isText(code) ? code.replaceAll("_", " ").toLowerCase() : undefined;
    return [spelled, member(one, "message")].filter(isText).join(": ");
  });
  if (texts.length > 0) return texts.join("; ");
  const single = ["details", "error_description", "error", "message"].map((name) =>
    member(parsed, name),
  );
  return single.find(isText) ?? "";
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

/** Something for a message: printable, on one line, not endless. */
function oneLine(text: string): string {
  const line = text.replace(/[\p{C}\s]+/gu, " ").trim();
  return line.length > REFUSAL_CHARACTERS_MAX ? `${line.slice(0, REFUSAL_CHARACTERS_MAX)}…` : line;
}

function tooLong({ url }: Answer, bytesMax: number): EngineError {
  return new EngineError(
    "registry.failed",
    `the answer of ${printable(url)} is longer than ${bytesMax} bytes`,
    { details: { host: url.host } },
  );
}
