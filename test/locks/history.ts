// Makes what clients wrote down a history of each lock: events, with the time in which each fell.
import type { LockEvent } from "./history-model.ts";
import type { LockAnswer, LockCall, RecordLine } from "./history-record.ts";

/** An event that happened at one moment between two times, in milliseconds. */
export interface TimedEvent {
  readonly event: LockEvent;
  readonly fromMs: number;
  /** undefined: no end is known, and it may not have happened at all. */
  readonly untilMs: number | undefined;
}

/** When the client of each name was killed. */
export type Deaths = ReadonlyMap<string, number>;

/** One call with its answer. */
interface Asked {
  readonly call: string;
  readonly lock: string;
  readonly asks: LockCall;
  readonly atMs: number;
  readonly answeredMs: number;
  /** undefined: there was none. */
  readonly answer: LockAnswer | undefined;
}

/** A lease, and what is known of its end. */
interface LeaseLife {
  readonly call: string;
  readonly client: string;
  /** From when on its time may have run out. */
  expiryMs: number;
  /** Its connection was cut, or somebody asked for its end and was not answered. */
  cutMs: number;
  /** When its client had it for certain, and when it was told that it has it no more. */
  readonly grantedMs: number;
  lostMs: number;
  isReleased: boolean;
}

/** Processes agree on the time that well, and times that outlive a daemon are in steps of 10 ms. */
const slackMs = 12;
/** What nobody knows of is gone by then: the longest time to live that is asked for, and a bit. */
const ghostMs = 3_000;
const never = Number.POSITIVE_INFINITY;

/** What happened to each lock. */
export function historiesOf(
  lines: readonly RecordLine[],
  deathMs: Deaths,
): ReadonlyMap<string, readonly TimedEvent[]> {
  const asked = askedIn(lines);
  const fences = fencesOf(asked);
  const lives = livesOf(asked, lines, fences);
  const ghosts = ghostsOf(asked, lines, fences);
  const events = asked.flatMap((one) =>
    hidesBehind(one, ghosts)
      ? []
      : eventsOf(one, fences).map((event) => ({ lock: one.lock, event })),
  );
  for (const { call, lock, asks } of asked) {
    const life = lives.get(call);
    if (asks.kind !== "acquire" || life === undefined) continue;
    if (!life.isReleased) events.push({ lock, event: endOf(life, deathMs) });
    if (life.lostMs !== never) events.push({ lock, event: lossOf(life) });
  }
  const perLock = Map.groupBy(events, ({ lock }) => lock);
  return new Map([...perLock].map(([lock, own]) => [lock, own.map(({ event }) => event)]));
}

/** A fence that somebody has heard of, and by when. */
interface Heard {
  readonly fence: bigint;
  readonly byMs: number;
}

type Fences = ReadonlyMap<string, Heard>;

/** By the call that asked for the lease. Throws where one was given twice. */
function fencesOf(asked: readonly Asked[]): Fences {
  const heard = asked.flatMap(({ call, answer, answeredMs: byMs }) => {
    if (answer?.kind === "granted") return [{ call, fence: BigInt(answer.fence), byMs }];
    if (answer?.kind !== "listed") return [];
    return answer.held.map(({ lease, fence }) => ({ call: lease, fence: BigInt(fence), byMs }));
  });
  const fences = new Map<string, Heard>();
  const calls = new Map<bigint, string>();
  for (const { call, fence, byMs } of heard) {
    const before = fences.get(call);
    const other = calls.get(fence) ?? call;
    if (other !== call) throw new Error(`the fence ${fence} was given twice: ${other}, ${call}`);
    if (before !== undefined && before.fence !== fence) {
      throw new Error(`${call} has the fences ${before.fence} and ${fence}`);
    }
    calls.set(fence, call);
    fences.set(call, { fence, byMs: Math.min(byMs, before?.byMs ?? byMs) });
  }
  return fences;
}

