// Leases of one machine: the table's rules with a clock, a timer, promises and a journal.
//
// The uncontended way is the hot way: no timer, no listener, no disk, nothing but small objects.
// What is taken with terms is written down before it is answered. One timer serves all of them.
import { EngineError, storageError } from "../core/errors.ts";
import {
  type HeldLease,
  type KeptLease,
  LEASE_KEPT_BYTES_MAX,
  LEASE_TERMS_WAIT_MS_MAX,
  LEASE_TTL_MS_MAX,
  LEASE_TTL_MS_MIN,
  LEASE_WAIT_MS_MAX,
  type Lease,
  type LeaseMode,
  type LeaseService,
  type LeaseTerms,
  type LockKey,
} from "../core/lease-service.ts";
import type { Operation } from "../core/operation.ts";
import { type Fences, memoryFences } from "./fences.ts";
import { type JournalRecord, type LeaseJournal, latestHolders } from "./lease-journal.ts";
import { type Claim, LeaseTable, type TimeOutcome } from "./lease-table.ts";
import { LocalLease } from "./local-lease.ts";

/** Places in a queue are told together, this long after the first one has changed, at least. */
const PLACES_MS = 200;
/** And no faster than this for each who is told: a long queue hears less often. */
const PLACE_MS = 0.1;

/** Whoever was stopped for longer hears first what came in meanwhile: renewals, most of all. */
const LATE_MS = 250;
const CATCH_UP_MS = 100;

/** How coarse the clock of a boot may be: nobody's time is cut by it. */
const BOOT_CLOCK_MS = 10;

/** What the service needs of its surroundings. */
export interface LocalLeaseParts {
  /** A clock that only goes forward, in milliseconds. */
  monotonicMs(): number;
  /** Wall clock in milliseconds since the epoch, for people. */
  nowMs(): number;
  /** By default a counter that begins at 1 and ends with the process. */
  readonly fences?: Fences | undefined;
  /** By default nothing outlives the process. */
  readonly journal?: LeaseJournal | undefined;
  /** How long `acquire` waits without terms; at most and by default `LEASE_WAIT_MS_MAX`. */
  readonly waitMsMax?: number | undefined;
  /** Calls `fire` after `delayMs` unless the result is called first; by default a real timer. */
  readonly startTimer?: ((delayMs: number, fire: () => void) => () => void) | undefined;
}

/** The lease service of one machine. */
export interface LocalLeaseService extends LeaseService {
  /** How many keys are held now; nothing is remembered of any other. */
  readonly heldKeyCount: number;
}

/** Makes the lease service of one machine, with what its journal says is held. */
export function localLeases(parts: LocalLeaseParts): LocalLeaseService {
  return new LocalLeases(parts);
}

type LocalClaim = Claim<LocalLease>;

class LocalLeases implements LocalLeaseService {
  readonly #parts: LocalLeaseParts;
  readonly #waitMsMax: number;
  readonly #table: LeaseTable<LocalLease>;
  readonly #journal: LeaseJournal | undefined;
  readonly #startTimer: NonNullable<LocalLeaseParts["startTimer"]>;
  /** What the clock of the boot is ahead of `monotonicMs`. */
  readonly #bootAheadMs: number;
  /** Stops the one timer, which runs only while something has a deadline. */
  #stopTimer: (() => void) | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #isCatchingUp = false;
  #stopPlaces: (() => void) | undefined;
  #kept: readonly LocalLease[];

  constructor(parts: LocalLeaseParts) {
    this.#parts = parts;
    this.#startTimer = parts.startTimer ?? startTimer;
    this.#waitMsMax = Math.min(parts.waitMsMax ?? LEASE_WAIT_MS_MAX, LEASE_WAIT_MS_MAX);
    const fences = parts.fences ?? memoryFences();
    this.#table = new LeaseTable(() => fences.next());
    this.#journal = parts.journal;
    this.#bootAheadMs = (parts.journal?.boot.nowMs() ?? 0) - parts.monotonicMs();
    this.#kept = this.#restore(fences);
  }

  get heldKeyCount(): number {
    return this.#table.keyCount;
  }

  acquire(key: LockKey, mode: LeaseMode, operation: Operation, terms?: LeaseTerms): Promise<Lease> {
    const { signal } = operation;
    if (signal.aborted) return Promise.reject(cancellation(key, operation));
    const problem = terms && problemOf(terms);
    if (problem !== undefined) return Promise.reject(new RangeError(problem));
    const owner = new LocalLease(this, operation, terms?.keep);
    const waitMs = terms?.waitMs ?? this.#waitMsMax;
    const wantsPlace = terms?.queued !== undefined;
    const request = { key, mode, owner, ttlMs: terms?.ttlMs, waitMs, wantsPlace };
    const claim = this.#table.claim(request, this.#parts.monotonicMs());
    owner.claim = claim;
    switch (claim.state) {
      case "held":
        return this.#noted(claim);
      case "ended":
        return Promise.reject(expiry(claim, 0));
      case "waiting":
        return this.#wait(claim, waitMs, terms);
    }
  }

