// The first entries of a directory, whatever comes after them: node's calls read all of them first,
// and a server may name millions.

import { CString, type Pointer, read } from "bun:ffi";
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { loadLibc, systemError } from "./libc.ts";

const signatures = {
  closedir: { args: ["ptr"], returns: "i32" },
  opendir: { args: ["ptr"], returns: "ptr" },
  readdir: { args: ["ptr"], returns: "ptr" },
} as const;

/** struct dirent, the same on every architecture that Bun runs on: d_type, then d_name. */
const TYPE_AT = 18;
const NAME_AT = 19;
const DT_UNKNOWN = 0;
const DT_DIR = 4;

export interface DirectoryEntry {
  readonly name: string;
  readonly isDirectory: boolean;
}

export interface DirectoryCalls {
  /** At most `countMax`, without `.` and `..`. Throws an Error with a code. */
  firstEntries(directory: string, countMax: number): readonly DirectoryEntry[];
}

/** Loads the calls; none of them loads anything later. */
export function loadDirectoryCalls(): DirectoryCalls {
  const calls = loadLibc(signatures);
  return {
    firstEntries(directory, countMax) {
      const stream = calls.opendir(Buffer.from(`${directory}\0`));
      if (stream === null) throw systemError("opendir");
      const entries: DirectoryEntry[] = [];
      try {
        while (entries.length < countMax) {
          const entry = calls.readdir(stream);
          // An error in the middle is an end, too: what was named until then is there.
          if (entry === null || typeof entry === "bigint") break;
          const name = nameAt(entry);
          if (name === "." || name === "..") continue;
          const isDirectory = isDirectoryAt(read.u8(entry, TYPE_AT), join(directory, name));
          entries.push({ name, isDirectory });
        }
      } finally {
        calls.closedir(stream);
      }
      return entries;
    },
  };
}

function nameAt(entry: Pointer): string {
  return new CString(entry, NAME_AT).toString();
}

/** Some file systems do not say it with the name. */
function isDirectoryAt(type: number, path: string): boolean {
  if (type !== DT_UNKNOWN) return type === DT_DIR;
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
