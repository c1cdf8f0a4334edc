// The few calls of the C library that node: does not have, each a value or an Error with a code.
import { dlopen, read } from "bun:ffi";
import { constants } from "node:os";

const signatures = {
  __errno_location: { args: [], returns: "ptr" },
  close: { args: ["i32"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  sendto: { args: ["i32", "ptr", "usize", "i32", "ptr", "u32"], returns: "i64" },
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  // As wide as the kernel takes arguments. The C library has the calls that we make by it only
  // since glibc 2.36.
  syscall: { args: ["i64", "i64", "ptr", "i64", "ptr", "i64"], returns: "i64" },
  umount2: { args: ["ptr", "i32"], returns: "i32" },
} as const;

type Library = ReturnType<typeof dlopen<typeof signatures>>["symbols"];

/** Debian's name, then musl's on the machines Bun runs on. */
const libraryNames = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

let loaded: Library | undefined;

/** Loaded at the first call: who never needs it pays nothing. */
function libc(): Library {
  loaded ??= load();
  return loaded;
}

function load(): Library {
  let failure: unknown;
  for (const name of libraryNames) {
    try {
      return dlopen(name, signatures).symbols;
    } catch (thrown) {
      failure ??= thrown;
    }
  }
  throw failure;
}

/** An error of a system call, shaped like those of node:fs. */
export interface SystemError extends Error {
  /** For example "EEXIST". */
  readonly code: string;
  readonly syscall: string;
}

const errorNames = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));
// Two names of one number; flock(2) and sendto(2) document this one.
errorNames.set(constants.errno.EWOULDBLOCK, "EWOULDBLOCK");

/** Must be the first thing after the call: anything else may set another errno. */
function systemError(syscall: string): SystemError {
  const location = libc().__errno_location();
  const number = location === null ? 0 : read.i32(location, 0);
  const code = errorNames.get(number) ?? `errno ${number}`;
  return Object.assign(new Error(`${code}: ${syscall}`), { code, syscall });
}

/** From <sys/socket.h> and <sys/file.h>, the same on every architecture that Bun runs on. */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000;
const LOCK_EXCLUSIVE_NONBLOCKING = 2 | 4;

// struct ucred, and its size, which the kernel overwrites. One pair for all calls: nothing waits
// between the call and the reading.
const credentials = new Int32Array(3);
const credentialsBytes = new Uint32Array(1);

/** Fills and returns pid, uid and gid of a connected Unix socket; undefined when it has none. */
export function peerCredentials(descriptor: number): Int32Array | undefined {
  credentialsBytes[0] = credentials.byteLength;
  const symbols = loaded ?? libc();
  const result = symbols.getsockopt(
    descriptor,
    SOL_SOCKET,
    SO_PEERCRED,
    credentials,
    credentialsBytes,
  );
  return result === 0 ? credentials : undefined;
}

/** Takes an exclusive lock of the whole file without waiting; EWOULDBLOCK when somebody has it. */
export function lockExclusively(descriptor: number): void {
  if (libc().flock(descriptor, LOCK_EXCLUSIVE_NONBLOCKING) !== 0) throw systemError("flock");
}

/** Sends one datagram to a Unix socket, without waiting. `address` is a whole sockaddr_un. */
export function sendDatagram(address: Uint8Array, payload: Uint8Array): void {
  const descriptor = libc().socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  if (descriptor < 0) throw systemError("socket");
  try {
    const sent = libc().sendto(
      descriptor,
      payload,
      payload.byteLength,
      MSG_DONTWAIT_NOSIGNAL,
      address,
      address.byteLength,
    );
    if (Number(sent) < 0) throw systemError("sendto");
  } finally {
    libc().close(descriptor);
  }
}

/** System call numbers of the kernel's newer part, the same on every architecture. */
const SYS_open_tree = 428;
const SYS_move_mount = 429;
const SYS_mount_setattr = 442;

/** From <linux/mount.h> and <linux/fcntl.h>. */
const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const OPEN_TREE_CLONE_CLOEXEC = 1 | 0o2000000;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const UMOUNT_NOFOLLOW = 8;
const propagationBits = { private: 1n << 18n, shared: 1n << 20n } as const;

const emptyPath = Buffer.from("\0");

/**
 * A copy of the mount that `path` lies on, rooted there and mounted nowhere, without what is
 * mounted below. Returns its descriptor; closing that ends what was not moved to a place.
 */
export function openTreeClone(path: string): number {
  const flags = OPEN_TREE_CLONE_CLOEXEC;
  const made = Number(libc().syscall(SYS_open_tree, AT_FDCWD, pathBytes(path), flags, null, 0));
  if (made < 0) throw systemError("open_tree");
  return made;
}

/** What the one mount of a descriptor has to do with its peers. Needs Linux 5.12: ENOSYS. */
export function setPropagation(descriptor: number, wanted: keyof typeof propagationBits): void {
  // struct mount_attr: attr_set, attr_clr, propagation, userns_fd.
  const attributes = new BigUint64Array([0n, 0n, propagationBits[wanted], 0n]);
  const result = libc().syscall(
    SYS_mount_setattr,
    descriptor,
    emptyPath,
    AT_EMPTY_PATH,
    attributes,
    attributes.byteLength,
  );
  if (Number(result) !== 0) throw systemError("mount_setattr");
}

/** Gives a mount that is nowhere yet its place. Follows no symbolic link at the target's end. */
export function moveMount(descriptor: number, target: string): void {
  const to = pathBytes(target);
  const flags = MOVE_MOUNT_F_EMPTY_PATH;
  const result = libc().syscall(SYS_move_mount, descriptor, emptyPath, AT_FDCWD, to, flags);
  if (Number(result) !== 0) throw systemError("move_mount");
}

/** Unmounts the topmost at `target`, without force, following no link at its end. */
export function unmountTopmost(target: string): void {
  if (libc().umount2(pathBytes(target), UMOUNT_NOFOLLOW) !== 0) throw systemError("umount2");
}

/** Closes a descriptor that no part of node: knows. */
export function closeDescriptor(descriptor: number): void {
  libc().close(descriptor);
}

/** As C takes it. A NUL inside would end it early, and another place would be meant. */
function pathBytes(path: string): Uint8Array {
  if (path.includes("\0")) {
    throw Object.assign(new Error("EINVAL: a NUL in a path"), { code: "EINVAL", syscall: "path" });
  }
  return Buffer.from(`${path}\0`);
}
