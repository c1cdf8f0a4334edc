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
  cutMs: number;
  /** When its client had it for certain, and when it was told that it has it no more. */
  readonly grantedMs: number;
  lostMs: number;
  isReleased: boolean;
}

/** Processes agree on the time that well, and times that outlive a daemon are in steps of 10 ms. */
const slackMs = 12;
const never = Number.POSITIVE_INFINITY;

/** What happened to each lock. */
export function historiesOf(
  lines: readonly RecordLine[],
  deathMs: Deaths,
): ReadonlyMap<string, readonly TimedEvent[]> {
  const asked = askedIn(lines);
  const fences = fencesOf(asked);
  const lives = livesOf(asked, lines);
  const events = asked.flatMap((one) =>
    eventsOf(one, fences).map((event) => ({ lock: one.lock, event })),
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

/** Every fence that anybody has heard of, by the call that asked for the lease. */
function fencesOf(asked: readonly Asked[]): ReadonlyMap<string, bigint> {
  const heard = asked.flatMap(({ call, answer }): readonly (readonly [string, bigint])[] => {
    if (answer?.kind === "granted") return [[call, BigInt(answer.fence)]];
    if (answer?.kind !== "listed") return [];
    return answer.held.map(({ lease, fence }) => [lease, BigInt(fence)] as const);
  });
  const fences = new Map<string, bigint>();
  for (const [call, fence] of heard) {
    const before = fences.get(call) ?? fence;
    if (before !== fence) throw new Error(`${call} has the fences ${before} and ${fence}`);
    fences.set(call, fence);
  }
  const repeated = [...fences].filter(([, fence], index, all) =>
    all.slice(0, index).some(([, earlier]) => earlier === fence),
  );
  if (repeated.length > 0) throw new Error(`fences were given twice: ${repeated.join(" and ")}`);
  return fences;
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
): ReadonlyMap<string, LeaseLife> {
  const lives = new Map<string, LeaseLife>();
  for (const { call, asks, atMs, answeredMs, answer } of asked) {
    if (asks.kind === "acquire" && answer?.kind !== "refused") {
      // What nobody had an answer for hangs on a connection that broke, at some time.
      const expiryMs = answer === undefined ? atMs : atMs + asks.ttlMs;
      const open = { cutMs: never, lostMs: never, isReleased: false };
      const client = clientOf(call);
      lives.set(call, { call, client, expiryMs, grantedMs: answeredMs, ...open });
    }
    const life = "lease" in asks ? lives.get(asks.lease) : undefined;
    if (life !== undefined && asks.kind === "release") life.isReleased = answer?.kind === "done";
    if (asks.kind !== "renew" || life === undefined || answer?.kind === "gone") continue;
    const renewedMs = atMs + asks.ttlMs;
    // An unanswered one may have shortened its time, or not.
    life.expiryMs = answer === undefined ? Math.min(life.expiryMs, renewedMs) : renewedMs;
  }
  for (const line of lines) {
    const life = lives.get(line.call);
    if (life !== undefined && line.line === "cut") life.cutMs = Math.min(life.cutMs, line.atMs);
    if (life !== undefined && line.line === "lost") life.lostMs = Math.min(life.lostMs, line.atMs);
  }
  return lives;
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

function eventsOf(
  { call, asks, atMs, answeredMs, answer }: Asked,
  fences: ReadonlyMap<string, bigint>,
): readonly TimedEvent[] {
  const untilMs = answer === undefined ? undefined : answeredMs;
  const timed = (event: LockEvent): readonly TimedEvent[] => [{ event, fromMs: atMs, untilMs }];
  switch (asks.kind) {
    case "acquire":
      if (answer?.kind === "refused") return timed({ kind: "refused" });
      return timed({
        kind: "granted",
        lease: call,
        mode: asks.mode,
        fence: fences.get(call),
      });
    case "renew":
      if (answer === undefined) return [];
      return timed({ kind: answer.kind === "gone" ? "absent" : "held", lease: asks.lease });
    case "release":
      return timed({ kind: answer?.kind === "gone" ? "absent" : "ended", lease: asks.lease });
    case "steal": {
      const lease = [...fences].find(([, fence]) => fence === BigInt(asks.fence))?.[0];
      if (lease === undefined) throw new Error(`${call} stole ${asks.fence}, which nobody has`);
      return timed({ kind: answer?.kind === "gone" ? "absent" : "ended", lease });
    }
    case "list":
      if (answer?.kind !== "listed") return [];
      return timed({ kind: "listed", leases: answer.held.map(({ lease }) => lease) });
    default:
      return asks satisfies never;
  }
}

/** Calls are numbered `CLIENT.NUMBER`. */
function clientOf(call: string): string {
  return call.slice(0, call.lastIndexOf("."));
}
