// The server's files, fetched to be compared with what the cache has of them, or to complete it.
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Host } from "../../core/host.ts";
import type { Operation } from "../../core/operation.ts";

/** How the server's files are come by. */
export interface Originals {
  /**
   * Copies what is at a path of the cache (the remote's name first) into a file, which gets the
   * time at which the server says that it was changed. "gone": it is not on the server. "foreign":
   * it is of another remote, which nobody can be asked for. Throws `remote.*` when the server does
   * not answer.
   */
  fetch(path: string, into: string, operation: Operation): Promise<"fetched" | "gone" | "foreign">;
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
  readonly changedMs: number;
}

/** "foreign": also where the server has a directory of that name. Throws as `Originals.fetch`. */
export async function fetchOriginal(
  path: string,
  { work, originals }: Tools,
  operation: Operation,
): Promise<Original | "gone" | "foreign"> {
  const into = join(work, "original");
  await rm(into, { recursive: true, force: true });
  const answer = await originals.fetch(path, into, operation);
  if (answer !== "fetched") return answer;
  const made = await stat(into);
  return made.isFile() ? { path: into, size: made.size, changedMs: made.mtimeMs } : "foreign";
}
