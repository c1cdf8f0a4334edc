// Calls of the C library with which a helper locks a file and becomes a command.
import { ptr } from "bun:ffi";
import { closeSync, fstatSync, openSync } from "node:fs";
import { isErrno } from "../core/errors.ts";
import { loadLibc, systemError } from "./libc.ts";
import { cText, cTexts, ignoredByRuntime, signalNumbers, type Words } from "./libc-command.ts";

const signatures = {
  execvp: { args: ["ptr", "ptr"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
  prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
  signal: { args: ["i32", "usize"], returns: "usize" },
  syscall: { args: ["i64", "i64", "ptr", "ptr", "i64"], returns: "i64" },
} as const;

type Calls = ReturnType<typeof loadLibc<typeof signatures>>;

let loaded: Calls | undefined;

function libc(): Calls {
  loaded ??= loadLibc(signatures);
  return loaded;
}

/** From the kernel's headers, the same wherever Bun runs. */
const O_NOCTTY_NONBLOCK_CLOEXEC = 0o400n | 0o4000n | 0o2000000n;
const O_CREAT_EXCL = 0o100n | 0o200n;
const O_PATH_CLOEXEC = 0o10000000n | 0o2000000n;
const O_RDWR = 2n;
const RESOLVE_BENEATH_NO_MAGICLINKS = 8n | 2n;
/** As flock(1) makes it: the umask takes away from that. */
const FILE_MODE = 0o666n;
const LOCK_SHARED = 1;
const LOCK_EXCLUSIVE = 2;
const LOCK_NONBLOCKING = 4;
const SYS_openat2 = 437n;
const PR_SET_PDEATHSIG = 1;
/** How often a file may come and go while it is being opened. */
const OPEN_TRIES = 8;
const SIG_DFL = 0;

/** Becomes the program: returns only where it cannot, and throws the system's error then. */
export function becomeProgram(words: Words): never {
  for (const number of ignoredByRuntime) libc().signal(number, SIG_DFL);
  const program = cText(words[0] ?? "");
  const { pointers } = cTexts(words);
  libc().execvp(ptr(program), ptr(pointers));
  throw systemError("execvp");
}

/** Ends this process with SIGKILL when the thread that started it ends. */
export function dieWithParent(): void {
  const kill = BigInt(signalNumbers.SIGKILL);
  if (libc().prctl(PR_SET_PDEATHSIG, kill, 0n, 0n, 0n) !== 0) throw systemError("prctl");
}

/**
 * Opens a file at a path inside of an open directory, and makes it when it is missing. No link
 * leads out. Whoever writes there may have put anything in its place: nothing but a plain file is
 * opened (a device may act on that alone), and what is looked at is what is opened. Throws the
 * system's error, ENODEV for what is no file, EEXIST for a link that leads to nothing.
 */
export function openFileBeneath(directory: number, path: string, access: "read" | "write"): number {
  const flags = O_NOCTTY_NONBLOCK_CLOEXEC | (access === "write" ? O_RDWR : 0n);
  for (let triesLeft = OPEN_TRIES; ; triesLeft -= 1) {
    try {
      const place = openBeneath(directory, path, [O_PATH_CLOEXEC, 0n]);
      try {
        return reopenFile(place, Number(flags));
      } finally {
        closeSync(place);
      }
    } catch (thrown) {
      if (!isErrno(thrown, "ENOENT")) throw thrown;
    }
    try {
      return openBeneath(directory, path, [flags | O_CREAT_EXCL, FILE_MODE]);
    } catch (thrown) {
      // Somebody else has made it in this moment.
      if (!isErrno(thrown, "EEXIST") || triesLeft === 0) throw thrown;
    }
  }
}

function reopenFile(place: number, flags: number): number {
  const status = fstatSync(place);
  if (status.isFile()) return openSync(`/proc/self/fd/${place}`, flags);
  const code = status.isDirectory() ? "EISDIR" : "ENODEV";
  throw Object.assign(new Error(`${code}: no plain file`), { code });
}

function openBeneath(
  directory: number,
  path: string,
  [flags, mode]: readonly [flags: bigint, mode: bigint],
): number {
  const how = new BigUint64Array([flags, mode, RESOLVE_BENEATH_NO_MAGICLINKS]);
  const name = cText(path);
  const size = BigInt(how.byteLength);
  const opened = Number(libc().syscall(SYS_openat2, BigInt(directory), ptr(name), ptr(how), size));
  if (opened < 0) throw systemError("openat2");
  return opened;
}

/** False: somebody else has it. */
export function tryFlock(descriptor: number, mode: "shared" | "exclusive"): boolean {
  const wanted = mode === "shared" ? LOCK_SHARED : LOCK_EXCLUSIVE;
  if (libc().flock(descriptor, wanted | LOCK_NONBLOCKING) === 0) return true;
  const error = systemError("flock");
  if (error.code === "EWOULDBLOCK" || error.code === "EAGAIN") return false;
  throw error;
}

/** Waits for it, in the kernel: nothing else happens in this process meanwhile. */
export function waitForFlock(descriptor: number, mode: "shared" | "exclusive"): void {
  const wanted = mode === "shared" ? LOCK_SHARED : LOCK_EXCLUSIVE;
  while (libc().flock(descriptor, wanted) !== 0) {
    const error = systemError("flock");
    if (error.code !== "EINTR") throw error;
  }
}
