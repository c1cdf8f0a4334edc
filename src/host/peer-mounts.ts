// Where in all mount namespaces of the machine the mounts of given peer groups are.
//
// Threads count like processes: dockerd copies files of containers in a namespace of one thread.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { isErrno } from "../core/errors.ts";
import {
  type LooseMount,
  type PeerMount,
  type PeerQuestion,
  type PeerScan,
  placeOfMount,
  type SightQuestion,
} from "../core/host.ts";
import { groupsSeenBy } from "./mount-facts.ts";
import {
  escapeOctal,
  parseMountTable,
  topmostAt,
  trueTarget,
  unescapeOctal,
} from "./mount-table.ts";

/** A process that ends may have left a child that was not listed: looked at anew so often. */
const PASSES_MAX = 3;

/**
 * How often is looked for further groups that get mounts from ours. The second look knows the whole
 * chain, however long it is (any user can make one in a namespace of their own): a further one only
 * finds what has come meanwhile. What comes faster than that is not seen, and said so.
 */
const LOOKS_MAX = 5;

/** What a namespace is known by, until its mounts have been read. */
interface Namespace {
  readonly name: string;
  /** Processes and threads in it, by their numbers. */
  readonly tasks: number[];
  state: "unread" | "read" | "unreadable";
}

/** How long `findPeerMountsInTurns` keeps the thread for itself, in milliseconds. */
const TURN_MS = 1;

/** `Host.peerMounts`. Waits for no storage: /proc only. */
export function findPeerMounts(question: PeerQuestion): PeerScan {
  const work = scanning(question);
  for (let answer: FileAnswer; ; ) {
    const step = work.next(answer);
    if (step.done === true) return step.value;
    answer = step.value === undefined ? undefined : readNow(step.value);
  }
}

/** `Host.peerMountsInTurns`. The kernel writes mount tables in other threads meanwhile. */
export async function findPeerMountsInTurns(question: PeerQuestion): Promise<PeerScan> {
  const work = scanning(question);
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

/** The text of a file that a step has asked for, or why there is none. */
type FileAnswer = string | { readonly thrown: unknown } | undefined;

function readNow(path: string): FileAnswer {
  try {
    return readFileSync(path, "utf8");
  } catch (thrown) {
    return { thrown };
  }
}

/** A step is a process that was looked at, or the path of a mount table that is to be read. */
type Steps<T> = Generator<string | undefined, T, FileAnswer>;

/**
 * An engine in a namespace that gets mounts from ours and shares them on (systemd makes such ones
 * for services) has copies with groups of their own, and those of its containers are in these.
 */
function* scanning({ groups, places = new Set() }: PeerQuestion): Steps<PeerScan> {
  if (groups.size === 0 && places.size === 0) return { mounts: [], loose: [], isWhole: true };
  const origins = new Map([...groups.keys()].map((group) => [group, group]));
  for (let look = 1; ; look += 1) {
    const ends = [...origins].map(([group, origin]) => [group, groups.get(origin) ?? ""] as const);
    const wanted = { groups: new Map(ends), places, wantsChains: look > 1 };
    const { passedOn, ...scan } = yield* scanningOnce(wanted);
    const isComplete = !addPassedOn(passedOn, origins);
    if (isComplete || look === LOOKS_MAX) {
      const isPlain = wanted.groups.size === groups.size;
      const mounts = isPlain ? scan.mounts : ofOrigins(scan.mounts, origins);
      return { ...scan, mounts, isWhole: scan.isWhole && isComplete };
    }
  }
}

/** Adds the groups that get mounts from those of `origins`, through others too. True: there are. */
function addPassedOn(passedOn: ReadonlyMap<number, number>, origins: Map<number, number>): boolean {
  const countBefore = origins.size;
  for (let size = -1; size !== origins.size; ) {
    size = origins.size;
    for (const [group, master] of passedOn) {
      const origin = origins.get(master);
      if (origin !== undefined && !origins.has(group)) origins.set(group, origin);
    }
  }
  return origins.size > countBefore;
}

/** As of the groups that were asked for; what is in two of one origin is one mount. */
function ofOrigins(
  mounts: readonly PeerMount[],
  origins: ReadonlyMap<number, number>,
): readonly PeerMount[] {
  const found = new Map<string, PeerMount>();
  for (const mount of mounts) {
    const group = origins.get(mount.group) ?? mount.group;
    found.set(`${group} ${mount.namespace} ${mount.target}`, { ...mount, group });
  }
  return [...found.values()];
}

function* scanningOnce(wanted: Wanted): Steps<Found & { readonly isWhole: boolean }> {
  const found: Found = { mounts: [], loose: [], passedOn: new Map() };
  const census = new Census();
  for (let pass = 0; pass < PASSES_MAX; pass += 1) {
    let hasMissed = yield* census.look();
    for (const namespace of census.namespaces.values()) {
      if (namespace.state === "read") continue;
      yield* readNamespace(namespace, wanted, found);
      hasMissed ||= namespace.state === "unread";
    }
    if (!hasMissed) break;
  }
  // What is still "unread" had only processes that have ended: it is gone.
  const isWhole = [...census.namespaces.values()].every(({ state }) => state !== "unreadable");
  return { ...found, isWhole: isWhole && !census.isBlind };
}

/** `Host.isInNamespace`. What has ended, or may not be looked at, is in none. */
export function isInNamespace(pid: number, namespace: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`) === namespace;
  } catch {
    return false;
  }
}

/** `Host.seesMount`. */
export function seesMount(
  pid: number,
  target: string,
  { group, mayHang }: SightQuestion,
): boolean | undefined {
  const seen = mayHang ? undefined : groupsSeenBy(pid, trueTarget(target));
  if (seen === "none") return false;
  if (seen !== undefined) return seen.own === group || seen.master === group;
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/mountinfo`, "utf8");
  } catch {
    return undefined;
  }
  const path = trueTarget(target);
  const word = ` ${escapeOctal(path)} `;
  const lines = text.split("\n").filter((line) => line.includes(word));
  const top = topmostAt(parseMountTable(lines.join("\n")), path);
  if (top === undefined) return false;
  return top.propagation.some((one) => one === `shared:${group}` || one === `master:${group}`);
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

