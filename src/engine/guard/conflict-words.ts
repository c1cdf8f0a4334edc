// How two writers of one file are written down, in one line that can be read back.
import { printableLine } from "../../core/printable.ts";
import { LINE_LENGTH_MAX } from "../../core/state-store.ts";

/** Instead of a path: the file was removed before it could be looked up. */
export const GONE_FILE = "(gone)";

/** What is said of each conflict. */
export const CONFLICT_WORDS = "both wrote it within 2 s";

/** What no conflict is found in: the guard sees the writes of containers through their mounts. */
export const blindSpots = [
  "writes through memory maps (mmap)",
  "truncating, renaming and removing: only what is written counts",
  "other hosts that have the same storage",
  "whoever writes by another way than a container's mount of the volume: processes of this host, " +
    "a bind mount of its directory, docker cp",
] as const;

/** As many as Docker shows of an id. */
const ID_CHARACTERS = 12;

/** Longest name of a container that is written down; engines refuse longer ones. */
const NAME_LENGTH_MAX = 128;

/** A container that wrote, as people know it. */
export interface NamedWriter {
  /** The beginning of its id, 12 hex digits; "": not known. Names are used again, ids are not. */
  readonly container: string;
  readonly name: string;
  /** "": it was gone when it was looked at. */
  readonly program: string;
}

export interface WrittenConflict {
  /** From the volume's root, as `/index/segments_7`, in printable characters; or `GONE_FILE`. */
  readonly file: string;
  readonly writers: readonly [NamedWriter, NamedWriter];
}

/** `FILE: NAME@ID (PROGRAM), NAME@ID (PROGRAM)`, at most `LINE_LENGTH_MAX` characters. */
export function conflictLine({ file, writers }: WrittenConflict): string {
  const who = writers.map(lineWriter).join(", ");
  const lengthMax = LINE_LENGTH_MAX - who.length - ": ".length;
  const shown = file.length > lengthMax ? `${file.slice(0, lengthMax - 1)}…` : file;
  return `${shown}: ${who}`;
}

function lineWriter({ container, name, program }: NamedWriter): string {
  return writerText({ name: container === "" ? name : `${name}@${container}`, program });
}

const writer = /([^ (),:@]+)(?:@([0-9a-f]{12}))?(?: \(([^(),:]*)\))?/.source;
const linePattern = new RegExp(`^(.*): ${writer}, ${writer}$`, "s");

/** The way back; undefined: it is no such line. */
export function parseConflictLine(line: string): WrittenConflict | undefined {
  const [, file, ...parts] = linePattern.exec(line) ?? [];
  if (file === undefined) return undefined;
  return { file, writers: [writerIn(parts), writerIn(parts.slice(3))] };
}

function writerIn([name = "", container = "", program = ""]: readonly string[]): NamedWriter {
  return { container, name, program };
}

/** `shop-web-1 (nginx)`, or the name alone. */
export function writerText({ name, program }: Omit<NamedWriter, "container">): string {
  return program === "" ? name : `${name} (${program})`;
}

/** A path as it stands in one line. */
export function fileText(path: string): string {
  return printableLine(path);
}

/**
 * `container`: 64 hex digits. A process may call itself anything: nothing of it is taken for what
 * stands around it.
 */
export function writerNamed(container: string, name: string, program: string): NamedWriter {
  const plain = (text: string): string => fileText(text).replaceAll(/[(),:@]/g, "_");
  return {
    container: container.slice(0, ID_CHARACTERS),
    name: plain(name).replaceAll(/\s/g, "_").slice(0, NAME_LENGTH_MAX),
    program: plain(program).trim(),
  };
}
