// Calls of the C library for what lies below a mount, and for mounts that are nowhere.
import { ptr } from "bun:ffi";
import { closeDescriptor, loadLibc, systemError } from "./libc.ts";

const signatures = {
  ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
  syscall: { args: ["i64", "i64", "i64", "i64", "i64", "i64"], returns: "i64" },
} as const;

let loaded: ReturnType<typeof loadLibc<typeof signatures>> | undefined;

/** Loaded at the first call: who never needs it pays nothing. */
function libc() {
  loaded ??= loadLibc(signatures);
  return loaded;
}

/** <linux/fs.h>, with the size of a long of 64 bits. */
const FS_IOC_GETFLAGS = 0x8008_6601;
const FS_IOC_SETFLAGS = 0x4008_6602;
const FS_IMMUTABLE_FLAG = 0x10;

/** Sets or clears the immutable flag of what is open. ENOTTY, ENOTSUP: there is none. */
export function setImmutable(descriptor: number, isImmutable: boolean): void {
  const flags = new Uint32Array(2);
  if (libc().ioctl(descriptor, FS_IOC_GETFLAGS, flags) !== 0) throw systemError("ioctl");
  const before = flags[0] ?? 0;
  const wanted = isImmutable ? before | FS_IMMUTABLE_FLAG : before & ~FS_IMMUTABLE_FLAG;
  if (wanted === before) return;
  flags[0] = wanted;
  if (libc().ioctl(descriptor, FS_IOC_SETFLAGS, flags) !== 0) throw systemError("ioctl");
}

/** The same on every architecture. */
const SYS_fsopen = 430;
const SYS_fsconfig = 431;
const SYS_fsmount = 432;
const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const FSCONFIG_CMD_CREATE = 6;

/**
 * A file system without a device, mounted nowhere: nobody else sees it, and closing the descriptor
 * ends it. Needs Linux 5.2: ENOSYS; ENODEV: the kernel has no such type.
 */
export function mountNowhere(type: string): number {
  const name = Buffer.from(`${type}\0`);
  const { syscall } = libc();
  const context = Number(syscall(SYS_fsopen, ptr(name), FSOPEN_CLOEXEC, 0, 0, 0));
  if (context < 0) throw systemError("fsopen");
  try {
    if (Number(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, 0, 0, 0)) !== 0) {
      throw systemError("fsconfig");
    }
    const made = Number(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0, 0, 0));
    if (made < 0) throw systemError("fsmount");
    return made;
  } finally {
    closeDescriptor(context);
  }
}
