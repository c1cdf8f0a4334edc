// What publishing changes on storage, call by call: tests put a death before and behind each.
import { closeSync, constants, fsyncSync, mkdirSync, openSync, symlinkSync } from "node:fs";
import { isErrno } from "../../core/errors.ts";
import { renameAt } from "../libc-rename.ts";
import { removeFile, removeTree } from "../storage-files.ts";

const { O_DIRECTORY, O_RDONLY } = constants;

/** All names are of the same open directory. They throw Errors with a code. */
export interface PublishEffects {
  /** See `renameAt`. */
  rename(parent: number, from: string, to: string, how: "replace" | "new" | "exchange"): void;
  /** For root alone. */
  makeDirectory(parent: number, name: string): void;
  makeLink(parent: number, target: string, name: string): void;
  /** Succeeds when it is not there. */
  removeLink(parent: number, name: string): void;
  /** With all that is in it. Succeeds when it is not there. */
  removeTree(parent: number, name: string, removed: () => void): void;
  /** Makes what was renamed last. */
  sync(parent: number): void;
}

export const publishEffects: PublishEffects = {
  rename: (directory, from, to, how) =>
    renameAt({ directory, name: from }, { directory, name: to }, how),
  makeDirectory: (parent, name) => mkdirSync(at(parent, name), 0o700),
  makeLink: (parent, target, name) => symlinkSync(target, at(parent, name)),
  removeLink: (parent, name) => removeFile(at(parent, name)),
  removeTree: (parent, name, removed) => removeTree(parent, Buffer.from(name), removed),
  sync(parent) {
    const descriptor = openSync(at(parent, "."), O_RDONLY | O_DIRECTORY);
    try {
      fsyncSync(descriptor);
    } catch (thrown) {
      // Storage without it: its renames are as durable as they are.
      const isMissing = ["EINVAL", "ENOTSUP", "ENOSYS"].some((code) => isErrno(thrown, code));
      if (!isMissing) throw thrown;
    } finally {
      closeSync(descriptor);
    }
  },
};

function at(parent: number, name: string): string {
  return `/proc/self/fd/${parent}/${name}`;
}