  async revoke(key: LockKey, fence: bigint, reason: Error): Promise<boolean> {
    const claim = this.#table.find(key, fence);
    if (claim === undefined) return false;
    this.#end(claim);
    claim.owner.lose(reason);
    return true;
  }

  async held(): Promise<readonly HeldLease[]> {
    const aheadMs = this.#parts.nowMs() - this.#parts.monotonicMs();
    const held: HeldLease[] = [];
    for (const { owner, entry, mode, fence, dueMs } of this.#table.held()) {
      const { keep, sinceMs } = owner;
      if (keep === undefined) continue;
      held.push({ key: entry.key, mode, fence, sinceMs, expiresAtMs: dueMs + aheadMs, keep });
    }
    return held.sort(byFence);
  }

  async kept(): Promise<readonly KeptLease[]> {
    const kept = this.#kept.filter((lease) => lease.isHeld);
    this.#kept = [];
    return kept.map((lease) => ({ lease, keep: lease.keep ?? "", sinceMs: lease.sinceMs }));
  }

  /** For its leases: what `Lease` promises of them is in core/lease-service.ts. */
  release(lease: LocalLease): void {
    if (lease.isHeld) this.#end(lease.claim);
  }

  /** For its leases, while they are held. Throws what the journal throws, and `RangeError`. */
  renew({ claim }: LocalLease, ttlMs = claim.ttlMs): void {
    if (claim.ttlMs === undefined || ttlMs === undefined) return;
    const problem = problemOfTtl(ttlMs);
    if (problem !== undefined) throw new RangeError(problem);
    const nowMs = this.#parts.monotonicMs();
    try {
      this.#journal?.renewed(claim.fence, { ttlMs, expiresAtMs: this.#ofBoot(nowMs + ttlMs) });
    } catch (error) {
      throw storageError(error, `writing down that the lease of ${claim.entry.key} goes on`);
    }
    this.#table.renew(claim, ttlMs, nowMs);
    this.#schedule();
  }

  #wait(claim: LocalClaim, waitMs: number, terms: LeaseTerms | undefined): Promise<Lease> {
    const { operation } = claim.owner;
    const { promise, resolve, reject } = Promise.withResolvers<Lease>();
    const onAbort = (): void => {
      claim.owner.waiting = undefined;
      reject(cancellation(claim.entry.key, operation));
      this.#settle(this.#table.end(claim, this.#parts.monotonicMs()));
      this.#schedule();
    };
    claim.owner.waiting = { waitMs, queued: terms?.queued, resolve, reject, onAbort };
    operation?.signal.addEventListener("abort", onAbort, { once: true });
    this.#schedule();
    terms?.queued?.(this.#table.lastPlace(claim));
    return promise;
  }

