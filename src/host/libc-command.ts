// Calls of the C library that start a command as flock(1) does: in our place, with what we have.
//
// It stands alone, without node: modules and libc.ts, because `lock run` waits for it to be loaded:
// node:fs alone takes longer than what is done here.
import { dlopen, ptr } from "bun:ffi";

const signatures = {
  close: { args: ["i32"], returns: "i32" },
  fcntl: { args: ["i32", "i32", "i64"], returns: "i32" },
  getdents64: { args: ["i32", "ptr", "usize"], returns: "i64" },
  open: { args: ["ptr", "i32", "u32"], returns: "i32" },
  pipe2: { args: ["ptr", "i32"], returns: "i32" },
  posix_spawnattr_init: { args: ["ptr"], returns: "i32" },
  posix_spawnattr_setflags: { args: ["ptr", "i32"], returns: "i32" },
  posix_spawnattr_setsigdefault: { args: ["ptr", "ptr"], returns: "i32" },
  posix_spawnp: { args: ["ptr", "ptr", "ptr", "ptr", "ptr", "ptr"], returns: "i32" },
  read: { args: ["i32", "ptr", "usize"], returns: "i64" },
  readlink: { args: ["ptr", "ptr", "usize"], returns: "i64" },
  setrlimit: { args: ["i32", "ptr"], returns: "i32" },
  sigaddset: { args: ["ptr", "i32"], returns: "i32" },
  sigemptyset: { args: ["ptr"], returns: "i32" },
  waitpid: { args: ["i32", "ptr", "i32"], returns: "i32" },
  write: { args: ["i32", "ptr", "usize"], returns: "i64" },
} as const;

type Calls = ReturnType<typeof dlopen<typeof signatures>>["symbols"];

/** Debian's name, then musl's on the machines Bun runs on. */
const libraryNames = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

let loaded: Calls | undefined;

function libc(): Calls {
  loaded ??= load();
  return loaded;
}

function load(): Calls {
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

/** From the kernel's and the C library's headers, the same wherever Bun runs. */
const F_SETFD = 2;
const O_CLOEXEC = 0o2000000;
const POSIX_SPAWN_SETSIGDEF = 4;
const RLIMIT_NOFILE = 7;
const WNOHANG = 1;

/** Numbers of signals, the same on every architecture that Bun runs on. */
export const signalNumbers = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGCONT: 18,
  SIGTSTP: 20,
  SIGXFSZ: 25,
  SIGWINCH: 28,
} as const;

/** What our runtime ignores for itself, and no command may inherit. */
export const ignoredByRuntime = [signalNumbers.SIGPIPE, signalNumbers.SIGXFSZ] as const;

/** What can be said of a command that the kernel does not start, by errno. */
const spawnWords: ReadonlyMap<number, string> = new Map([
  [7, "its arguments and environment are too long (E2BIG)"],
  [11, "no more processes are allowed (EAGAIN)"],
  [12, "there is not enough memory (ENOMEM)"],
  [13, "that is not allowed (EACCES)"],
]);

/** Larger than any C library's, in bytes. */
const SIGSET_BYTES = 256;
const SPAWN_ATTRIBUTES_BYTES = 1_024;

/** What is read of a file at a time, in bytes. */
const CHUNK_BYTES = 65_536;

// struct linux_dirent64: where the length of an entry and its name are.
const DIRENT_LENGTH_AT = 16;
const DIRENT_NAME_AT = 19;

const encoder = new TextEncoder();

/** A character for each byte, without what a TextDecoder loads. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** Words of a command or an environment, in bytes as they were given. */
export type Words = readonly Uint8Array[];

/** With a NUL at its end. */
export function cText(text: string | Uint8Array): Uint8Array {
  const bytes = typeof text === "string" ? encoder.encode(text) : text;
  const ended = new Uint8Array(bytes.length + 1);
  ended.set(bytes);
  return ended;
}

/** An array of pointers with a null at its end, and what they point to, which must be kept. */
export function cTexts(words: Words): {
  readonly pointers: BigUint64Array;
  readonly kept: readonly Uint8Array[];
} {
  const kept = words.map(cText);
  const pointers = new BigUint64Array(words.length + 1);
  for (const [index, bytes] of kept.entries()) pointers[index] = BigInt(ptr(bytes));
  return { pointers, kept };
}

/**
 * Starts a program that is found in PATH where it has no slash. It has the descriptors that are not
 * closed at exec, and ignores what we were started to ignore. Throws an Error with the reason.
 */
