// What a plugin wrote: conmon's file, with the one before it, so that a full one takes not all.
//
// conmon begins a new file when the old one has its size, and forgets the old one: a second name
// for each file keeps it. Both names are renewed by whoever looks after the plugin (`keep`).
import fs from "node:fs";
import { join } from "node:path";
import { isErrno, storageError } from "../../core/errors.ts";
import type { PluginLogLine } from "../../core/plugin.ts";

/** Of each of both files. */
export const LOG_BYTES_MAX = 1024 * 1024;

/** A line of conmon's "k8s-file": time, stream, whether it ends here, text. */
const linePattern = /^(\S+) (stdout|stderr) ([FP]) (.*)$/s;

export class PluginLog {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Where conmon writes. */
  get path(): string {
    return join(this.#folder, "log");
  }

  get #second(): string {
    return join(this.#folder, "log.now");
  }

  get #previous(): string {
    return join(this.#folder, "log.1");
  }

  /**
   * To be called before each start: conmon adds to the file, and counts from 0. Throws `storage.*`.
   */
  prepare(): void {
    try {
      fs.mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      this.keep();
      if (sizeOf(this.path) <= LOG_BYTES_MAX / 2) return;
      fs.renameSync(this.path, this.#previous);
      fs.rmSync(this.#second, { force: true });
    } catch (error) {
      throw storageError(error, `preparing the log in ${this.#folder}`);
    }
  }

  /** Keeps what conmon has begun to forget. Cheap; failures are left to the next time. */
  keep(): void {
    try {
      const now = inodeOf(this.path);
      const kept = inodeOf(this.#second);
      if (now === undefined || now === kept) return;
      if (kept !== undefined) fs.renameSync(this.#second, this.#previous);
      fs.linkSync(this.path, this.#second);
    } catch {
      // The log is a help, and nothing waits for it.
    }
  }

  /** The last `countMax` lines, oldest first; none where there is no log. Throws `storage.*`. */
  lines(countMax: number): readonly PluginLogLine[] {
    const parts = [this.#previous, this.#second, this.path].map(tailOf);
    const [previous, second, now] = parts;
    const isSame = inodeOf(this.#second) === inodeOf(this.path);
    const texts = [previous, isSame ? "" : second, now];
    return countMax > 0 ? parseLog(texts.join("")).slice(-countMax) : [];
  }

  /** With all that was written. Throws the system's error. */
  remove(): void {
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Lines that a plugin wrote in several pieces become one; what is none of conmon's is left out. */
export function parseLog(text: string): readonly PluginLogLine[] {
  const lines: PluginLogLine[] = [];
  const begun = { stdout: "", stderr: "" };
  for (const line of text.split("\n")) {
    const [, time = "", stream, tag, words = ""] = linePattern.exec(line) ?? [];
    const atMs = Date.parse(time);
    if ((stream !== "stdout" && stream !== "stderr") || Number.isNaN(atMs)) continue;
    begun[stream] += words;
    if (tag === "P") continue;
    lines.push({ atMs, stream, text: begun[stream] });
    begun[stream] = "";
  }
  return lines;
}

/** The end of a file, beginning with a whole line. */
function tailOf(path: string): string {
  let descriptor: number | undefined;
  try {
    descriptor = fs.openSync(path, "r");
    const { size } = fs.fstatSync(descriptor);
    const bytes = Buffer.alloc(Math.min(size, 2 * LOG_BYTES_MAX));
    const read = fs.readSync(descriptor, bytes, 0, bytes.byteLength, size - bytes.byteLength);
    const text = bytes.subarray(0, read).toString("utf8");
    return read < size ? text.slice(text.indexOf("\n") + 1) : text;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return "";
    throw storageError(error, `reading the log ${path}`);
  } finally {
    if (descriptor !== undefined) fs.closeSync(descriptor);
  }
}

function inodeOf(path: string): number | undefined {
  return fs.statSync(path, { throwIfNoEntry: false })?.ino;
}

function sizeOf(path: string): number {
  return fs.statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
