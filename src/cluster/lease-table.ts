// The rules of leases, and nothing else: no clock, no timer, no promise, no disk (decision 0012).
//
// Whoever calls says what time it is and gets told what came of it, so that the service and a
// simulation of thousands of crashes run the same code. A claim waits in its key's queue, is held,
// and has ended, in this order and never back. A key that nobody holds takes no memory: who waits,
// waits for a holder.
import type { LeaseMode, LockKey } from "../core/lease-service.ts";
import { Deadlines, type Timed } from "./deadlines.ts";

/** Somebody's wish for a key, and then the lease. Changed by the table alone. */
export interface Claim<Owner> extends Timed {
  readonly entry: KeyEntry<Owner>;
  readonly mode: LeaseMode;
  readonly owner: Owner;
  state: "waiting" | "held" | "ended";
  /** 0 until it is held. */
  fence: bigint;
  /** How long it lives from its grant or renewal on; undefined: until it is released. */
  ttlMs: number | undefined;
  /** Whether it is told of its place in the queue, and what it was told last; 0: nothing yet. */
  readonly wantsPlace: boolean;
  placeTold: number;
  /** In the queue while it waits, among the holders while it is held. */
  previous: Claim<Owner> | undefined;
  next: Claim<Owner> | undefined;
}

/** A key that somebody holds. */
export interface KeyEntry<Owner> {
  readonly key: LockKey;
  mode: LeaseMode;
  heldCount: number;
  waitingCount: number;
  /** How many of those who wait want to know their place. */
  listenerCount: number;
  firstHolder: Claim<Owner> | undefined;
  lastHolder: Claim<Owner> | undefined;
  firstWaiting: Claim<Owner> | undefined;
  lastWaiting: Claim<Owner> | undefined;
}

export interface ClaimRequest<Owner> {
  readonly key: LockKey;
  readonly mode: LeaseMode;
  readonly owner: Owner;
  readonly ttlMs: number | undefined;
  /** 0: not at all. */
  readonly waitMs: number;
  readonly wantsPlace: boolean;
}

/** What was held when the table before this one ended. */
export interface HeldRequest<Owner> {
  readonly key: LockKey;
  readonly mode: LeaseMode;
  readonly owner: Owner;
  readonly fence: bigint;
  readonly ttlMs: number;
  readonly dueMs: number;
}

/** What time did: a lease expired, a claim waited long enough, a claim got its key. */
export interface TimeOutcome<Owner> {
  readonly claim: Claim<Owner>;
  readonly what: "expired" | "gave_up" | "granted";
}

export class LeaseTable<Owner> {
  readonly #entries = new Map<LockKey, KeyEntry<Owner>>();
  readonly #deadlines = new Deadlines<Claim<Owner>>();
  /** Keys where somebody's place in the queue is another one than it was told. */
  readonly #moved = new Set<KeyEntry<Owner>>();
  readonly #nextFence: () => bigint;

  /** Each fence that `nextFence` gives is larger than all before. */
  constructor(nextFence: () => bigint) {
    this.#nextFence = nextFence;
  }

  /** How many keys are held. */
  get keyCount(): number {
    return this.#entries.size;
  }

  /** When `expire` has something to do; Infinity: never. */
  get nextDueMs(): number {
    return this.#deadlines.first?.dueMs ?? Number.POSITIVE_INFINITY;
  }

  /** Whether `movedPlaces` has something to tell. */
  get hasMoved(): boolean {
    return this.#moved.size > 0;
  }

