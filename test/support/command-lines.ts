// What runs on this machine, by the words that it was started with.
import { readdirSync, readFileSync } from "node:fs";

export interface CommandLine {
  readonly pid: number;
  readonly words: readonly string[];
}

/** Of all processes but this one. What has ended, and is only not reaped, has no words any more. */
export function commandLines(): readonly CommandLine[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((name) => ({
      pid: Number(name),
      words: readQuietly(`/proc/${name}/cmdline`).replace(/\0$/, "").split("\0"),
    }));
}

/** Those with a word that has this text in it. */
export function commandLinesWith(text: string): readonly CommandLine[] {
  return commandLines().filter(({ words }) => words.some((word) => word.includes(text)));
}

/** "": there is no such file any more. */
export function readQuietly(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
