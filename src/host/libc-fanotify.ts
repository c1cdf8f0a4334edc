// Calls of the C library that have the kernel tell of writes, and that find a file by its handle.
//
// What fails throws an Error with a code, as in node:fs.
import { loadLibc, systemError } from "./libc.ts";

const signatures = {
  close: { args: ["i32"], returns: "i32" },
  fanotify_init: { args: ["u32", "u32"], returns: "i32" },
  fanotify_mark: { args: ["i32", "u32", "u64", "i32", "ptr"], returns: "i32" },
  open_by_handle_at: { args: ["i32", "ptr", "i32"], returns: "i32" },
  read: { args: ["i32", "ptr", "usize"], returns: "i64" },
} as const;

/** From <linux/fanotify.h> and <fcntl.h>, the same on every architecture that Bun runs on. */
const FAN_CLOEXEC_NONBLOCK_REPORT_FID = 1 | 2 | 0x200;
const FAN_MARK_ADD_MOUNT = 1 | 0x10;
const FAN_MODIFY = 2n;
const O_PATH_CLOEXEC = 0o10000000 | 0o2000000;

const thisPlace = Buffer.from(".\0");

export interface FanotifyCalls {
  /** A new group, whose events name files by handles: it opens nothing. Returns a descriptor. */
  makeGroup(): number;
  /** Adds the mount that a directory, open as a descriptor (also for its place only), lies on. */
  markMount(group: number, directory: number): void;
  /** Fills the buffer with whole events; 0: there are none. Never waits. */
  readEvents(group: number, into: Uint8Array): number;
  /**
   * A file of the file system that a directory, open for reading, lies on, for its place only.
   * `handle` is a struct file_handle. ESTALE: there is no such file any more.
   */
  openByHandle(directory: number, handle: Uint8Array): number;
  close(descriptor: number): void;
}

/** Loads the calls; none of them loads anything later. */
export function loadFanotifyCalls(): FanotifyCalls {
  const calls = loadLibc(signatures);
  return {
    makeGroup() {
      const group = calls.fanotify_init(FAN_CLOEXEC_NONBLOCK_REPORT_FID, 0);
      if (group < 0) throw systemError("fanotify_init");
      return group;
    },
    markMount(group, directory) {
      const flags = FAN_MARK_ADD_MOUNT;
      const result = calls.fanotify_mark(group, flags, FAN_MODIFY, directory, thisPlace);
      if (result !== 0) throw systemError("fanotify_mark");
    },
    readEvents(group, into) {
      const length = Number(calls.read(group, into, into.byteLength));
      if (length >= 0) return length;
      const error = systemError("read");
      if (error.code === "EAGAIN" || error.code === "EWOULDBLOCK" || error.code === "EINTR") {
        return 0;
      }
      throw error;
    },
    openByHandle(directory, handle) {
      const opened = calls.open_by_handle_at(directory, handle, O_PATH_CLOEXEC);
      if (opened < 0) throw systemError("open_by_handle_at");
      return opened;
    },
    close: (descriptor) => void calls.close(descriptor),
  };
}