export function spawnInPlace(words: Words, environment: Words): number {
  const attributes = new Uint8Array(SPAWN_ATTRIBUTES_BYTES);
  const defaults = new Uint8Array(SIGSET_BYTES);
  libc().sigemptyset(ptr(defaults));
  for (const number of ignoredByRuntime) libc().sigaddset(ptr(defaults), number);
  libc().posix_spawnattr_init(ptr(attributes));
  libc().posix_spawnattr_setsigdefault(ptr(attributes), ptr(defaults));
  libc().posix_spawnattr_setflags(ptr(attributes), POSIX_SPAWN_SETSIGDEF);
  const program = cText(words[0] ?? "");
  const given = cTexts(words);
  const variables = cTexts(environment);
  const pid = new Int32Array(1);
  const failure = libc().posix_spawnp(
    ptr(pid),
    ptr(program),
    null,
    ptr(attributes),
    ptr(given.pointers),
    ptr(variables.pointers),
  );
  if (failure !== 0) throw new Error(spawnWords.get(failure) ?? `errno ${failure}`);
  return pid[0] ?? 0;
}

/** 128 + n where signal n ended it; undefined: it has not ended. Of a child that nobody reaped. */
export function exitOf(pid: number): number | undefined {
  const status = new Int32Array(1);
  if (libc().waitpid(pid, ptr(status), WNOHANG) !== pid) return undefined;
  const word = status[0] ?? 0;
  const signal = word & 0x7f;
  return signal === 0 ? (word >> 8) & 0xff : 128 + signal;
}

/** Both are closed at exec. */
export function makePipe(): { readonly reading: number; readonly writing: number } {
  const pair = new Int32Array(2);
  if (libc().pipe2(ptr(pair), O_CLOEXEC) !== 0) throw new Error("no more files may be open");
  return { reading: pair[0] ?? -1, writing: pair[1] ?? -1 };
}

/** Never throws: whom it is written to may be gone. */
export function writeText(descriptor: number, text: string): void {
  const bytes = encoder.encode(text);
  libc().write(descriptor, ptr(bytes), bytes.length);
}

export function closeQuietly(descriptor: number): void {
  libc().close(descriptor);
}

/** The next program that we start, or become, has it too. */
export function handOn(descriptor: number): void {
  libc().fcntl(descriptor, F_SETFD, 0n);
}

/** How many files we, and what we start, may have open, where that is not more than we may. */
export function limitDescriptors(soft: bigint, hard: bigint): void {
  libc().setrlimit(RLIMIT_NOFILE, ptr(new BigUint64Array([soft, hard])));
}

/** All of a file below /proc; nothing of one that cannot be read. */
export function readProc(path: string): Uint8Array {
  const descriptor = libc().open(ptr(cText(path)), O_CLOEXEC, 0);
  const parts: Uint8Array[] = [];
  while (descriptor >= 0) {
    const chunk = new Uint8Array(CHUNK_BYTES);
    const count = Number(libc().read(descriptor, ptr(chunk), chunk.length));
    if (count <= 0) break;
    parts.push(chunk.subarray(0, count));
  }
  if (descriptor >= 0) libc().close(descriptor);
  return parts.length === 1 ? (parts[0] ?? new Uint8Array()) : Buffer.concat(parts);
}

/** The same, a character for each byte. */
export function readProcText(path: string): string {
  return latin1(readProc(path));
}

/** What a link of /proc names; "": it is gone. */
export function readProcLink(path: string): string {
  const answer = new Uint8Array(256);
  const count = Number(libc().readlink(ptr(cText(path)), ptr(answer), answer.length));
  return latin1(answer.subarray(0, Math.max(0, count)));
}

/** The descriptors that are open now; the one that was used to look is not any more. */
export function openDescriptors(): readonly number[] {
  const directory = libc().open(ptr(cText("/proc/self/fd")), O_CLOEXEC, 0);
  const names: string[] = [];
  const entries = new Uint8Array(CHUNK_BYTES);
  const view = new DataView(entries.buffer);
  for (;;) {
    const count = Number(libc().getdents64(directory, ptr(entries), entries.length));
    if (count <= 0) break;
    for (let at = 0; at < count; at += view.getUint16(at + DIRENT_LENGTH_AT, true)) {
      const start = at + DIRENT_NAME_AT;
      names.push(latin1(entries.subarray(start, entries.indexOf(0, start))));
    }
  }
  libc().close(directory);
  return names
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((each) => each !== directory);
}
