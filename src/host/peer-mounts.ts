// Where in all mount namespaces of the machine the mounts of given peer groups are.
import { readFileSync, readlinkSync } from "node:fs";
import type { SightQuestion } from "../core/host.ts";
import {
  type LooseMount,
  type PeerMount,
  type PeerQuestion,
  type PeerScan,
  placeOfMount,
} from "../core/peer-mount.ts";
import { groupsSeenBy } from "./mount-facts.ts";
import {
  escapeOctal,
  parseMountTable,
  topmostAt,
  trueTarget,
  unescapeOctal,
} from "./mount-table.ts";
import {
  containerOf,
  type NamespaceTable,
  readingMountTables,
  runInTurns,
  runNow,
  type Steps,
} from "./namespaces.ts";

/**
 * How often is looked for further groups that get mounts from ours. The second look knows the whole
 * chain, however long it is (any user can make one in a namespace of their own): a further one only
 * finds what has come meanwhile. What comes faster than that is not seen, and said so.
 */
const LOOKS_MAX = 5;

/** `Host.peerMounts`. Waits for no storage: /proc only. */
export function findPeerMounts(question: PeerQuestion): PeerScan {
  return runNow(scanning(question));
}

/** `Host.peerMountsInTurns`. The kernel writes mount tables in other threads meanwhile. */
export async function findPeerMountsInTurns(question: PeerQuestion): Promise<PeerScan> {
  return await runInTurns(scanning(question));
}

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
  const isWhole = yield* readingMountTables((table) => addFound(table, wanted, found));
  return { ...found, isWhole };
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

function addFound({ text, ...of }: NamespaceTable, wanted: Wanted, all: Found): void {
  const { groups, places, wantsChains } = wanted;
  const found = [...peersIn(text, groups)];
  notePassedOn(text, wantsChains ? undefined : groups, all.passedOn);
  const loose = places.size === 0 ? [] : looseIn(text, { groups, places });
  if (found.length + loose.length === 0) return;
  const more = { ...of, container: containerOf(of.pid) };
  for (const one of found) all.mounts.push({ ...one, ...more });
  for (const one of loose) all.loose.push({ ...one, ...more });
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
