// What each container may take of the locks' socket, so that none of them can starve the others.
import type { InsideCaller } from "../../engine/locks/lock-sight.ts";

/** Connections of all callers together. Must be below what the server itself allows. */
export const CONNECTIONS_MAX = 4_096;

/** Connections of one container. One that waits for a lock, or holds one by it, counts too. */
export const CONNECTIONS_PER_CONTAINER_MAX = 256;

/** The last quarter of the room is kept for containers that have no more than so many. */
const FEW_CONNECTIONS = 16;
const CROWDED_COUNT = (CONNECTIONS_MAX / 4) * 3;

/** Of all who have no volume together: they are told so, and have no use for more. */
const STRANGERS_MAX = 32;
export const STRANGERS = "";

/** Requests of one container in a row, and then each second. */
const BURST_MAX = 1_000;
const REQUESTS_PER_SECOND = 1_000;

/** What a millisecond of the daemon's time costs, in turns: no container gets over a quarter. */
const TURNS_PER_MS = 4;

/** Whoever owes so many turns is not even looked at when he connects. */
const SPENT_TURNS = -1_000;

/** Lines that refusals of all containers together may add to the log, in a minute. */
const LOG_LINES_MAX = 30;
const LOG_SPAN_MS = 60_000;

interface Share {
  connectionCount: number;
  /** Requests that may come at once, as of `atMs`; below 0: what was had cost too much. */
  turns: number;
  atMs: number;
}

/** Counts connections and paces requests by `InsideCaller.key`. */
export class Shares {
  readonly #monotonicMs: () => number;
  readonly #shares = new Map<string, Share>();
  #connectionCount = 0;
  #logLines = 0;
  #logSinceMs = Number.NEGATIVE_INFINITY;

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  get connectionCount(): number {
    return this.#connectionCount;
  }

  /** Returns what gives the connection back, to be called once, or why there is none. */
  connect(caller: Pick<InsideCaller, "key"> | undefined): (() => void) | string {
    const key = caller?.key ?? STRANGERS;
    const share = this.#shares.get(key) ?? this.#newShare();
    const most = this.#mostOf(key);
    if (share.connectionCount >= most) {
      return `too many connections: this container may have ${most} at this time`;
    }
    this.#shares.set(key, share);
    share.connectionCount += 1;
    this.#connectionCount += 1;
    return () => {
      share.connectionCount -= 1;
      this.#connectionCount -= 1;
      this.#forgetIdle(key, share);
    };
  }

  /**
   * How long the next request of a key must wait at least, in milliseconds; 0: it has had its turn.
   * Then it is asked again.
   */
  turn(key: string): number {
    const share = this.#shares.get(key);
    // Its last connection has just ended.
    if (share === undefined) return 0;
    this.#earn(share);
    if (share.turns < 1) return Math.ceil(((1 - share.turns) / REQUESTS_PER_SECOND) * 1_000);
    share.turns -= 1;
    return 0;
  }

  /** What was done for a key has taken so long. */
  charge(key: string, tookMs: number): void {
    const share = this.#shares.get(key) ?? this.#newShare();
    this.#shares.set(key, share);
    this.#earn(share);
    share.turns -= tookMs * TURNS_PER_MS;
    this.#forgetIdle(key, share);
  }

  /** Whether a key owes so much that it is better turned away. */
  isSpent(key: string): boolean {
    const share = this.#shares.get(key);
    if (share === undefined) return false;
    this.#earn(share);
    return share.turns < SPENT_TURNS;
  }

  /** Whether one more line may go to the log. */
  mayLog(): boolean {
    const nowMs = this.#monotonicMs();
    if (nowMs - this.#logSinceMs >= LOG_SPAN_MS) {
      this.#logSinceMs = nowMs;
      this.#logLines = 0;
    }
    this.#logLines += 1;
    return this.#logLines <= LOG_LINES_MAX;
  }

  #earn(share: Share): void {
    const nowMs = this.#monotonicMs();
    const earned = ((nowMs - share.atMs) / 1_000) * REQUESTS_PER_SECOND;
    share.turns = Math.min(BURST_MAX, share.turns + earned);
    share.atMs = nowMs;
  }

  /** What was used is not forgotten with the last connection: he could come again at once. */
  #forgetIdle(key: string, share: Share): void {
    if (share.connectionCount > 0) return;
    this.#earn(share);
    if (share.turns >= BURST_MAX) this.#shares.delete(key);
  }

  #newShare(): Share {
    // Those that went some time ago.
    for (const [key, share] of this.#shares) this.#forgetIdle(key, share);
    return { connectionCount: 0, turns: BURST_MAX, atMs: this.#monotonicMs() };
  }

  #mostOf(key: string): number {
    if (key === STRANGERS) return STRANGERS_MAX;
    return this.#connectionCount >= CROWDED_COUNT ? FEW_CONNECTIONS : CONNECTIONS_PER_CONTAINER_MAX;
  }
}
