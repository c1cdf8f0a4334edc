// A lease of the local service: what its holder has in hand, before the grant and after it.
import { EngineError } from "../core/errors.ts";
import type { Lease, LeaseMode, LockKey } from "../core/lease-service.ts";
import type { Operation } from "../core/operation.ts";
import type { Claim } from "./lease-table.ts";

/** What a lease asks of the service that gave it. */
export interface LeaseKeeper {
  /** Does nothing to one that is not held. */
  release(lease: LocalLease): void;
  /** Of one that is held. Throws what stands in the way. */
  renew(lease: LocalLease, ttlMs?: number): void;
}

/** Somebody waits for the lease. */
export interface Waiting {
  readonly waitMs: number;
  readonly queued: ((place: number) => void) | undefined;
  readonly resolve: (lease: Lease) => void;
  readonly reject: (error: unknown) => void;
  readonly onAbort: () => void;
}

const settled = Promise.resolve();

export class LocalLease implements Lease {
  readonly #keeper: LeaseKeeper;
  /** Who asked for it; undefined: somebody who asked an older daemon. */
  readonly operation: Operation | undefined;
  /** See `LeaseTerms.keep`; undefined: it has no terms. */
  readonly keep: string | undefined;
  /** Wall clock; 0 without terms. */
  sinceMs = 0;
  waiting: Waiting | undefined;
  #claim: Claim<LocalLease> | undefined;
  #lostReason: Error | undefined;
  #lost: AbortController | undefined;
  #tellLost: ((reason: Error) => void) | undefined;

  constructor(keeper: LeaseKeeper, operation: Operation | undefined, keep: string | undefined) {
    this.#keeper = keeper;
    this.operation = operation;
    this.keep = keep;
  }

  /** Given by the service before anybody sees the lease. */
  get claim(): Claim<LocalLease> {
    if (this.#claim === undefined) throw new Error("a lease without a claim");
    return this.#claim;
  }

  set claim(claim: Claim<LocalLease>) {
    this.#claim = claim;
  }

  get key(): LockKey {
    return this.claim.entry.key;
  }

  get mode(): LeaseMode {
    return this.claim.mode;
  }

  get fence(): bigint {
    return this.claim.fence;
  }

  get isHeld(): boolean {
    return this.claim.state === "held";
  }

  get expiresAtMs(): number | undefined {
    const { ttlMs, dueMs } = this.claim;
    return ttlMs === undefined ? undefined : dueMs;
  }

  /** Made for whoever looks: most leases are never lost, and nobody looks. */
  get lost(): AbortSignal {
    if (this.#lost === undefined) {
      this.#lost = new AbortController();
      if (this.#lostReason !== undefined) this.#lost.abort(this.#lostReason);
    }
    return this.#lost.signal;
  }

  whenLost(tell: (reason: Error) => void): void {
    this.#tellLost = tell;
    if (this.#lostReason !== undefined) tell(this.#lostReason);
  }

  /** Once it is held no more, and its holder has not let go of it. */
  lose(reason: Error): void {
    this.#lostReason = reason;
    this.#lost?.abort(reason);
    this.#tellLost?.(reason);
  }

  /** What was waited with, once: whoever takes it answers. */
  stopWaiting(): Waiting | undefined {
    const { waiting } = this;
    this.waiting = undefined;
    if (waiting !== undefined) {
      this.operation?.signal.removeEventListener("abort", waiting.onAbort);
    }
    return waiting;
  }

  async renew(ttlMs?: number): Promise<void> {
    if (this.#lostReason !== undefined) throw this.#lostReason;
    if (!this.isHeld) {
      const details = { key: this.key, fence: `${this.fence}` };
      throw new EngineError("lock.not_held", `nobody holds this lease of ${this.key}`, { details });
    }
    this.#keeper.renew(this, ttlMs);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#keeper.release(this);
    return settled;
  }
}
