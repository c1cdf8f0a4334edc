// Where in all mount namespaces of the machine the mounts of given peer groups are.
//
// Threads count like processes: dockerd copies files of containers in a namespace of one thread.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { isErrno } from "../core/errors.ts";
import { type LooseMount, type PeerMount, type PeerScan, placeOfMount } from "../core/host.ts";
import {
  escapeOctal,
  parseMountTable,
  topmostAt,
  trueTarget,
  unescapeOctal,
} from "./mount-table.ts";

/** A process that ends may have left a child that was not listed: looked at anew so often. */
const PASSES_MAX = 3;

/** What a namespace is known by, until its mounts have been read. */
interface Namespace {
  readonly name: string;
  /** Processes and threads in it, by their numbers. */
  readonly tasks: number[];
  state: "unread" | "read" | "unreadable";
}

/** `Host.peerMounts`. Waits for no storage: /proc only. */
export function findPeerMounts(
  groups: ReadonlySet<number>,
  places: ReadonlySet<string> = new Set(),
): PeerScan {
  const found: Found = { mounts: [], loose: [] };
  if (groups.size === 0 && places.size === 0) return { ...found, isWhole: true };
  const census = new Census();
  for (let pass = 0; pass < PASSES_MAX; pass += 1) {
    let hasMissed = census.look();
    for (const namespace of census.namespaces.values()) {
      if (namespace.state === "read") continue;
      readNamespace(namespace, { groups, places }, found);
      hasMissed ||= namespace.state === "unread";
    }
    if (!hasMissed) break;
  }
  // What is still "unread" had only processes that have ended: it is gone.
  const isWhole = [...census.namespaces.values()].every(({ state }) => state !== "unreadable");
  return { ...found, isWhole: isWhole && !census.isBlind };
}

/** `Host.seesMount`. */
export function seesMount(pid: number, target: string, group: number): boolean | undefined {
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
  look(): boolean {
    let hasEnded = false;
    for (const pid of numbersIn("/proc") ?? []) {
      if (this.#seen.has(pid)) continue;
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

interface Wanted {
  readonly groups: ReadonlySet<number>;
  readonly places: ReadonlySet<string>;
}

interface Found {
  readonly mounts: PeerMount[];
  readonly loose: LooseMount[];
}

/** Adds what it finds to `all`. */
function readNamespace(namespace: Namespace, { groups, places }: Wanted, all: Found): void {
  const chrooted = new Map<string, number>();
  const read = (task: number): boolean => {
    try {
      const text = readFileSync(`/proc/${task}/mountinfo`, "utf8");
      namespace.state = "read";
      const found = [...peersIn(text, groups)];
      const loose = places.size === 0 ? [] : looseIn(text, { groups, places });
      if (found.length + loose.length === 0) return true;
      const of = { namespace: namespace.name, pid: task, container: containerOf(task) };
      for (const one of found) all.mounts.push({ ...one, ...of });
      for (const one of loose) all.loose.push({ ...one, ...of });
      return true;
    } catch (thrown) {
      if (!isEnd(thrown)) namespace.state = "unreadable";
      return false;
    }
  };
  for (const task of namespace.tasks.splice(0)) {
    // A process sees what lies below its root: any other way into the namespace is better.
    const root = rootOf(task);
    if (root === "/") {
      if (read(task)) return;
    } else if (root !== undefined && !chrooted.has(root)) chrooted.set(root, task);
  }
  for (const task of chrooted.values()) read(task);
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
 * The lines of a mount table with one of the groups. Written for speed: a table has a line for each
 * hold of the machine, and there is a table for each container.
 */
export function* peersIn(text: string, groups: ReadonlySet<number>): Generator<FoundPeer> {
  for (const { index, 0: word, 1: digits } of text.matchAll(/ (?:shared|master):(\d+)(?= )/g)) {
    const group = Number(digits);
    if (!groups.has(group)) continue;
    const start = text.lastIndexOf("\n", index) + 1;
    const [, , , , target, options, ...rest] = text.slice(start, index + word.length).split(" ");
    // Behind the separator it would be the source's name.
    if (target === undefined || options === undefined || rest.includes("-")) continue;
    const isReadOnly = options === "ro" || options.startsWith("ro,");
    yield { group, target: unescapeOctal(target), isReadOnly };
  }
}

/** The lines of a mount table that show one of the places and are in none of the groups. */
export function looseIn(
  text: string,
  { groups, places }: Wanted,
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
