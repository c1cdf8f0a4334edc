// The few calls of the C library that node: does not have, each a value or an Error with a code.
import { dlopen, type FFIFunction, ptr, read } from "bun:ffi";
import { constants } from "node:os";

const signatures = {
  __errno_location: { args: [], returns: "ptr" },
  close: { args: ["i32"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
  ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  sendto: { args: ["i32", "ptr", "usize", "i32", "ptr", "u32"], returns: "i64" },
  statx: { args: ["i32", "ptr", "i32", "u32", "ptr"], returns: "i32" },
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
  loaded ??= load(signatures);
  return loaded;
}

/** More calls of the C library, for a file that has many of its own. */
export function loadLibc<Calls extends Record<string, FFIFunction>>(calls: Calls) {
  // What is loaded at the first error would hide that error's number.
  libc();
  return load(calls);
}

function load<Calls extends Record<string, FFIFunction>>(calls: Calls) {
  let failure: unknown;
  for (const name of libraryNames) {
    try {
      return dlopen(name, calls).symbols;
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
export function systemError(syscall: string): SystemError {
  const location = libc().__errno_location();
  const number = location === null ? 0 : read.i32(location, 0);
  const code = errorNames.get(number) ?? `errno ${number}`;
  return Object.assign(new Error(`${code}: ${syscall}`), { code, syscall });
}

/** From <sys/socket.h> and <sys/file.h>, the same on every architecture that Bun runs on. */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_PEERPIDFD = 77;
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

const peerHandle = new Int32Array(1);
const peerHandleBytes = new Uint32Array(1);

/**
 * A descriptor of the process that connected, whatever became of its number (Linux 6.5); to be
 * closed by `closeDescriptor`. "unsupported": an older kernel. undefined: that process is gone, or
 * there never was one.
 */
export function peerProcessHandle(descriptor: number): number | "unsupported" | undefined {
  peerHandleBytes[0] = peerHandle.byteLength;
  const result = libc().getsockopt(
    descriptor,
    SOL_SOCKET,
    SO_PEERPIDFD,
    peerHandle,
    peerHandleBytes,
  );
  if (result === 0) return peerHandle[0];
  return systemError("getsockopt").code === "ENOPROTOOPT" ? "unsupported" : undefined;
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
const MOUNT_ATTR_RDONLY = 1n;
const propagationBits = { private: 1n << 18n, shared: 1n << 20n } as const;

const emptyPath = Buffer.from("\0");

/**
 * A copy of the mount that a path or an open directory lies on, rooted there and mounted nowhere,
 * without what is mounted below. Returns its descriptor; closing that ends what was not moved to a
 * place.
 */
export function openTreeClone(place: string | number): number {
  const isPath = typeof place === "string";
  const [from, path] = isPath ? [AT_FDCWD, pathBytes(place)] : [place, emptyPath];
  const flags = isPath ? OPEN_TREE_CLONE_CLOEXEC : OPEN_TREE_CLONE_CLOEXEC | AT_EMPTY_PATH;
  const made = Number(libc().syscall(SYS_open_tree, from, path, flags, null, 0));
  if (made < 0) throw systemError("open_tree");
  return made;
}

/** What the one mount of a descriptor has to do with its peers. Needs Linux 5.12: ENOSYS. */
export function setPropagation(descriptor: number, wanted: keyof typeof propagationBits): void {
  setMountAttributes(descriptor, [0n, 0n, propagationBits[wanted], 0n]);
}

/** The one mount of a descriptor becomes read-only, and so are its copies. Needs Linux 5.12. */
export function setReadOnly(descriptor: number): void {
  setMountAttributes(descriptor, [MOUNT_ATTR_RDONLY, 0n, 0n, 0n]);
}

/** struct mount_attr: attr_set, attr_clr, propagation, userns_fd. */
function setMountAttributes(descriptor: number, values: readonly bigint[]): void {
  const attributes = new BigUint64Array(values);
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

const SYS_openat2 = 437;
const SYS_statmount = 457;
const O_PATH_DIRECTORY_CLOEXEC = 0o10000000n | 0o200000n | 0o2000000n;
const O_PATH_DIRECTORY_NOFOLLOW_CLOEXEC = 0o10000000n | 0o200000n | 0o400000n | 0o2000000n;
const RESOLVE_NO_XDEV = 1n;
const RESOLVE_NO_MAGICLINKS = 2n;
const RESOLVE_NO_SYMLINKS = 4n;
const RESOLVE_BENEATH = 8n;
const RESOLVE_IN_ROOT = 16n;
const AT_SYMLINK_NOFOLLOW_NO_AUTOMOUNT_DONT_SYNC = 0x100 | 0x800 | 0x4000;
const STATX_MNT_ID_UNIQUE = 0x4000;
const STATX_ATTR_MOUNT_ROOT = 0x2000n;
const STATMOUNT_MNT_BASIC = 2n;
const NS_GET_MNTNS_ID = 0x8008b705;

// Where the fields are that we read, in units of 8 bytes, and the size of the structures.
const STATX_ATTRIBUTES = 1;
const STATX_MNT_ID = 18;
const STATX_WORDS = 32;
const STATMOUNT_PEER_GROUP = 10;
const STATMOUNT_MASTER = 11;
const STATMOUNT_WORDS = 64;

// Nothing waits between a call and the reading of its answer: one of each for all calls.
const statxAnswer = new BigUint64Array(STATX_WORDS);
const statmountAnswer = new BigUint64Array(STATMOUNT_WORDS);
const statmountRequest = new BigUint64Array(4);

/**
 * Whether something is mounted on the directory `name` inside of an open one. Does not look at what
 * is mounted there, which may be storage that does not answer. Needs Linux 5.6: ENOSYS.
 */
export function isMountedOn(parent: number, name: string): boolean {
  try {
    libc().close(openat2(parent, name, [O_PATH_DIRECTORY_NOFOLLOW_CLOEXEC, RESOLVE_NO_XDEV]));
    return false;
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "EXDEV") return true;
    throw thrown;
  }
}

/**
 * The root of what is mounted on the directory `name` inside of an open one, for its place only.
 * Waits for it where its file system is one that is asked (NFS, 9p).
 */
export function openMountOn(parent: number, name: string): number {
  return openat2(parent, name, [O_PATH_DIRECTORY_NOFOLLOW_CLOEXEC, RESOLVE_BENEATH]);
}

/** A directory, for its place only. Returns a descriptor. Follows links, and waits. */
export function openPlace(path: string): number {
  return openat2(AT_FDCWD, path, [O_PATH_DIRECTORY_CLOEXEC, 0n]);
}

/**
 * The directory at a path inside an open one, as a process sees it whose `/` that is: links and
 * `..` lead nowhere else. Links of /proc are refused with ELOOP. Unless `mayCross`, what lies on
 * another mount is refused with EXDEV, and has not been asked anything then. EWOULDBLOCK (EAGAIN):
 * something was moved on this machine meanwhile; try again.
 */
export function openPlaceInRoot(root: number, path: string, mayCross: boolean): number {
  const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (mayCross ? 0n : RESOLVE_NO_XDEV);
  return openat2(root, path, [O_PATH_DIRECTORY_CLOEXEC, resolve]);
}

/** The directory at a path inside an open one, on the same mount: whatever leads out is EXDEV. */
export function openPlaceBeneath(root: number, path: string): number {
  const resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  return openat2(root, path, [O_PATH_DIRECTORY_CLOEXEC, resolve]);
}

/** As `openPlaceBeneath`, without following any link: one on the way, or at its end, is ELOOP. */
export function openPlaceWithoutLinks(root: number, path: string | Uint8Array): number {
  const resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  return openat2(root, path, [O_PATH_DIRECTORY_NOFOLLOW_CLOEXEC, resolve]);
}

function openat2(
  from: number,
  name: string | Uint8Array,
  [flags, resolve]: readonly [flags: bigint, resolve: bigint],
): number {
  const how = new BigUint64Array([flags, 0n, resolve]);
  const path = pathBytes(name);
  // The kernel takes a number where the other calls have a pointer.
  const size = BigInt(how.byteLength);
  const opened = Number(libc().syscall(SYS_openat2, from, path, ptr(how), size, 0));
  if (opened < 0) throw systemError("openat2");
  return opened;
}

/** Which mount has its root at a place: an id that is never used again. */
export interface MountRoot {
  readonly mountId: bigint;
}

/**
 * The mount whose root is at `path`, or is open as `descriptor`; undefined: no mount begins there.
 * Waits for what is mounted there. Needs Linux 6.8, and throws ENOSYS before.
 */
export function mountRootAt(place: string | number): MountRoot | undefined {
  const isPath = typeof place === "string";
  const path = isPath ? pathBytes(place) : emptyPath;
  const from = isPath ? AT_FDCWD : place;
  const flags = isPath ? AT_SYMLINK_NOFOLLOW_NO_AUTOMOUNT_DONT_SYNC : AT_EMPTY_PATH;
  if (libc().statx(from, path, flags, STATX_MNT_ID_UNIQUE, statxAnswer) !== 0) {
    throw systemError("statx");
  }
  const mask = Number((statxAnswer[0] ?? 0n) & 0xffff_ffffn);
  if ((mask & STATX_MNT_ID_UNIQUE) === 0) throw notImplemented("statx");
  if (((statxAnswer[STATX_ATTRIBUTES] ?? 0n) & STATX_ATTR_MOUNT_ROOT) === 0n) return undefined;
  return { mountId: statxAnswer[STATX_MNT_ID] ?? 0n };
}

/** The peer group of a mount and that of its master; 0: it has none. */
export interface MountGroups {
  readonly own: number;
  readonly master: number;
}

/**
 * Of a mount in our own mount namespace, or in the one with this id (Linux 6.11). Needs Linux 6.8,
 * and throws ENOSYS before.
 */
export function mountGroups({ mountId }: MountRoot, namespaceId = 0n): MountGroups {
  // struct mnt_id_req: its size in 32 bits, mnt_id, param, mnt_ns_id.
  const size = namespaceId === 0n ? 24 : 32;
  statmountRequest.set([BigInt(size), mountId, STATMOUNT_MNT_BASIC, namespaceId]);
  const bytes = statmountAnswer.byteLength;
  const request = ptr(statmountRequest);
  const result = libc().syscall(SYS_statmount, request, statmountAnswer, bytes, null, 0);
  if (Number(result) !== 0) throw systemError("statmount");
  return {
    own: Number(statmountAnswer[STATMOUNT_PEER_GROUP] ?? 0n),
    master: Number(statmountAnswer[STATMOUNT_MASTER] ?? 0n),
  };
}

/** The id of an open mount namespace (/proc/PID/ns/mnt). Needs Linux 6.11: ENOTTY. */
export function mountNamespaceId(descriptor: number): bigint {
  const id = new BigUint64Array(1);
  if (libc().ioctl(descriptor, NS_GET_MNTNS_ID, id) !== 0) throw systemError("ioctl");
  return id[0] ?? 0n;
}

function notImplemented(syscall: string): SystemError {
  return Object.assign(new Error(`ENOSYS: ${syscall}`), { code: "ENOSYS", syscall });
}

const O_DIRECTORY_NOFOLLOW_CLOEXEC = 0o200000n | 0o400000n | 0o2000000n;

/**
 * The directory `name` inside of an open one, for reading. What is mounted on it is EXDEV, and has
 * not been asked anything.
 */
export function openUnmounted(parent: number, name: string): number {
  return openat2(parent, name, [O_DIRECTORY_NOFOLLOW_CLOEXEC, RESOLVE_NO_XDEV]);
}

/** Closes a descriptor that no part of node: knows. */
export function closeDescriptor(descriptor: number): void {
  libc().close(descriptor);
}

/** As C takes it. A NUL inside would end it early, and another place would be meant. */
function pathBytes(path: string | Uint8Array): Uint8Array {
  if (typeof path !== "string") return Buffer.concat([path, emptyPath]);
  if (path.includes("\0")) {
    throw Object.assign(new Error("EINVAL: a NUL in a path"), { code: "EINVAL", syscall: "path" });
  }
  return Buffer.from(`${path}\0`);
}
