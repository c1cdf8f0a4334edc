// Calls of the C library that write files as an archive names them: any bytes, owners, attributes.
//
// Paths are bytes with a NUL at their end. What fails throws an Error with a code, as in node:fs.
import { constants, fstatSync } from "node:fs";
import { loadLibc, systemError } from "./libc.ts";

const signatures = {
  chmod: { args: ["ptr", "u32"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  chroot: { args: ["ptr"], returns: "i32" },
  fchmod: { args: ["i32", "u32"], returns: "i32" },
  fchown: { args: ["i32", "u32", "u32"], returns: "i32" },
  fchownat: { args: ["i32", "ptr", "u32", "u32", "i32"], returns: "i32" },
  fsetxattr: { args: ["i32", "ptr", "ptr", "usize", "i32"], returns: "i32" },
  futimens: { args: ["i32", "ptr"], returns: "i32" },
  lchown: { args: ["ptr", "u32", "u32"], returns: "i32" },
  link: { args: ["ptr", "ptr"], returns: "i32" },
  lsetxattr: { args: ["ptr", "ptr", "ptr", "usize", "i32"], returns: "i32" },
  mkdir: { args: ["ptr", "u32"], returns: "i32" },
  mknod: { args: ["ptr", "u32", "u64"], returns: "i32" },
  open: { args: ["ptr", "i32", "u32"], returns: "i32" },
  rmdir: { args: ["ptr"], returns: "i32" },
  symlink: { args: ["ptr", "ptr"], returns: "i32" },
  syncfs: { args: ["i32"], returns: "i32" },
  unlink: { args: ["ptr"], returns: "i32" },
  utimensat: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
} as const;

type Path = Uint8Array;

/** These two are other numbers on some architectures. */
const NOFOLLOW = constants.O_NOFOLLOW;
const noPath = Buffer.from("\0");

/** From <fcntl.h> and <sys/stat.h>, the same on every architecture that Bun runs on. */
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const O_PATH_NOFOLLOW_CLOEXEC = 0o10000000 | NOFOLLOW | 0o2000000;
const O_DIRECTORY_NOFOLLOW_CLOEXEC = constants.O_DIRECTORY | NOFOLLOW | 0o2000000;
const O_WRONLY_CREAT_EXCL_CLOEXEC = 1 | 0o100 | 0o200 | 0o2000000;
const nodeTypes = { fifo: 0o010000, characterDevice: 0o020000, blockDevice: 0o060000 } as const;

/** What a number of a device has room for. */
const MAJOR_MAX = 0xfff;
const MINOR_MAX = 0xf_ffff;

export interface FileCalls {
  /** Makes `path` the root directory of this process, for good. */
  changeRoot(path: Path): void;
  /** A new file, open for writing; nobody else may open it. */
  createFile(path: Path): number;
  makeDirectory(path: Path, mode: number): void;
  /** Open for reading, so that what is described is one. Follows no link at its end. */
  openDirectory(path: Path): number;
  makeSymlink(target: Path, path: Path): void;
  makeHardLink(target: Path, path: Path): void;
  makeNode(path: Path, node: NodeRequest): void;
  /** Of a path: follows no link at its end. */
  own(place: Path | number, userId: number, groupId: number): void;
  /** Of a symbolic link; EEXIST: something else has taken its place. */
  ownLink(path: Path, userId: number, groupId: number): void;
  /** Of a path: follows a link. */
  changeMode(place: Path | number, mode: number): void;
  /** `name` has a NUL at its end. Of a path: follows no link at its end. */
  setAttribute(place: Path | number, name: Uint8Array, value: Uint8Array): void;
  /** Both times of a file. Of a path: follows no link at its end. */
  setTime(place: Path | number, seconds: number, nanoseconds: number): void;
  removeFile(path: Path): void;
  removeDirectory(path: Path): void;
  /** All that was written to the file system that an open file is on. */
  syncFileSystem(descriptor: number): void;
}

export interface NodeRequest {
  readonly type: keyof typeof nodeTypes;
  readonly major: number;
  readonly minor: number;
}

/** Loads the calls; none of them loads anything later. */
export function loadFileCalls(): FileCalls {
  const calls = loadLibc(signatures);
  const times = new BigInt64Array(4);
  // The kernel refuses a null pointer, even for no bytes at all.
  const noBytes = new Uint8Array(1);
  const check = (result: number, name: string): void => {
    if (result !== 0) throw systemError(name);
  };
  const opened = (path: Path, flags: number, mode = 0): number => {
    const descriptor = calls.open(path, flags, mode);
    if (descriptor < 0) throw systemError("open");
    return descriptor;
  };
  return {
    changeRoot: (path) => check(calls.chroot(path), "chroot"),
    createFile: (path) => opened(path, O_WRONLY_CREAT_EXCL_CLOEXEC, 0o600),
    makeDirectory: (path, mode) => check(calls.mkdir(path, mode), "mkdir"),
    openDirectory: (path) => opened(path, O_DIRECTORY_NOFOLLOW_CLOEXEC),
    makeSymlink: (target, path) => check(calls.symlink(target, path), "symlink"),
    makeHardLink: (target, path) => check(calls.link(target, path), "link"),
    makeNode(path, { type, major, minor }) {
      check(calls.mknod(path, nodeTypes[type] | 0o600, deviceNumber(major, minor)), "mknod");
    },
    own(place, userId, groupId) {
      if (typeof place === "number") check(calls.fchown(place, userId, groupId), "fchown");
      else check(calls.lchown(place, userId, groupId), "lchown");
    },
    ownLink(path, userId, groupId) {
      const link = opened(path, O_PATH_NOFOLLOW_CLOEXEC);
      try {
        if (!fstatSync(link).isSymbolicLink()) {
          throw Object.assign(new Error("EEXIST: no link"), { code: "EEXIST", syscall: "lchown" });
        }
        check(calls.fchownat(link, noPath, userId, groupId, AT_EMPTY_PATH), "fchownat");
      } finally {
        calls.close(link);
      }
    },
    changeMode(place, mode) {
      if (typeof place === "number") check(calls.fchmod(place, mode), "fchmod");
      else check(calls.chmod(place, mode), "chmod");
    },
    setAttribute(place, name, value) {
      const bytes = value.length === 0 ? noBytes : value;
      if (typeof place === "number") {
        check(calls.fsetxattr(place, name, bytes, value.length, 0), "fsetxattr");
      } else check(calls.lsetxattr(place, name, bytes, value.length, 0), "lsetxattr");
    },
    setTime(place, seconds, nanoseconds) {
      times[0] = BigInt(seconds);
      times[1] = BigInt(nanoseconds);
      times[2] = times[0];
      times[3] = times[1];
      if (typeof place === "number") check(calls.futimens(place, times), "futimens");
      else check(calls.utimensat(AT_FDCWD, place, times, AT_SYMLINK_NOFOLLOW), "utimensat");
    },
    removeFile: (path) => check(calls.unlink(path), "unlink"),
    removeDirectory: (path) => check(calls.rmdir(path), "rmdir"),
    syncFileSystem: (descriptor) => check(calls.syncfs(descriptor), "syncfs"),
  };
}

/** As the C library packs it. */
function deviceNumber(major: number, minor: number): number {
  if (major < 0 || major > MAJOR_MAX || minor < 0 || minor > MINOR_MAX) {
    const message = `EINVAL: ${major}:${minor} is no device`;
    throw Object.assign(new Error(message), { code: "EINVAL", syscall: "mknod" });
  }
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}
