// A directory that all but its owner see read-only: the owner writes through a second mount of it.
import { mkdirSync } from "node:fs";
import {
  closeDescriptor,
  moveMount,
  openTreeClone,
  setPropagation,
  setReadOnly,
  unmountTopmost,
} from "./libc.ts";
import { readMountTable } from "./mount-table.ts";

/**
 * Puts a read-only mount of `directory` upon itself, and a writable one at `writable`, which is
 * made. Both stay until somebody unmounts them, and are left as they are when they are there:
 * whoever has a copy of the first sees what the second gets. Absolute paths without links, on
 * storage of this machine. Throws the system's errors; needs root and Linux 5.12.
 */
export function makeReadOnlyView(directory: string, writable: string): void {
  const isMounted = (target: string, mode: "ro" | "rw") =>
    readMountTable().some((mount) => mount.target === target && mount.options.includes(mode));
  if (isMounted(directory, "ro")) {
    if (isMounted(writable, "rw")) return;
    // Somebody took the other one away, and a copy of this one would be read-only, too.
    unmountTopmost(directory);
  }
  mkdirSync(writable, { recursive: true, mode: 0o700 });
  if (!isMounted(writable, "rw")) mountView(directory, writable, { isReadOnly: false });
  mountView(directory, directory, { isReadOnly: true });
}

/** Private: what is mounted upon the one would otherwise be mounted upon the other, too. */
function mountView(from: string, to: string, how: { readonly isReadOnly: boolean }): void {
  const view = openTreeClone(from);
  try {
    setPropagation(view, "private");
    if (how.isReadOnly) setReadOnly(view);
    moveMount(view, to);
  } finally {
    // What was not moved to its place ends with it.
    closeDescriptor(view);
  }
}
