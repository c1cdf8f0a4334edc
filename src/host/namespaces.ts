// Reads the mount tables of all mount namespaces of the machine, each once.
//
// Threads count like processes: dockerd copies files of containers in a namespace of one thread.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { isErrno } from "../core/errors.ts";

/** A process that ends may have left a child that was not listed: looked at anew so often. */
const PASSES_MAX = 3;

/** What a namespace is known by, until its mounts have been read. */
interface Namespace {
  readonly name: string;
  /** Processes and threads in it, by their numbers. */
  readonly tasks: number[];
  state: "unread" | "read" | "unreadable";
}

/** How long `runInTurns` keeps the thread for itself, in milliseconds. */
const TURN_MS = 1;

/** What one way into a namespace shows: all of it, or what lies below one process's root. */
export interface NamespaceTable {
  /** As /proc/PID/mountinfo has it. */
  readonly text: string;
  /** The mount namespace, as the kernel names it: `mnt:[4026531832]`. */
  readonly namespace: string;
  /** A process or thread in it. */
  readonly pid: number;
}

/** The text of a file that a step has asked for, or why there is none. */
type FileAnswer = string | { readonly thrown: unknown } | undefined;

/** A step is a process that was looked at, or the path of a mount table that is to be read. */
export type Steps<T> = Generator<string | undefined, T, FileAnswer>;

/** Takes all steps at once. Waits for no storage: /proc only. */
export function runNow<T>(work: Steps<T>): T {
  for (let answer: FileAnswer; ; ) {
    const step = work.next(answer);
    if (step.done === true) return step.value;
    answer = step.value === undefined ? undefined : readNow(step.value);
  }
}

/** Lets others work in between. The kernel writes mount tables in other threads meanwhile. */
export async function runInTurns<T>(work: Steps<T>): Promise<T> {
  let untilMs = performance.now() + TURN_MS;
  for (let answer: FileAnswer; ; ) {
    const step = work.next(answer);
    if (step.done === true) return step.value;
    if (step.value !== undefined) {
      answer = await readFile(step.value, "utf8").catch((thrown: unknown) => ({ thrown }));
      untilMs = performance.now() + TURN_MS;
    } else if (performance.now() > untilMs) {
      await new Promise((resolve) => setImmediate(resolve));
      untilMs = performance.now() + TURN_MS;
    }
  }
}

function readNow(path: string): FileAnswer {
  try {
    return readFileSync(path, "utf8");
  } catch (thrown) {
    return { thrown };
  }
}

/**
 * Shows `visit` the mounts of every namespace. False: some namespace could not be read, and what
 * is in it is not known.
 */
export function* readingMountTables(visit: (table: NamespaceTable) => void): Steps<boolean> {
  const census = new Census();
  for (let pass = 0; pass < PASSES_MAX; pass += 1) {
    let hasMissed = yield* census.look();
    for (const namespace of census.namespaces.values()) {
      if (namespace.state === "read") continue;
      yield* readNamespace(namespace, visit);
      hasMissed ||= namespace.state === "unread";
    }
    if (!hasMissed) break;
  }
  // What is still "unread" had only processes that have ended: it is gone.
  const isWhole = [...census.namespaces.values()].every(({ state }) => state !== "unreadable");
  return isWhole && !census.isBlind;
}

function* readNamespace(namespace: Namespace, visit: (table: NamespaceTable) => void): Steps<void> {
  const chrooted = new Map<string, number>();
  function* read(task: number): Steps<boolean> {
    const text = yield `/proc/${task}/mountinfo`;
    if (typeof text !== "string") {
      if (!isEnd(text?.thrown)) namespace.state = "unreadable";
      return false;
    }
    namespace.state = "read";
    visit({ text, namespace: namespace.name, pid: task });
    return true;
  }
  for (const task of namespace.tasks.splice(0)) {
    // A process sees what lies below its root: any other way into the namespace is better.
    const root = rootOf(task);
    if (root === "/") {
      if (yield* read(task)) return;
    } else if (root !== undefined && !chrooted.has(root)) chrooted.set(root, task);
  }
  for (const task of chrooted.values()) yield* read(task);
}

/** The mount namespaces that processes and threads are in. */
class Census {
  readonly namespaces = new Map<string, Namespace>();
  /** A container is there that we may not look at. */
  isBlind = false;
  readonly #seen = new Set<string>();

  /** Looks at what it has not seen yet; true when some of that ended in the meantime. */
  *look(): Steps<boolean> {
    let hasEnded = false;
    for (const pid of numbersIn("/proc") ?? []) {
      if (this.#seen.has(pid)) continue;
      yield;
      this.#seen.add(pid);
      const threads = numbersIn(`/proc/${pid}/task`);
      if (threads === undefined) hasEnded = true;
      else for (const thread of threads) hasEnded = !this.#add(thread) || hasEnded;
    }
    return hasEnded;
  }

  /** False when the thread has ended. One that has, but is not reaped yet, holds nothing. */
  #add(task: string): boolean {
    let name: string;
    try {
      name = readlinkSync(`/proc/${task}/ns/mnt`);
    } catch (thrown) {
      if (isEnd(thrown)) return false;
      // A process with a capability that we lack, for example init where we have been given less
      // than all. Those of the machine itself only have what was inherited.
      this.isBlind ||= containerOf(Number(task)) !== null;
      return true;
    }
    const known = this.namespaces.get(name);
    if (known !== undefined) known.tasks.push(Number(task));
    else this.namespaces.set(name, { name, tasks: [Number(task)], state: "unread" });
    return true;
  }
}

function numbersIn(folder: string): readonly string[] | undefined {
  try {
    return readdirSync(folder).filter((name) => name >= "0" && name < ":");
  } catch (thrown) {
    if (isEnd(thrown)) return undefined;
    throw thrown;
  }
}

/** EINVAL: it has ended and waits for its parent, so it has no mounts any more. */
function isEnd(thrown: unknown): boolean {
  return ["ENOENT", "ESRCH", "EINVAL"].some((code) => isErrno(thrown, code));
}

/** Undefined when the process has ended. */
function rootOf(task: number): string | undefined {
  try {
    return readlinkSync(`/proc/${task}/root`);
  } catch (thrown) {
    // Reading its mounts says why.
    return isEnd(thrown) ? undefined : "/";
  }
}

/** Docker's, containerd's and Podman's ids; of nested ones the innermost. */
export function containerIn(controlGroups: string): string | null {
  return containersIn(controlGroups).at(-1) ?? null;
}

/** All of them, the outermost first: a container may make, and so name, what is inside its own. */
export function containersIn(controlGroups: string): readonly string[] {
  for (const line of controlGroups.split("\n")) {
    const ids = line.match(/(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g);
    if (ids !== null) return ids;
  }
  return [];
}

/** Of the process or thread with this number; null when it is gone, too. */
export function containerOf(task: number): string | null {
  try {
    return containerIn(readFileSync(`/proc/${task}/cgroup`, "utf8"));
  } catch {
    return null;
  }
}
