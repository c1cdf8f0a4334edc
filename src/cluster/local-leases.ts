// Leases of one process, in memory: what a single machine needs.
//
// The uncontended way is the hot way: no timer, no listener, nothing but a small object. A key that
// nobody holds or waits for takes no memory. Fences come from one counter of all keys, so that no
// key need be remembered for its fence to grow.
import { EngineError } from "../core/errors.ts";
import type { Lease, LeaseService, LockKey } from "../core/lease-service.ts";
import { LEASE_WAIT_MS_MAX } from "../core/lease-service.ts";
import type { Operation } from "../core/operation.ts";

type Mode = "shared" | "exclusive";

/** What the service needs of its surroundings. */
export interface LocalLeaseParts {
  /** A clock that only goes forward, in milliseconds. */
  monotonicMs(): number;
  /** How long `acquire` waits; at most and by default `LEASE_WAIT_MS_MAX`. */
  readonly waitMsMax?: number | undefined;
  /** Calls `fire` after `delayMs` unless the result is called first; by default a real timer. */
  readonly startTimer?: ((delayMs: number, fire: () => void) => () => void) | undefined;
}

/** One who waits, linked to the next one of the same key. */
interface Waiter {
  readonly mode: Mode;
  readonly operation: Operation;
  readonly expiresAtMs: number;
  readonly resolve: (lease: Lease) => void;
  readonly reject: (error: unknown) => void;
  readonly onAbort: () => void;
  previous: Waiter | undefined;
  next: Waiter | undefined;
}

/** A key that somebody holds. */
interface Entry {
  readonly key: LockKey;
  mode: Mode;
  heldCount: number;
  /** Who got it last, for the message of those who wait in vain. */
  heldBy: Operation;
  first: Waiter | undefined;
  last: Waiter | undefined;
}

const settled = Promise.resolve();

/** The lease service of one process. */
export interface LocalLeaseService extends LeaseService {
  /** How many keys are held now; nothing is remembered of any other. */
  readonly heldKeyCount: number;
}

/** Makes the lease service of one process. */
export function localLeases(parts: LocalLeaseParts): LocalLeaseService {
  return new LocalLeases(parts);
}

class LocalLeases implements LocalLeaseService {
  readonly #monotonicMs: () => number;
  readonly #waitMsMax: number;
  readonly #entries = new Map<LockKey, Entry>();
  /** Entries with waiters: only their first can be the next to expire. */
  readonly #waiting = new Set<Entry>();
  #fence = 0n;
  readonly #startTimer: NonNullable<LocalLeaseParts["startTimer"]>;
  /** Stops the one timer, which runs only while somebody waits. */
  #stopTimer: (() => void) | undefined;

  constructor(parts: LocalLeaseParts) {
    this.#monotonicMs = parts.monotonicMs;
    this.#startTimer = parts.startTimer ?? startTimer;
    this.#waitMsMax = Math.min(parts.waitMsMax ?? LEASE_WAIT_MS_MAX, LEASE_WAIT_MS_MAX);
  }

  get heldKeyCount(): number {
    return this.#entries.size;
  }

  acquire(key: LockKey, mode: Mode, operation: Operation): Promise<Lease> {
    if (operation.signal.aborted) return Promise.reject(cancellation(key, operation));
    const entry = this.#entries.get(key);
    if (entry === undefined) {
      const made: Entry = {
        key,
        mode,
        heldCount: 1,
        heldBy: operation,
        first: undefined,
        last: undefined,
      };
      this.#entries.set(key, made);
      return Promise.resolve(this.#lease(made));
    }
    // Shared ones do not overtake an exclusive one that waits, or it would wait for ever.
    if (mode === "shared" && entry.mode === "shared" && entry.first === undefined) {
      entry.heldCount += 1;
      entry.heldBy = operation;
      return Promise.resolve(this.#lease(entry));
    }
    return this.#wait(entry, mode, operation);
  }

  #lease(entry: Entry): Lease {
    this.#fence += 1n;
    return new LocalLease(entry.key, this.#fence, () => this.#release(entry));
  }

  #wait(entry: Entry, mode: Mode, operation: Operation): Promise<Lease> {
    const { promise, resolve, reject } = Promise.withResolvers<Lease>();
    const waiter: Waiter = {
      mode,
      operation,
      expiresAtMs: this.#monotonicMs() + this.#waitMsMax,
      resolve,
      reject,
      onAbort: () => {
        this.#remove(entry, waiter);
        reject(cancellation(entry.key, operation));
        this.#grant(entry);
      },
      previous: entry.last,
      next: undefined,
    };
    if (entry.last === undefined) entry.first = waiter;
    else entry.last.next = waiter;
    entry.last = waiter;
    operation.signal.addEventListener("abort", waiter.onAbort, { once: true });
    this.#waiting.add(entry);
    this.#stopTimer ??= this.#startTimer(this.#waitMsMax, this.#expire);
    return promise;
  }

  #release(entry: Entry): void {
    entry.heldCount -= 1;
    this.#grant(entry);
    if (entry.heldCount === 0) this.#entries.delete(entry.key);
  }

