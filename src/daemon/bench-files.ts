// File access for the conformance checks, as a process beside the driver has it.
import { link, lstat, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { BenchFiles } from "../conformance/driver-bench.ts";

/**
 * `folder` is an absolute path where nothing is yet, on any file system: there lies what is outside
 * of the driver. Whoever owns it removes it, and knows what is mounted.
 */
export function openBenchFiles(folder: string): BenchFiles {
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
  };
}