  /** To how many at most. O(such keys). */
  get movedCount(): number {
    let count = 0;
    for (const entry of this.#moved) count += entry.listenerCount;
    return count;
  }

  /** Held at once, in the queue, or ended where it does not want to wait. */
  claim(request: ClaimRequest<Owner>, nowMs: number): Claim<Owner> {
    const { key, mode, waitMs } = request;
    const entry = this.#entries.get(key);
    if (entry === undefined) {
      const claim = newClaim(newEntry<Owner>(key, mode), request);
      this.#entries.set(key, claim.entry);
      this.#hold(claim, nowMs);
      return claim;
    }
    const claim = newClaim(entry, request);
    // Shared ones do not overtake an exclusive one that waits, or it would wait for ever.
    if (mode === "shared" && entry.mode === "shared" && entry.firstWaiting === undefined) {
      this.#hold(claim, nowMs);
    } else if (waitMs > 0) {
      appendWaiting(entry, claim);
      this.#deadlines.set(claim, nowMs + waitMs);
    } else {
      claim.state = "ended";
    }
    return claim;
  }

  /** Puts back what was held: nobody else may hold its key who cannot hold it beside. */
  restore(request: HeldRequest<Owner>): Claim<Owner> {
    const { key, mode, fence, ttlMs, dueMs } = request;
    const before = this.#entries.get(key);
    const isTogether = before === undefined || (before.mode === "shared" && mode === "shared");
    if (!isTogether) throw new Error(`${key} is held already`);
    const entry = before ?? newEntry(key, mode);
    this.#entries.set(key, entry);
    const claim = newClaim(entry, { ...request, waitMs: 0, wantsPlace: false });
    appendHolder(entry, claim);
    claim.fence = fence;
    claim.ttlMs = ttlMs;
    this.#deadlines.set(claim, dueMs);
    return claim;
  }

  /** Releases what is held, withdraws who waits. Returns who got the key by that, in order. */
  end(claim: Claim<Owner>, nowMs: number): readonly Claim<Owner>[] {
    const { entry, state } = claim;
    if (state === "ended") return [];
    this.#remove(claim);
    if (entry.firstWaiting === undefined) {
      if (entry.heldCount === 0) this.#entries.delete(entry.key);
      return [];
    }
    return this.#grant(entry, nowMs);
  }

  /** A held lease lives for this long from now on. */
  renew(claim: Claim<Owner>, ttlMs: number, nowMs: number): void {
    claim.ttlMs = ttlMs;
    this.#deadlines.set(claim, nowMs + ttlMs);
  }

  /** Ends all whose time is over, in the order in which it was. */
  expire(nowMs: number): readonly TimeOutcome<Owner>[] {
    const outcomes: TimeOutcome<Owner>[] = [];
    for (;;) {
      const claim = this.#deadlines.first;
      if (claim === undefined || claim.dueMs > nowMs) return outcomes;
      outcomes.push({ claim, what: claim.state === "held" ? "expired" : "gave_up" });
      for (const next of this.end(claim, nowMs)) outcomes.push({ claim: next, what: "granted" });
    }
  }

  /** The holder of a key with this fence. O(holders of the key). */
  find(key: LockKey, fence: bigint): Claim<Owner> | undefined {
    let claim = this.#entries.get(key)?.firstHolder;
    while (claim !== undefined && claim.fence !== fence) claim = claim.next;
    return claim;
  }

  /** All that is held, in no order. */
  *held(): Generator<Claim<Owner>> {
    for (const entry of this.#entries.values()) {
      for (let claim = entry.firstHolder; claim !== undefined; claim = claim.next) yield claim;
    }
  }

  /** Its place in the queue when it has just come: 1 is next. */
  lastPlace(claim: Claim<Owner>): number {
    claim.placeTold = claim.entry.waitingCount;
    return claim.placeTold;
  }

  /** Those whose place has changed since they were told, with their place. O(who waits there). */
  movedPlaces(): readonly (readonly [claim: Claim<Owner>, place: number])[] {
    const told: (readonly [Claim<Owner>, number])[] = [];
    for (const entry of this.#moved) {
      let place = 0;
      for (let claim = entry.firstWaiting; claim !== undefined; claim = claim.next) {
        place += 1;
        if (!claim.wantsPlace || claim.placeTold === place) continue;
        claim.placeTold = place;
        told.push([claim, place]);
      }
    }
    this.#moved.clear();
    return told;
  }

  /** Gives the key to as many of those in front as may hold it together. */
  #grant(entry: KeyEntry<Owner>, nowMs: number): readonly Claim<Owner>[] {
    const granted: Claim<Owner>[] = [];
    for (let claim = entry.firstWaiting; claim !== undefined; claim = entry.firstWaiting) {
      const isTogether = claim.mode === "shared" && entry.mode === "shared";
      if (entry.heldCount > 0 && !isTogether) return granted;
      this.#remove(claim);
      this.#hold(claim, nowMs);
      granted.push(claim);
    }
    return granted;
  }

