// What each container may take of the locks' socket, so that none of them can starve the others.
import type { InsideCaller } from "../../engine/lock-sight.ts";

/** Connections of all callers together. Must be below what the server itself allows. */
export const CONNECTIONS_MAX = 4_096;

/** Connections of one container. One that waits for a lock, or holds one by it, counts too. */
export const CONNECTIONS_PER_CONTAINER_MAX = 256;

/** The last quarter of the room is kept for containers that have no more than so many. */
const FEW_CONNECTIONS = 16;
const CROWDED_COUNT = (CONNECTIONS_MAX / 4) * 3;

/** Of all who have no volume together: they are told so, and have no use for more. */
const STRANGERS_MAX = 32;
const STRANGERS = "";

/** Requests of one container in a row, and then each second. */
const BURST_MAX = 1_000;
const REQUESTS_PER_SECOND = 1_000;

/** Lines that refusals of all containers together may add to the log, in a minute. */
const LOG_LINES_MAX = 30;
const LOG_SPAN_MS = 60_000;

interface Share {
  connectionCount: number;
  /** Requests that may come at once, as of `atMs`; below 0: so many have been promised a turn. */
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
      // Its turns are forgotten too: who reconnects for each request pays more than he gains.
      if (share.connectionCount === 0) this.#shares.delete(key);
    };
  }

  /** How long the next request of a caller must wait for its turn, in milliseconds; 0: not. */
  turn({ key }: Pick<InsideCaller, "key">): number {
    const share = this.#shares.get(key);
    // Its last connection has just ended.
    if (share === undefined) return 0;
    const nowMs = this.#monotonicMs();
    const earned = ((nowMs - share.atMs) / 1_000) * REQUESTS_PER_SECOND;
    share.turns = Math.min(BURST_MAX, share.turns + earned) - 1;
    share.atMs = nowMs;
    return share.turns >= 0 ? 0 : Math.ceil((-share.turns / REQUESTS_PER_SECOND) * 1_000);
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

  #newShare(): Share {
    return { connectionCount: 0, turns: BURST_MAX, atMs: this.#monotonicMs() };
  }

  #mostOf(key: string): number {
    if (key === STRANGERS) return STRANGERS_MAX;
    return this.#connectionCount >= CROWDED_COUNT ? FEW_CONNECTIONS : CONNECTIONS_PER_CONTAINER_MAX;
  }
}
