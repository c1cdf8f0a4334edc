// What a plugin answers to Get, Mount, Activate and Capabilities, as values.
import { badAnswer } from "./answer-reader.ts";
import { asObject, field, type JsonObject, textField } from "./fields.ts";

/** What Get says of a volume. */
export interface AnsweredVolume {
  /** As the plugin says it; "" when it says none. */
  readonly mountpoint: string;
  /** Milliseconds since the epoch; 0 when it says none. */
  readonly createdAtMs: number;
  /** Whatever the plugin likes to tell people; undefined: nothing. */
  readonly status: JsonObject | undefined;
}

const timePattern =
  /^(\d{4})-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:[.,]\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;
/** Go's zero time: nobody said when. */
const NEVER_YEAR = "0001";

/** RFC 3339 in milliseconds since the epoch, 0 for Go's zero time; undefined: it is none. */
export function parseTimeMs(text: string): number | undefined {
  const [, year] = timePattern.exec(text) ?? [];
  if (year === undefined) return undefined;
  // Only three digits of a second are of interest, and not every parser takes nine.
  const timeMs = Date.parse(text.replace(/[.,](\d{1,3})\d*/, ".$1"));
  if (Number.isNaN(timeMs)) return undefined;
  return year === NEVER_YEAR ? 0 : timeMs;
}

/**
 * undefined: neither a volume nor an error, which in Docker's protocol means that there is none.
 * Throws `plugin.failed` for wrong types, a time that is none, and somebody else's volume.
 */
export function readVolume(answer: JsonObject, name: string): AnsweredVolume | undefined {
  const value = field(answer, "Volume");
  if (value === undefined) return undefined;
  const volume = asObject(value, "Volume in the answer");
  const answered = textField(volume, "Name");
  // Docker takes a volume without a name for the one that was asked for.
  if (answered !== "" && answered !== name) {
    throw badAnswer(`the answer is about the volume ${JSON.stringify(answered.slice(0, 255))}`);
  }
  const createdAt = textField(volume, "CreatedAt");
  const createdAtMs = createdAt === "" ? 0 : parseTimeMs(createdAt);
  if (createdAtMs === undefined) {
    throw badAnswer(
      `CreatedAt in the answer is no time: ${JSON.stringify(createdAt.slice(0, 64))}`,
    );
  }
  const status = asObject(field(volume, "Status"), "Status in the answer");
  return {
    mountpoint: textField(volume, "Mountpoint"),
    createdAtMs,
    status: Object.keys(status).length === 0 ? undefined : status,
  };
}

/** Linux's PATH_MAX: no call takes a longer one. */
const PATH_BYTES_MAX = 4096;

/** Whether it is an absolute path, as far as that can be seen. */
export function isPath(text: string): boolean {
  return text.startsWith("/") && !text.includes("\0") && Buffer.byteLength(text) < PATH_BYTES_MAX;
}

/** Where the data is, by the plugin's own file system. Throws `plugin.failed` for no such path. */
export function readMountpoint(answer: JsonObject): string {
  const path = textField(answer, "Mountpoint");
  if (path === "") throw badAnswer("Mountpoint in the answer is empty");
  if (!isPath(path)) {
    throw badAnswer(`Mountpoint in the answer is no absolute path: ${path.slice(0, 255)}`);
  }
  return path;
}

/** Whether what answers is a volume driver. Throws `plugin.failed` for wrong types. */
export function readsAsVolumeDriver(answer: JsonObject): boolean {
  const implemented = field(answer, "Implements") ?? [];
  if (!Array.isArray(implemented)) throw badAnswer("Implements in the answer is no list");
  return implemented.includes("VolumeDriver");
}

/** "local" for whatever is not "global", in whichever case. Throws `plugin.failed`. */
export function readScope(answer: JsonObject): "local" | "global" {
  const capabilities = asObject(field(answer, "Capabilities"), "Capabilities in the answer");
  return textField(capabilities, "Scope").toLowerCase() === "global" ? "global" : "local";
}
