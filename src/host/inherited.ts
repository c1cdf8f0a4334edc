// What this process got from whoever started it, and what its runtime has changed of it since.
import {
  handOn,
  limitDescriptors,
  openDescriptors,
  readProc,
  readProcLink,
  readProcText,
  signalNumbers,
  type Words,
} from "./libc-command.ts";

export type RelayedSignal = keyof typeof signalNumbers;

/**
 * The descriptors behind the first three that were open when this process began. To be asked
 * before anything is opened: our runtime marks all of them as closed at exec when it starts, so
 * they cannot be told from our own later.
 */
export function inheritedDescriptors(): readonly number[] {
  return openDescriptors().filter((descriptor) => descriptor > 2 && isForeign(descriptor));
}

/** The runtime's own are an eventpoll and eventfds. */
function isForeign(descriptor: number): boolean {
  return !readProcLink(`/proc/self/fd/${descriptor}`).startsWith("anon_inode:[event");
}

/** Has what we start, or become, get them as we got them. */
export function handOnAll(descriptors: readonly number[]): void {
  for (const descriptor of descriptors) handOn(descriptor);
}

/** The signals that we were started with as ignored, as by nohup(1). */
export function ignoredSignals(): (name: RelayedSignal) => boolean {
  const status = readProcText("/proc/self/status");
  const mask = BigInt(`0x${/^SigIgn:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  return (name) => ((mask >> BigInt(signalNumbers[name] - 1)) & 1n) === 1n;
}

/**
 * Sets the limit of open files back to what our parent has: our runtime raises it to the most that
 * is allowed, and programs that use select(2) break with that.
 */
export function restoreDescriptorLimit(): void {
  const limits = readProcText(`/proc/${process.ppid}/limits`);
  const [, soft, hard] = /^Max open files +(\d+) +(\d+)/m.exec(limits) ?? [];
  // Of a parent that is gone nothing is known: the command has more than it needs.
  if (soft !== undefined && hard !== undefined) limitDescriptors(BigInt(soft), BigInt(hard));
}

/** Whether the terminal sends its signals, Control-C for one, to our process group just now. */
export function isTerminalsGroup(): boolean {
  const { group, foreground } = jobOf("self");
  return group === foreground;
}

/**
 * Whether anybody could continue us if we stood still. The kernel drops SIGTSTP where nobody could:
 * in a process group whose parents are all in another session (POSIX: an orphaned process group).
 */
export function canBeContinued(): boolean {
  const own = jobOf("self");
  for (let at = own; at.parent !== undefined; ) {
    const parent = jobOf(at.parent);
    if (parent.session !== own.session) return false;
    if (parent.group !== own.group) return true;
    at = parent;
  }
  return false;
}

/** See proc_pid_stat(5); undefined: the process is gone. */
function jobOf(pid: string) {
  // Behind the program's name, which may have spaces and brackets in it.
  const status = readProcText(`/proc/${pid}/stat`)
    .replace(/^.*\) /s, "")
    .split(" ");
  const [, parent, group, session, , foreground] = status;
  return { parent, group, session, foreground };
}

const encoder = new TextEncoder();

/** Words as we got them at the end of our command line: bytes that are no UTF-8 are kept. */
export function wordsAsGiven(words: readonly string[]): Words {
  const encoded = words.map((word) => encoder.encode(word));
  if (!words.some((word) => word.includes("\ufffd"))) return encoded;
  const given = partsOf(readProc("/proc/self/cmdline")).slice(-words.length);
  const decoder = new TextDecoder();
  const isSame = given.every((bytes, index) => decoder.decode(bytes) === words[index]);
  return isSame ? given : encoded;
}

/** Our environment as we got it, with these variables set. */
export function environmentWith(added: Readonly<Record<string, string>>): Words {
  const names = Object.keys(added).map((name) => encoder.encode(`${name}=`));
  const more = Object.entries(added).map(([name, value]) => encoder.encode(`${name}=${value}`));
  const words = partsOf(readProc("/proc/self/environ"));
  // Most begin with another letter.
  const firsts = new Set(names.map((name) => name[0]));
  const own = words.filter((word) => !firsts.has(word[0]) || !names.some((n) => begins(word, n)));
  return [...own, ...more];
}

function begins(word: Uint8Array, start: Uint8Array): boolean {
  return start.every((byte, index) => word[index] === byte);
}

/** What is between NULs, each of which ends a part. */
function partsOf(bytes: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(0, start);
    parts.push(bytes.subarray(start, end < 0 ? bytes.length : end));
    start = end < 0 ? bytes.length : end + 1;
  }
  return parts;
}