/** Between these times somebody may have had the lock whom nobody has heard of. */
interface Ghost {
  readonly lock: string;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Calls whose clients, or whose daemon, did not live to the answer. */
function ghostsOf(
  asked: readonly Asked[],
  lines: readonly RecordLine[],
  fences: Fences,
): readonly Ghost[] {
  const cuts = new Map(lines.flatMap((line) => (line.line === "cut" ? [[line.call, line]] : [])));
  return asked.flatMap(({ call, lock, asks, atMs, answer }) => {
    if (asks.kind !== "acquire" || answer !== undefined || fences.has(call)) return [];
    const endMs = Math.max(atMs + asks.waitMs, cuts.get(call)?.atMs ?? 0);
    return [{ lock, fromMs: atMs, untilMs: endMs + ghostMs }];
  });
}

/** Who was refused while there may have been a ghost proves nothing. */
function hidesBehind({ lock, atMs, answeredMs, answer }: Asked, ghosts: readonly Ghost[]): boolean {
  if (answer?.kind !== "refused") return false;
  return ghosts.some(
    (ghost) => ghost.lock === lock && ghost.fromMs < answeredMs && ghost.untilMs > atMs,
  );
}

/** The calls, in the order in which they were made. */
function askedIn(lines: readonly RecordLine[]): readonly Asked[] {
  const answers = new Map(
    lines.flatMap((line) => (line.line === "answer" ? [[line.call, line] as const] : [])),
  );
  return lines
    .flatMap((line) => {
      if (line.line !== "call") return [];
      const { call, lock, asks, atMs } = line;
      const answered = answers.get(call);
      if (answered?.answer.kind === "unsent") return [];
      const answeredMs = answered?.atMs ?? never;
      return [{ call, lock, asks, atMs, answeredMs, answer: answered?.answer }];
    })
    .toSorted((one, other) => one.atMs - other.atMs);
}

function livesOf(
  asked: readonly Asked[],
  lines: readonly RecordLine[],
  fences: Fences,
): ReadonlyMap<string, LeaseLife> {
  const lives = new Map<string, LeaseLife>();
  const owners = new Map([...fences].map(([call, { fence }]) => [String(fence), call]));
  for (const { call, asks, atMs, answeredMs, answer } of asked) {
    if (asks.kind === "acquire" && fences.has(call)) {
      // What nobody had an answer for hangs on a connection that broke, at some time.
      const expiryMs = answer === undefined ? atMs : atMs + asks.ttlMs;
      const open = { cutMs: never, lostMs: never, isReleased: false };
      const client = clientOf(call);
      lives.set(call, { call, client, expiryMs, grantedMs: answeredMs, ...open });
    }
    const life = lives.get(asks.kind === "steal" ? (owners.get(asks.fence) ?? "") : leaseOf(asks));
    if (life === undefined) continue;
    if (asks.kind === "renew") noteRenewal(life, atMs + asks.ttlMs, answer);
    else if (answer === undefined) life.cutMs = Math.min(life.cutMs, atMs);
    else if (asks.kind === "release" && answer.kind === "done") life.isReleased = true;
  }
  for (const line of lines) {
    const life = lives.get(line.call);
    if (life !== undefined && line.line === "cut") life.cutMs = Math.min(life.cutMs, line.atMs);
    if (life !== undefined && line.line === "lost") life.lostMs = Math.min(life.lostMs, line.atMs);
  }
  return lives;
}

/** The call that asked for the lease that a call is about; "": it is about none. */
function leaseOf(asks: LockCall): string {
  return asks.kind === "renew" || asks.kind === "release" ? asks.lease : "";
}

/** One without an answer may have shortened its time, or not. */
function noteRenewal(life: LeaseLife, expiryMs: number, answer: LockAnswer | undefined): void {
  if (answer?.kind === "gone") return;
  life.expiryMs = answer === undefined ? Math.min(life.expiryMs, expiryMs) : expiryMs;
}

/** The end that nobody has asked for: its time, its connection, its process. */
function endOf(life: LeaseLife, deaths: Deaths): TimedEvent {
  const deathMs = deaths.get(life.client) ?? never;
  return {
    event: { kind: "ended", lease: life.call },
    fromMs: Math.min(life.expiryMs, life.cutMs, deathMs) - slackMs,
    untilMs: undefined,
  };
}

/** What a stream said of itself: from some moment on it was not held. */
function lossOf(life: LeaseLife): TimedEvent {
  return {
    event: { kind: "absent", lease: life.call },
    fromMs: life.grantedMs,
    untilMs: life.lostMs,
  };
}

/** None of what has no answer: of that the ends of leases are made. */
function eventsOf(
  { call, asks, atMs, answeredMs, answer }: Asked,
  fences: Fences,
): readonly TimedEvent[] {
  const timed = (event: LockEvent, untilMs = answeredMs): readonly TimedEvent[] => [
    { event, fromMs: atMs, untilMs },
  ];
  if (asks.kind === "acquire") {
    if (answer?.kind === "refused") return timed({ kind: "refused" });
    const heard = fences.get(call);
    if (heard === undefined) return [];
    const { fence, byMs } = heard;
    return timed({ kind: "granted", lease: call, mode: asks.mode, fence }, byMs);
  }
  if (answer === undefined) return [];
  const isGone = answer.kind === "gone";
  switch (asks.kind) {
    case "renew":
      return timed({ kind: isGone ? "absent" : "held", lease: asks.lease });
    case "release":
      return timed({ kind: isGone ? "absent" : "ended", lease: asks.lease });
    case "steal": {
      const lease = [...fences].find(([, { fence }]) => String(fence) === asks.fence)?.[0];
      if (lease === undefined) throw new Error(`${call} stole ${asks.fence}, which nobody has`);
      return timed({ kind: isGone ? "absent" : "ended", lease });
    }
    case "list":
      if (answer.kind !== "listed") return [];
      return timed({ kind: "listed", leases: answer.held.map(({ lease }) => lease) });
    default:
      return asks satisfies never;
  }
}

/** Calls are numbered `CLIENT.NUMBER`. */
function clientOf(call: string): string {
  return call.slice(0, call.lastIndexOf("."));
}
