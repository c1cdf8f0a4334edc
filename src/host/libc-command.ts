// Calls of the C library that start a command as flock(1) does: in our place, with all that we have.
import { ptr } from "bun:ffi";
import { constants } from "node:os";
import { loadLibc, systemError } from "./libc.ts";

const signatures = {
  execvp: { args: ["ptr", "ptr"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
  fcntl: { args: ["i32", "i32", "i64"], returns: "i32" },
  pipe2: { args: ["ptr", "i32"], returns: "i32" },
  posix_spawnattr_init: { args: ["ptr"], returns: "i32" },
  posix_spawnattr_setflags: { args: ["ptr", "i32"], returns: "i32" },
  posix_spawnattr_setsigdefault: { args: ["ptr", "ptr"], returns: "i32" },
  posix_spawnp: { args: ["ptr", "ptr", "ptr", "ptr", "ptr", "ptr"], returns: "i32" },
  prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
  setrlimit: { args: ["i32", "ptr"], returns: "i32" },
  sigaddset: { args: ["ptr", "i32"], returns: "i32" },
  sigemptyset: { args: ["ptr"], returns: "i32" },
  signal: { args: ["i32", "usize"], returns: "usize" },
  syscall: { args: ["i64", "i64", "ptr", "ptr", "i64"], returns: "i64" },
  waitpid: { args: ["i32", "ptr", "i32"], returns: "i32" },
  write: { args: ["i32", "ptr", "usize"], returns: "i64" },
} as const;

type Calls = ReturnType<typeof loadLibc<typeof signatures>>;

let loaded: Calls | undefined;

function libc(): Calls {
  loaded ??= loadLibc(signatures);
  return loaded;
}

/** From the kernel's and the C library's headers, the same wherever Bun runs. */
const F_SETFD = 2;
const O_CLOEXEC = 0o2000000;
const O_CREAT_NOCTTY_NONBLOCK_CLOEXEC = 0o100n | 0o400n | 0o4000n | 0o2000000n;
const O_RDWR = 2n;
const RESOLVE_BENEATH_NO_MAGICLINKS = 8n | 2n;
/** As flock(1) makes it: the umask takes away from that. */
const FILE_MODE = 0o666n;
const LOCK_SHARED = 1;
const LOCK_EXCLUSIVE = 2;
const LOCK_NONBLOCKING = 4;
const SYS_openat2 = 437n;
const PR_SET_PDEATHSIG = 1;
const POSIX_SPAWN_SETSIGDEF = 4;
const RLIMIT_NOFILE = 7;
const WNOHANG = 1;
const SIG_DFL = 0;

/** Larger than any C library's, in bytes. */
const SIGSET_BYTES = 256;
const SPAWN_ATTRIBUTES_BYTES = 1_024;

/** What our runtime ignores for itself, and no command may inherit. */
const ignoredByRuntime = ["SIGPIPE", "SIGXFSZ"] as const;

const encoder = new TextEncoder();

/** Words of a command or an environment, in bytes as they were given. */
export type Words = readonly Uint8Array[];

function cText(text: string | Uint8Array): Uint8Array {
  const bytes = typeof text === "string" ? encoder.encode(text) : text;
  const ended = new Uint8Array(bytes.length + 1);
  ended.set(bytes);
  return ended;
}

/** An array of pointers with a null at its end, and what they point to, which must be kept. */
function cTexts(words: Words): { readonly pointers: BigUint64Array; readonly kept: Uint8Array[] } {
  const kept = words.map(cText);
  const pointers = new BigUint64Array(words.length + 1);
  for (const [index, bytes] of kept.entries()) pointers[index] = BigInt(ptr(bytes));
  return { pointers, kept };
}

/**
 * Starts a program that is found in PATH where it has no slash. It has the descriptors that are not
 * closed at exec, and our signals as far as we ignore them. Throws the system's error.
 */
export function spawnInPlace(words: Words, environment: Words): number {
  const attributes = new Uint8Array(SPAWN_ATTRIBUTES_BYTES);
  const defaults = new Uint8Array(SIGSET_BYTES);
  libc().sigemptyset(ptr(defaults));
  for (const name of ignoredByRuntime) {
    libc().sigaddset(ptr(defaults), constants.signals[name]);
  }
  libc().posix_spawnattr_init(ptr(attributes));
  libc().posix_spawnattr_setsigdefault(ptr(attributes), ptr(defaults));
  libc().posix_spawnattr_setflags(ptr(attributes), POSIX_SPAWN_SETSIGDEF);
  const program = cText(words[0] ?? "");
  const arguments_ = cTexts(words);
  const variables = cTexts(environment);
  const pid = new Int32Array(1);
  const { pointers } = arguments_;
  const failure = libc().posix_spawnp(
    ptr(pid),
    ptr(program),
    null,
    ptr(attributes),
    ptr(pointers),
    ptr(variables.pointers),
  );
  if (failure !== 0) throw new Error(nameOf(failure));
  return pid[0] ?? 0;
}

function nameOf(number: number): string {
  const found = Object.entries(constants.errno).find(([, value]) => value === number);
  return found?.[0] ?? `errno ${number}`;
}

/** Becomes the program: returns only where it cannot, and throws the system's error then. */
export function becomeProgram(words: Words): never {
  for (const name of ignoredByRuntime) libc().signal(constants.signals[name], SIG_DFL);
  const program = cText(words[0] ?? "");
  const arguments_ = cTexts(words);
  libc().execvp(ptr(program), ptr(arguments_.pointers));
  throw systemError("execvp");
}

/** 128 + n where signal n ended it; undefined: it has not ended. Of a child that nobody reaped. */
export function exitOf(pid: number): number | undefined {
  const status = new Int32Array(1);
  if (libc().waitpid(pid, ptr(status), WNOHANG) !== pid) return undefined;
  const word = status[0] ?? 0;
  const signal = word & 0x7f;
  return signal === 0 ? (word >> 8) & 0xff : 128 + signal;
}

/** Both are closed at exec. Throws the system's error. */
export function makePipe(): { readonly reading: number; readonly writing: number } {
  const pair = new Int32Array(2);
  if (libc().pipe2(ptr(pair), O_CLOEXEC) !== 0) throw systemError("pipe2");
  return { reading: pair[0] ?? -1, writing: pair[1] ?? -1 };
}

/** Never throws: whom it is written to may be gone. */
export function writeText(descriptor: number, text: string): void {
  const bytes = encoder.encode(text);
  libc().write(descriptor, ptr(bytes), bytes.length);
}

/** The next program that we start, or become, has it too. */
export function handOn(descriptor: number): void {
  libc().fcntl(descriptor, F_SETFD, 0n);
}

/** Ends this process with a signal when the thread that started it ends. */
export function dieWithParent(): void {
  const kill = BigInt(constants.signals.SIGKILL);
  if (libc().prctl(PR_SET_PDEATHSIG, kill, 0n, 0n, 0n) !== 0) throw systemError("prctl");
}

/** How many files we, and what we start, may have open, where that is not more than we may. */
export function limitDescriptors(soft: bigint, hard: bigint): void {
  libc().setrlimit(RLIMIT_NOFILE, ptr(new BigUint64Array([soft, hard])));
}

/**
 * Opens a file at a path inside of an open directory, and makes it when it is missing. No link
 * leads out. Throws the system's error.
 */
export function openFileBeneath(directory: number, path: string, access: "read" | "write"): number {
  const flags = O_CREAT_NOCTTY_NONBLOCK_CLOEXEC | (access === "write" ? O_RDWR : 0n);
  const how = new BigUint64Array([flags, FILE_MODE, RESOLVE_BENEATH_NO_MAGICLINKS]);
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
