// The lines of Docker's progress streams, one JSON object each, as Go's streamformatter has them.
import type { PluginProgress } from "../../core/plugin.ts";
import { goJson } from "./answers.ts";

/** moby ends the lines of these streams so, and no others. */
const LINE_END = "\r\n";
const BAR_CHARACTERS = 50;
/** Go's `%8v` around a size. */
const SIZE_CHARACTERS = 8;
const UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];

/** One line, with its end. Keys in the order of Go's JSONMessage, without what is empty. */
export function progressLine(progress: PluginProgress): string {
  const { status, id, current, total, aux, isOfLayer = false } = progress;
  const text = progressText(current ?? 0, total ?? 0);
  const hasDetail = isOfLayer || aux !== undefined || text !== "";
  return line({
    ...(status === "" ? {} : { status }),
    ...(hasDetail ? { progressDetail: figures(current ?? 0, total ?? 0) } : {}),
    ...(text === "" ? {} : { progress: text }),
    ...(id === undefined || id === "" ? {} : { id }),
    ...(aux === undefined ? {} : { aux: { Tag: aux.tag, Digest: aux.digest, Size: aux.size } }),
  });
}

/** The line of a failure after the answer has begun with 200. */
export function failureLine(message: string): string {
  return line({ errorDetail: { message }, error: message });
}

/** `[==>   ] 1.2MB/3MB`, for terminals: a bar of 50 and the bytes; "" for nothing of nothing. */
export function progressText(current: number, total: number): string {
  if (current <= 0 && total <= 0) return "";
  const size = sizeText(current).padStart(SIZE_CHARACTERS);
  if (total <= 0) return size;
  const done = Math.min(Math.floor(Math.floor((current / total) * 100) / 2), BAR_CHARACTERS);
  const bar = `[${"=".repeat(done)}>${" ".repeat(BAR_CHARACTERS - done)}]`;
  // More than the whole is no figure to show beside it.
  return `${bar} ${size}${current > total ? "" : `/${sizeText(total)}`}`;
}

/** go-units' HumanSize: four digits, powers of 1000. */
function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1_000 && unit < UNITS.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  return `${Number(value.toPrecision(4))}${UNITS[unit]}`;
}

function figures(current: number, total: number): object {
  return { ...(current > 0 ? { current } : {}), ...(total > 0 ? { total } : {}) };
}

const htmlSpelling: Readonly<Record<string, string>> = {
  "<": "\\u003c",
  ">": "\\u003e",
  "&": "\\u0026",
};

/** Unlike the rest of its API, moby encodes these for HTML. */
function line(value: object): string {
  const json = goJson(value).replace(/[<>&]/g, (character) => htmlSpelling[character] ?? character);
  return `${json}${LINE_END}`;
}
