// The helper that locks a file and then becomes the command: for what setpriv(1) cannot do.

import { messageOf } from "../core/errors.ts";
import type { HeldFile } from "../core/foreground.ts";
import {
  handOnAll,
  inheritedDescriptors,
  restoreDescriptorLimit,
  wordsAsGiven,
} from "./inherited.ts";
import { closeDescriptor, openPlace } from "./libc.ts";
import {
  becomeProgram,
  dieWithParent,
  openFileBeneath,
  tryFlock,
  waitForFlock,
} from "./libc-become.ts";
import { handOn, writeText } from "./libc-command.ts";

/** What the helper is told in its first word, as JSON. */
interface Settings {
  /** Where it says how far it is. */
  readonly writing: number;
  /** Whose end ends it. */
  readonly parent: number;
  readonly file?: HeldFile | undefined;
}

/** Returns only where it could not become the command; then the pipe has the reason. */
export function runBecomeCommand([settings = "{}", ...words]: readonly string[]): number {
  // Written by `startByHelper` of foreground.ts, of this same executable.
  const { writing, parent, file } = JSON.parse(settings) as Settings;
  try {
    const descriptors = inheritedDescriptors().filter((each) => each !== writing);
    dieWithParent();
    // It may have ended before the kernel was asked to tell.
    if (process.ppid !== parent) return 1;
    if (file !== undefined) handOn(lockedFile(file, () => writeText(writing, "waits\n")));
    handOnAll(descriptors);
    restoreDescriptorLimit();
    writeText(writing, "become\n");
    becomeProgram(wordsAsGiven(words));
  } catch (thrown) {
    writeText(writing, `failed ${reasonOf(thrown).replaceAll("\n", " ")}\n`);
    return 1;
  }
}

/** What can be said of a file that cannot be locked, by the system's error. */
const words: Readonly<Record<string, string>> = {
  EXDEV: "the path of the file leads out of the volume",
  ELOOP: "the path of the file is a circle of links",
  ENOENT: "there is no such directory for the file in the volume",
  ENOTDIR: "the path of the file goes through something that is no directory",
  EISDIR: "the path of the file is that of a directory",
  ENODEV: "the path of the file is that of a device, a pipe or a socket",
  EEXIST: "the path of the file is a link to what is not there",
  EACCES: "the file, or the directory of the volume, may not be opened by this user",
  EROFS: "the file is missing, and the volume is read-only",
  ENOLCK: "the storage of the volume has no locks",
  EOPNOTSUPP: "the storage of the volume has no locks",
};

function reasonOf(thrown: unknown): string {
  const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
  return words[code] ?? messageOf(thrown);
}

/** Network file systems lock for writing only what is open for writing: as flock(1) does it. */
function lockedFile(file: HeldFile, waits: () => void): number {
  const place = openPlace(file.directory);
  try {
    const reading = openFileBeneath(place, file.path, "read");
    try {
      lock(reading, file, waits);
      return reading;
    } catch (thrown) {
      const code = thrown instanceof Error && "code" in thrown ? thrown.code : "";
      if (code !== "EBADF" && code !== "EIO") throw thrown;
      closeDescriptor(reading);
      const writing = openFileBeneath(place, file.path, "write");
      lock(writing, file, waits);
      return writing;
    }
  } finally {
    closeDescriptor(place);
  }
}

function lock(descriptor: number, { mode }: HeldFile, waits: () => void): void {
  if (tryFlock(descriptor, mode)) return;
  waits();
  waitForFlock(descriptor, mode);
}