  #hold(claim: Claim<Owner>, nowMs: number): void {
    const { entry, ttlMs } = claim;
    entry.mode = claim.mode;
    appendHolder(entry, claim);
    claim.fence = this.#nextFence();
    if (ttlMs !== undefined) this.#deadlines.set(claim, nowMs + ttlMs);
  }

  #remove(claim: Claim<Owner>): void {
    const { entry } = claim;
    this.#deadlines.remove(claim);
    if (claim.state === "held") {
      removeHolder(entry, claim);
    } else {
      removeWaiting(entry, claim);
      if (entry.listenerCount > 0) this.#moved.add(entry);
      else this.#moved.delete(entry);
    }
    claim.state = "ended";
  }
}

function newEntry<Owner>(key: LockKey, mode: LeaseMode): KeyEntry<Owner> {
  return {
    key,
    mode,
    heldCount: 0,
    waitingCount: 0,
    listenerCount: 0,
    firstHolder: undefined,
    lastHolder: undefined,
    firstWaiting: undefined,
    lastWaiting: undefined,
  };
}

function newClaim<Owner>(
  entry: KeyEntry<Owner>,
  { mode, owner, ttlMs, wantsPlace }: ClaimRequest<Owner>,
): Claim<Owner> {
  return {
    dueMs: Number.POSITIVE_INFINITY,
    heapIndex: -1,
    entry,
    mode,
    owner,
    state: "ended",
    fence: 0n,
    ttlMs,
    wantsPlace,
    placeTold: 0,
    previous: undefined,
    next: undefined,
  };
}

function appendHolder<Owner>(entry: KeyEntry<Owner>, claim: Claim<Owner>): void {
  claim.state = "held";
  entry.heldCount += 1;
  claim.previous = entry.lastHolder;
  claim.next = undefined;
  if (entry.lastHolder === undefined) entry.firstHolder = claim;
  else entry.lastHolder.next = claim;
  entry.lastHolder = claim;
}

function removeHolder<Owner>(entry: KeyEntry<Owner>, claim: Claim<Owner>): void {
  entry.heldCount -= 1;
  if (claim.previous === undefined) entry.firstHolder = claim.next;
  else claim.previous.next = claim.next;
  if (claim.next === undefined) entry.lastHolder = claim.previous;
  else claim.next.previous = claim.previous;
}

function appendWaiting<Owner>(entry: KeyEntry<Owner>, claim: Claim<Owner>): void {
  claim.state = "waiting";
  entry.waitingCount += 1;
  if (claim.wantsPlace) entry.listenerCount += 1;
  claim.previous = entry.lastWaiting;
  claim.next = undefined;
  if (entry.lastWaiting === undefined) entry.firstWaiting = claim;
  else entry.lastWaiting.next = claim;
  entry.lastWaiting = claim;
}

function removeWaiting<Owner>(entry: KeyEntry<Owner>, claim: Claim<Owner>): void {
  entry.waitingCount -= 1;
  if (claim.wantsPlace) entry.listenerCount -= 1;
  if (claim.previous === undefined) entry.firstWaiting = claim.next;
  else claim.previous.next = claim.next;
  if (claim.next === undefined) entry.lastWaiting = claim.previous;
  else claim.next.previous = claim.previous;
}
