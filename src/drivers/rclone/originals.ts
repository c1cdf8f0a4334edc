// The server's files, fetched to be compared with what the cache has of them, or to complete it.
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { isErrno, storageError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { Operation } from "../../core/operation.ts";

/** What the server says of a file. */
export interface ServerFile {
  /** In bytes. */
  readonly size: number;
  /** NaN: it does not say. */
  readonly changedMs: number;
}

/** "gone": there is none. "foreign": it is no file, or of another remote that cannot be asked. */
export type Missing = "gone" | "foreign";

export function isMissing(said: unknown): said is Missing {
  return said === "gone" || said === "foreign";
}

/** Reads what `rclone lsjson --stat` says. */
export function readStat(said: string | Missing): ServerFile | Missing | "directory" {
  if (isMissing(said)) return said;
  let read: unknown;
  try {
    read = JSON.parse(said);
  } catch (thrown) {
    throw storageError(thrown, "reading what rclone says of a file");
  }
  if (typeof read !== "object" || read === null) return "gone";
  const { Size, ModTime, IsDir }: Record<string, unknown> = { ...read };
  if (IsDir === true) return "directory";
  const size = typeof Size === "number" ? Size : -1;
  return { size, changedMs: typeof ModTime === "string" ? Date.parse(ModTime) : Number.NaN };
}

/** How the server's files are come by, by their paths in the cache (the remote's name first). */
export interface Originals {
  /** Throws `remote.*` when the server does not answer. */
  ask(path: string, operation: Operation): Promise<ServerFile | Missing>;
  /** Copies it into a file. Throws `remote.*` when the server does not answer. */
  fetch(path: string, into: string, operation: Operation): Promise<"fetched" | Missing>;
}

/** What mending works with. */
export interface Tools {
  /** A directory of the same file system, for files that nobody else knows. */
  readonly work: string;
  readonly originals: Originals;
  readonly host: Pick<Host, "dataSpans">;
}

/** A copy of the server's file. */
export interface Original {
  /** Absolute; it is there until the next one is fetched. */
  readonly path: string;
  /** In bytes. */
  readonly size: number;
}

/** Throws as `Originals.fetch`. */
export async function fetchOriginal(
  path: string,
  { work, originals }: Tools,
  operation: Operation,
): Promise<Original | Missing> {
  const into = join(work, "original");
  await rm(into, { recursive: true, force: true });
  const answer = await originals.fetch(path, into, operation);
  if (answer !== "fetched") return answer;
  const made = await stat(into).catch((thrown: unknown) => {
    // Object storage does not tell what is not there from an empty directory.
    if (isErrno(thrown, "ENOENT")) return undefined;
    throw storageError(thrown, `looking at ${into}`);
  });
  if (made === undefined) return "gone";
  return made.isFile() ? { path: into, size: made.size } : "foreign";
}