  /** Gives the key to as many of those in front as may hold it together. */
  #grant(entry: Entry): void {
    for (let waiter = entry.first; waiter !== undefined; waiter = entry.first) {
      const isShared = waiter.mode === "shared" && entry.mode === "shared";
      if (entry.heldCount > 0 && !isShared) return;
      this.#remove(entry, waiter);
      entry.mode = waiter.mode;
      entry.heldCount += 1;
      entry.heldBy = waiter.operation;
      waiter.resolve(this.#lease(entry));
    }
  }

  #remove(entry: Entry, waiter: Waiter): void {
    waiter.operation.signal.removeEventListener("abort", waiter.onAbort);
    if (waiter.previous === undefined) entry.first = waiter.next;
    else waiter.previous.next = waiter.next;
    if (waiter.next === undefined) entry.last = waiter.previous;
    else waiter.next.previous = waiter.previous;
    if (entry.first !== undefined) return;
    this.#waiting.delete(entry);
    if (this.#waiting.size > 0) return;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  /** All wait equally long, so those in front of each key expire first. */
  readonly #expire = (): void => {
    this.#stopTimer = undefined;
    const nowMs = this.#monotonicMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const entry of [...this.#waiting]) {
      while (entry.first !== undefined && entry.first.expiresAtMs <= nowMs) {
        const waiter = entry.first;
        this.#remove(entry, waiter);
        waiter.reject(expiry(entry, this.#waitMsMax));
      }
      this.#grant(entry);
      nextMs = Math.min(nextMs, entry.first?.expiresAtMs ?? Number.POSITIVE_INFINITY);
    }
    if (this.#waiting.size === 0) return;
    this.#stopTimer ??= this.#startTimer(Math.max(1, Math.ceil(nextMs - nowMs)), this.#expire);
  };
}

class LocalLease implements Lease {
  readonly key: LockKey;
  readonly fence: bigint;
  #release: (() => void) | undefined;
  #lost: AbortSignal | undefined;

  constructor(key: LockKey, fence: bigint, release: () => void) {
    this.key = key;
    this.fence = fence;
    this.#release = release;
  }

  /** Never fires: nobody can take a lease away from its own process. Made for whoever looks. */
  get lost(): AbortSignal {
    this.#lost ??= new AbortController().signal;
    return this.#lost;
  }

  [Symbol.asyncDispose](): Promise<void> {
    const release = this.#release;
    this.#release = undefined;
    release?.();
    return settled;
  }
}

function startTimer(delayMs: number, fire: () => void): () => void {
  const timer = setTimeout(fire, delayMs);
  return () => clearTimeout(timer);
}

function cancellation(key: LockKey, { signal }: Operation): EngineError {
  const reason: unknown = signal.reason;
  if (reason instanceof EngineError) return reason;
  return new EngineError("operation.cancelled", `cancelled while waiting for ${key}`, {
    cause: reason,
  });
}

function expiry({ key, heldBy }: Entry, waitedMs: number): EngineError {
  return new EngineError(
    "operation.timed_out",
    `waited ${waitedMs} ms for ${key}, which operation ${heldBy.id} holds`,
    { details: { key, heldBy: heldBy.id, waitedMs } },
  );
}
