// What is written down of a remote volume on this host: `volume.json` in its directory.
import type { DriverOptions, VolumeRecord } from "../core/driver.ts";
import { EngineError, isErrno, storageError } from "../core/errors.ts";
import type { VolumeName } from "../core/names.ts";
import type { Place } from "./layout.ts";
import { readBounded, writeWhole } from "./whole-files.ts";

const FILE = "volume.json";
const FORMAT = 1;

export interface StoredVolume {
  readonly options: DriverOptions;
  /** Milliseconds since the epoch. */
  readonly createdAtMs: number;
  readonly origin: VolumeRecord["origin"];
  /** Random; it stays over renames, updates and the trash. */
  readonly identity: string;
  /** What its mark on the server says; null: we made nothing there. */
  readonly mark: string | null;
  /** Its subpath is known to be there: a test or a mount has seen it. */
  readonly isPrepared: boolean;
}

/** The contract's record of it. */
export function recordOf(name: VolumeName, stored: StoredVolume, { data }: Place): VolumeRecord {
  const { options, createdAtMs, origin, identity } = stored;
  return { name, options, createdAtMs, origin, identity, mountpoint: data };
}

/**
 * The record in a volume's directory; undefined: there is none. Throws `storage.failed` when it
 * cannot be read, or says nothing.
 */
export function readStored({ directory }: Place): StoredVolume | undefined {
  const file = `${directory}/${FILE}`;
  try {
    return parseStored(JSON.parse(readBounded(file)));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw storageError(error, `reading ${file}`);
  }
}

/** Writes it beside the old one and moves it into its place: durable. Throws `storage.*`. */
export function writeStored({ directory }: Place, stored: StoredVolume): void {
  writeWhole(`${directory}/${FILE}`, JSON.stringify({ format: FORMAT, ...stored }, null, 1));
}

function parseStored(value: unknown): StoredVolume {
  const file = objectOf(value, "it is no object");
  const { format, options, createdAtMs, origin, identity, mark, isPrepared } = file;
  if (format !== FORMAT) {
    throw new EngineError("state.too_new", `a record of format ${String(format)} is not known`);
  }
  if (typeof createdAtMs !== "number" || typeof identity !== "string" || identity === "") {
    throw new Error("it is not whole");
  }
  return {
    options: stringsOf(objectOf(options, "it has no options")),
    createdAtMs,
    origin: origin === "made" ? "made" : "adopted",
    identity,
    mark: typeof mark === "string" ? mark : null,
    isPrepared: isPrepared === true,
  };
}

function objectOf(value: unknown, otherwise: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null) throw new Error(otherwise);
  return { ...value };
}

/** Options as they stand in JSON. */
export function stringsOf(object: Record<string, unknown>): DriverOptions {
  return Object.fromEntries(Object.entries(object).map(([key, text]) => [key, String(text)]));
}

/** Whether two sets of options are the same. */
export function sameOptions(one: DriverOptions, other: DriverOptions): boolean {
  return differingOption(one, other) === undefined;
}

/** An option of which they have different values; undefined: none. */
export function differingOption(one: DriverOptions, other: DriverOptions): string | undefined {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...names].find((name) => one[name] !== other[name]);
}
