// Calls of the C library that show what storage does: locks of several kinds, extended attributes.
//
// What fails throws an Error with a code, as in node:fs.
import { loadLibc, systemError } from "./libc.ts";

const signatures = {
  fcntl: { args: ["i32", "i32", "ptr"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
  lgetxattr: { args: ["ptr", "ptr", "ptr", "usize"], returns: "i64" },
  lsetxattr: { args: ["ptr", "ptr", "ptr", "usize", "i32"], returns: "i32" },
} as const;

/** From <fcntl.h> and <sys/file.h>: where `long` has 64 bits, the same on every architecture. */
const F_SETLK = 6;
const F_OFD_SETLK = 37;
const F_WRLCK = 1;
const F_UNLCK = 2;
const LOCK_EX_NB = 2 | 4;
const LOCK_UN = 8;
/** struct flock: l_type, l_whence, l_start, l_len, l_pid. */
const FLOCK_BYTES = 32;
const ATTRIBUTE_BYTES_MAX = 256;

const lockKinds = ["flock", "posix", "ofd"] as const;
export type LockKind = (typeof lockKinds)[number];

export interface StorageCalls {
  /** An exclusive lock of the whole file, without waiting. False: somebody else has it. */
  lock(descriptor: number, kind: LockKind): boolean;
  unlock(descriptor: number, kind: LockKind): void;
  /** Follows no link at the path's end. */
  setAttribute(path: string, name: string, value: Uint8Array): void;
  getAttribute(path: string, name: string): Uint8Array;
}

/** Loads the calls; none of them loads anything later. */
export function loadStorageCalls(): StorageCalls {
  const calls = loadLibc(signatures);
  const range = new DataView(new ArrayBuffer(FLOCK_BYTES));
  const bytes = (text: string): Uint8Array => Buffer.from(`${text}\0`);
  const setRange = (descriptor: number, kind: LockKind, type: number): number => {
    range.setInt16(0, type, true);
    // l_pid must be 0 for locks of open file descriptions, and is not read for the others.
    const command = kind === "ofd" ? F_OFD_SETLK : F_SETLK;
    return calls.fcntl(descriptor, command, new Uint8Array(range.buffer));
  };
  return {
    lock(descriptor, kind) {
      const result =
        kind === "flock"
          ? calls.flock(descriptor, LOCK_EX_NB)
          : setRange(descriptor, kind, F_WRLCK);
      if (result === 0) return true;
      const error = systemError(kind === "flock" ? "flock" : "fcntl");
      if (["EWOULDBLOCK", "EAGAIN", "EACCES"].includes(error.code)) return false;
      throw error;
    },
    unlock(descriptor, kind) {
      const result =
        kind === "flock" ? calls.flock(descriptor, LOCK_UN) : setRange(descriptor, kind, F_UNLCK);
      if (result !== 0) throw systemError(kind === "flock" ? "flock" : "fcntl");
    },
    setAttribute(path, name, value) {
      const result = calls.lsetxattr(bytes(path), bytes(name), value, value.length, 0);
      if (result !== 0) throw systemError("setxattr");
    },
    getAttribute(path, name) {
      const value = new Uint8Array(ATTRIBUTE_BYTES_MAX);
      const length = Number(calls.lgetxattr(bytes(path), bytes(name), value, value.length));
      if (length < 0) throw systemError("getxattr");
      return value.subarray(0, length);
    },
  };
}