  /** Releases, and gives the key to those who are next. */
  #end(claim: LocalClaim): void {
    if (claim.owner.keep !== undefined) this.#journal?.ended(claim.fence);
    this.#settle(this.#table.end(claim, this.#parts.monotonicMs()));
    this.#schedule();
  }

  #noted(claim: LocalClaim): Promise<Lease> {
    if (claim.owner.keep === undefined) return Promise.resolve(claim.owner);
    const problem = this.#note(claim);
    if (problem === undefined) {
      this.#schedule();
      return Promise.resolve(claim.owner);
    }
    this.#end(claim);
    return Promise.reject(problem);
  }

  /** Tells those who got their key. Who cannot be written down lets go of it again. */
  #settle(granted: readonly LocalClaim[]): void {
    const next = [...granted];
    for (const claim of next) {
      const waiting = claim.owner.stopWaiting();
      if (waiting === undefined) continue;
      const problem = claim.owner.keep === undefined ? undefined : this.#note(claim);
      if (problem === undefined) {
        waiting.resolve(claim.owner);
      } else {
        waiting.reject(problem);
        next.push(...this.#table.end(claim, this.#parts.monotonicMs()));
      }
    }
  }

  /** Has a grant outlive this process; returns why not. */
  #note({ owner, entry, mode, fence, ttlMs = 0, dueMs }: LocalClaim): EngineError | undefined {
    const { nowMs } = this.#parts;
    owner.sinceMs = nowMs();
    const { sinceMs, keep = "" } = owner;
    const { key } = entry;
    const expiresAtMs = this.#ofBoot(dueMs);
    try {
      this.#journal?.granted({ key, mode, fence, sinceMs, ttlMs, expiresAtMs, keep });
      return undefined;
    } catch (error) {
      return storageError(error, `writing down the lease of ${key}`);
    }
  }

  #ofBoot(monotonicMs: number): number {
    return monotonicMs + this.#bootAheadMs + BOOT_CLOCK_MS;
  }

  /** Holds again what the last daemon left, before anybody can ask for it. */
  #restore(fences: Fences): readonly LocalLease[] {
    const journal = this.#journal;
    if (journal === undefined) return [];
    const nowMs = this.#parts.monotonicMs();
    const left = [...journal.records.values()];
    const latest = new Map(latestHolders(left).map((record) => [record.fence, record]));
    const restored: LocalLease[] = [];
    for (const record of left) {
      fences.passOver(record.fence);
      const isOver = record.expiresAtMs - this.#bootAheadMs <= nowMs;
      if (isOver || !latest.has(record.fence)) journal.ended(record.fence);
      else restored.push(this.#restoreOne(record));
    }
    this.#schedule();
    return restored.sort((left, right) => byFence(left, right));
  }

  #restoreOne({ expiresAtMs, sinceMs, keep, ...record }: JournalRecord): LocalLease {
    const owner = new LocalLease(this, undefined, keep);
    const dueMs = expiresAtMs - this.#bootAheadMs;
    owner.sinceMs = sinceMs;
    owner.claim = this.#table.restore({ ...record, owner, dueMs });
    return owner;
  }

  readonly #onTime = (): void => {
    this.#stopTimer = undefined;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#parts.monotonicMs();
    const isLate = nowMs - this.#table.nextDueMs > LATE_MS;
    if (isLate && !this.#isCatchingUp) {
      this.#isCatchingUp = true;
      this.#startOnTime(nowMs + CATCH_UP_MS, nowMs);
      return;
    }
    this.#isCatchingUp = false;
    const outcomes = this.#table.expire(nowMs);
    for (const outcome of outcomes) this.#told(outcome);
    this.#schedule();
    // The last of all, because whoever hears of it may come back here at once.
    for (const { claim, what } of outcomes) {
      if (what === "expired") claim.owner.lose(notRenewed(claim));
    }
  };

  #told({ claim, what }: TimeOutcome<LocalLease>): void {
    switch (what) {
      case "expired":
        if (claim.owner.keep !== undefined) this.#journal?.ended(claim.fence);
        return;
      case "gave_up": {
        const waiting = claim.owner.stopWaiting();
        waiting?.reject(expiry(claim, waiting.waitMs));
        return;
      }
      case "granted":
        this.#settle([claim]);
        return;
    }
  }

  /** Has the one timer fire when the table has something to do. */
  #schedule(): void {
    if (this.#stopPlaces === undefined && this.#table.hasMoved) {
      const delayMs = Math.max(PLACES_MS, this.#table.movedCount * PLACE_MS);
      this.#stopPlaces = this.#startTimer(delayMs, this.#tellPlaces);
    }
    const { nextDueMs } = this.#table;
    if (nextDueMs >= this.#timerAtMs && nextDueMs !== Number.POSITIVE_INFINITY) return;
    if (this.#isCatchingUp && this.#stopTimer !== undefined) return;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    if (nextDueMs === Number.POSITIVE_INFINITY) return;
    this.#startOnTime(nextDueMs, this.#parts.monotonicMs());
  }

  #startOnTime(atMs: number, nowMs: number): void {
    this.#timerAtMs = atMs;
    this.#stopTimer = this.#startTimer(Math.max(1, Math.ceil(atMs - nowMs)), this.#onTime);
  }

  readonly #tellPlaces = (): void => {
    this.#stopPlaces = undefined;
    for (const [claim, place] of this.#table.movedPlaces()) {
      claim.owner.waiting?.queued?.(place);
    }
  };
}

function byFence(left: { readonly fence: bigint }, right: { readonly fence: bigint }): number {
  return left.fence < right.fence ? -1 : 1;
}

function startTimer(delayMs: number, fire: () => void): () => void {
  const timer = setTimeout(fire, delayMs);
  return () => clearTimeout(timer);
}

function problemOf({ ttlMs, waitMs, keep }: LeaseTerms): string | undefined {
  if (!(waitMs >= 0 && waitMs <= LEASE_TERMS_WAIT_MS_MAX)) return `no wait: ${waitMs} ms`;
  const keptBytes = Buffer.byteLength(keep);
  if (keptBytes > LEASE_KEPT_BYTES_MAX) return `${keptBytes} bytes are too many to be kept`;
  return problemOfTtl(ttlMs);
}

function problemOfTtl(ttlMs: number): string | undefined {
  const isTtl = ttlMs >= LEASE_TTL_MS_MIN && ttlMs <= LEASE_TTL_MS_MAX;
  return isTtl ? undefined : `no time to live: ${ttlMs} ms`;
}

function notRenewed({ entry: { key }, fence }: LocalClaim): EngineError {
  return new EngineError("lock.expired", `the lease of ${key} was not renewed in time`, {
    details: { key, fence: `${fence}` },
  });
}

function cancellation(key: LockKey, operation: Operation | undefined): EngineError {
  const reason: unknown = operation?.signal.reason;
  if (reason instanceof EngineError) return reason;
  return new EngineError("operation.cancelled", `cancelled while waiting for ${key}`, {
    cause: reason,
  });
}

function expiry({ entry }: LocalClaim, waitedMs: number): EngineError {
  const { key, lastHolder } = entry;
  const heldBy = lastHolder?.owner.operation?.id;
  const holder = heldBy === undefined ? "an older daemon gave away" : `operation ${heldBy} holds`;
  return new EngineError(
    "operation.timed_out",
    `waited ${waitedMs} ms for ${key}, which ${holder}`,
    { details: { key, heldBy, waitedMs } },
  );
}