interface Wanted extends Required<PeerQuestion> {
  /** Which group gets mounts from which is asked of all, not of those asked for only. */
  readonly wantsChains: boolean;
}

interface Found {
  readonly mounts: PeerMount[];
  readonly loose: LooseMount[];
  /** Groups, and the one that each gets its mounts from. */
  readonly passedOn: Map<number, number>;
}

/** Adds what it finds to `all`. */
function* readNamespace(namespace: Namespace, wanted: Wanted, all: Found): Steps<void> {
  const { groups, places, wantsChains } = wanted;
  const chrooted = new Map<string, number>();
  function* read(task: number): Steps<boolean> {
    const text = yield `/proc/${task}/mountinfo`;
    if (typeof text !== "string") {
      if (!isEnd(text?.thrown)) namespace.state = "unreadable";
      return false;
    }
    namespace.state = "read";
    const found = [...peersIn(text, groups)];
    notePassedOn(text, wantsChains ? undefined : groups, all.passedOn);
    const loose = places.size === 0 ? [] : looseIn(text, { groups, places });
    if (found.length + loose.length === 0) return true;
    const of = { namespace: namespace.name, pid: task, container: containerOf(task) };
    for (const one of found) all.mounts.push({ ...one, ...of });
    for (const one of loose) all.loose.push({ ...one, ...of });
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

/** Undefined when the process has ended. */
function rootOf(task: number): string | undefined {
  try {
    return readlinkSync(`/proc/${task}/root`);
  } catch (thrown) {
    // Reading its mounts says why.
    return isEnd(thrown) ? undefined : "/";
  }
}

type FoundPeer = Pick<PeerMount, "group" | "target" | "isReadOnly">;

/**
 * The lines of a mount table with one of the groups, but for targets that end as the group says.
 * Written for speed: a table has a line for each hold of the machine, and there is a table for each
 * container.
 */
export function* peersIn(text: string, groups: ReadonlyMap<number, string>): Generator<FoundPeer> {
  for (const { index, 0: word, 1: digits } of text.matchAll(/ (?:shared|master):(\d+)(?= )/g)) {
    const group = Number(digits);
    const end = groups.get(group);
    if (end === undefined) continue;
    const start = text.lastIndexOf("\n", index) + 1;
    const [, , , , target, options, ...rest] = text.slice(start, index + word.length).split(" ");
    // Behind the separator it would be the source's name.
    if (target === undefined || options === undefined || rest.includes("-")) continue;
    if (end !== "" && target.endsWith(end)) continue;
    const isReadOnly = options === "ro" || options.startsWith("ro,");
    yield { group, target: unescapeOctal(target), isReadOnly };
  }
}

/** `groups`: only those that get mounts from one of these. */
function notePassedOn(
  text: string,
  groups: ReadonlyMap<number, string> | undefined,
  passedOn: Map<number, number>,
): void {
  for (const [, shared, master] of text.matchAll(/ shared:(\d+) master:(\d+)(?= )/g)) {
    if (groups === undefined || groups.has(Number(master))) {
      passedOn.set(Number(shared), Number(master));
    }
  }
}

/** The lines of a mount table that show one of the places and are in none of the groups. */
export function looseIn(
  text: string,
  { groups, places }: Required<PeerQuestion>,
): readonly Pick<LooseMount, "place" | "target" | "isReadOnly">[] {
  return parseMountTable(text).flatMap((mount) => {
    const place = placeOfMount(mount);
    if (!places.has(place)) return [];
    const { target, options, propagation } = mount;
    const isPeer = propagation.some((word) => {
      const [, digits] = /^(?:shared|master):(\d+)$/.exec(word) ?? [];
      return digits !== undefined && groups.has(Number(digits));
    });
    return isPeer ? [] : [{ place, target, isReadOnly: options.includes("ro") }];
  });
}

/** Docker's, containerd's and Podman's ids; of nested ones the innermost. */
export function containerIn(controlGroups: string): string | null {
  for (const line of controlGroups.split("\n")) {
    const id = line.match(/(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g)?.at(-1);
    if (id !== undefined) return id;
  }
  return null;
}

function containerOf(task: number): string | null {
  try {
    return containerIn(readFileSync(`/proc/${task}/cgroup`, "utf8"));
  } catch {
    return null;
  }
}
