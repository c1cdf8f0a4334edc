// File access for the conformance checks, as a process beside the driver has it.
import { link, lstat, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { BenchFiles } from "../conformance/driver-bench.ts";

/** Bench files that keep what lies outside of the driver in a folder, which disposing removes. */
export type DisposableBenchFiles = BenchFiles & AsyncDisposable;

/** `folder` is an absolute path where nothing is yet, on any file system. */
export function openBenchFiles(folder: string): DisposableBenchFiles {
  let outsideCount = 0;
  return {
    write: (path, text) => writeFile(path, text),
    read: (path) => readFile(path, "utf8"),
    exists: (path) =>
      lstat(path).then(
        () => true,
        () => false,
      ),
    async makeDirectory(path) {
      await mkdir(path);
    },
    hardLink: ({ existing, path }) => link(existing, path),
    symbolicLink: ({ target, path }) => symlink(target, path),
    async outside() {
      outsideCount += 1;
      const path = join(folder, `outside-${outsideCount}`);
      await mkdir(path, { recursive: true });
      return path;
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
