// Which volumes are asked next: never many of a server that may be dead, and few at once.
//
// A server that has not answered for a moment is asked about one volume first. When two of its
// volumes are silent (or the only one is) and none answers, all of its volumes are taken for
// unreachable, and one after the other is asked until the first one answers.
import { type HealthChange, inferState, looksMs, type Now, type Watch } from "./health-table.ts";

/** How many volumes are asked at once, of one server that has just answered, and of all. */
export const checksAtOnce = { ofServer: 4, ofAll: 8 } as const;

/** For how long after an answer a server may be asked about several volumes, in milliseconds. */
const ANSWERED_MS = 1_000;

/** How often a dead server is asked about one more volume, in milliseconds. */
const FRESH_MS = 30_000;

/** Members change. */
export interface ServerWatch {
  readonly key: string;
  /** For people. */
  readonly server: string;
  readonly watches: Map<string, Watch>;
  isDown: boolean;
  /** When it last answered, and was last asked about an idle volume, by the steady clock. */
  answeredMs: number;
  idleDueMs: number;
  probeDueMs: number;
  /** When a dead one is asked about a volume that it was not asked about yet. */
  freshDueMs: number;
  /** How many are being asked now. */
  runningCount: number;
  /** Counts through its volumes, for whose turn it is. */
  turn: number;
}

export function newServer(key: string, server: string): ServerWatch {
  const never = Number.NEGATIVE_INFINITY;
  const times = { answeredMs: never, idleDueMs: never, probeDueMs: never, freshDueMs: never };
  return { key, server, watches: new Map(), isDown: false, ...times, runningCount: 0, turn: 0 };
}

/** The volumes of one server that are to be asked now, at most `countMax`. Notes the turn. */
export function takeDue(server: ServerWatch, now: Now, countMax: number): readonly Watch[] {
  const { monotonicMs } = now;
  if (server.isDown) {
    if (server.runningCount > 0 || monotonicMs < server.probeDueMs || countMax === 0) return [];
    server.probeDueMs = monotonicMs + looksMs.trouble;
    return probe(server, monotonicMs);
  }
  const room = Math.min(countMax, roomOf(server, monotonicMs));
  if (room <= 0) return [];
  const due: Watch[] = [];
  for (const watch of server.watches.values()) {
    if (due.length === room) return due;
    if (!watch.isChecking && watch.dueMs <= monotonicMs) due.push(watch);
  }
  if (due.length < room && server.idleDueMs <= monotonicMs) {
    server.idleDueMs = monotonicMs + looksMs.idle;
    due.push(...next(server, (watch) => !watch.isChecking && watch.dueMs === Infinity));
  }
  return due;
}

/**
 * A helper may be stuck for each volume that a dead server was asked about, and asking about the
 * same ones again costs nothing: so they are few, and another one comes only now and then.
 */
function probe(server: ServerWatch, monotonicMs: number): readonly Watch[] {
  const isAsked = ({ silentSinceMs }: Watch) => silentSinceMs !== null;
  if (monotonicMs >= server.freshDueMs) {
    server.freshDueMs = monotonicMs + FRESH_MS;
    const fresh = next(server, (watch) => !watch.isChecking && !isAsked(watch));
    if (fresh.length > 0) return fresh;
  }
  return next(server, (watch) => !watch.isChecking && isAsked(watch));
}

/** A question that was given up on has ended: what was stuck is not any more. */
export function noteStir(server: ServerWatch, watch: Watch, monotonicMs: number): void {
  watch.dueMs = monotonicMs;
  server.probeDueMs = monotonicMs;
}

/** How many more of its volumes may be asked now. */
function roomOf({ answeredMs, runningCount }: ServerWatch, monotonicMs: number): number {
  const hasAnswered = monotonicMs - answeredMs < ANSWERED_MS;
  return (hasAnswered ? checksAtOnce.ofServer : 1) - runningCount;
}

/**
 * When this server is to be looked at next, by the steady clock; Infinity: when an answer comes.
 */
export function nextDueMs(server: ServerWatch, monotonicMs: number): number {
  let dueMs = Infinity;
  for (const watch of server.watches.values()) {
    dueMs = Math.min(dueMs, dueMsFor(server, watch, monotonicMs));
  }
  return dueMs;
}

/** The same, as far as one of its volumes is the reason. */
export function dueMsFor(server: ServerWatch, watch: Watch, monotonicMs: number): number {
  if (server.isDown) return server.runningCount > 0 ? Infinity : server.probeDueMs;
  if (watch.isChecking || roomOf(server, monotonicMs) <= 0) return Infinity;
  return watch.dueMs === Infinity ? server.idleDueMs : watch.dueMs;
}

/** After an answer of one volume: the server answers, is silent, or one more is to be asked. */
export function noteServer(server: ServerWatch, watch: Watch, now: Now): readonly HealthChange[] {
  if (watch.answer !== "unreachable") {
    server.answeredMs = now.monotonicMs;
    return server.isDown ? comeBack(server, now) : [];
  }
  if (server.isDown) return [];
  // Those that were silent when the server last answered say nothing of it.
  const silent = [...server.watches.values()].filter(
    ({ silentSinceMs }) => silentSinceMs !== null && silentSinceMs > server.answeredMs,
  );
  const isBelieved = silent.some(({ state }) => state === "unreachable");
  if (isBelieved && silent.length >= Math.min(2, server.watches.size)) {
    return goDown(server, watch, now);
  }
  // Another volume tells a dead server from a dead export.
  if (silent.length !== 1) return [];
  const [other] = next(server, (one) => !one.isChecking && one.answer !== "unreachable");
  if (other !== undefined) other.dueMs = now.monotonicMs;
  return [];
}

function goDown(server: ServerWatch, { reason }: Watch, now: Now): readonly HealthChange[] {
  server.isDown = true;
  server.probeDueMs = now.monotonicMs + looksMs.trouble;
  server.freshDueMs = now.monotonicMs + FRESH_MS;
  const to = { state: "unreachable", reason } as const;
  return [...server.watches.values()].flatMap((watch) => inferState(watch, to, now.nowMs) ?? []);
}

/** Those that were asked themselves are asked again; of the others nothing else was ever known. */
function comeBack(server: ServerWatch, now: Now): readonly HealthChange[] {
  server.isDown = false;
  const changes: HealthChange[] = [];
  for (const watch of server.watches.values()) {
    if (watch.state !== "unreachable") continue;
    if (watch.isHeld || !watch.isInferred) watch.dueMs = now.monotonicMs;
    if (!watch.isInferred) continue;
    const change = inferState(watch, { state: "ready", reason: "" }, now.nowMs);
    if (change !== undefined) changes.push(change);
    watch.isInferred = false;
  }
  return changes;
}

/** The next one in turn that is wanted; those that somebody has come first. */
function next(server: ServerWatch, isWanted: (watch: Watch) => boolean): readonly Watch[] {
  const wanted = [...server.watches.values()].filter(isWanted);
  const held = wanted.filter(({ isHeld }) => isHeld);
  const from = held.length > 0 ? held : wanted;
  server.turn += 1;
  const found = from[server.turn % Math.max(1, from.length)];
  return found === undefined ? [] : [found];
}
