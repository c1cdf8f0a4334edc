// What those may do with locks who may use them: requests, grants, lists.
import type { EngineError } from "../../core/errors.ts";
import type { LeaseMode } from "../../core/lease-service.ts";
import type { LockBond, LockHolder } from "../../core/lock.ts";
import type { Operation } from "../../core/operation.ts";
import type { LockPlace } from "./lock-table.ts";

export interface LockRequest {
  /** A name or an alias. */
  readonly volume: string;
  readonly lock: string;
  readonly mode: LeaseMode;
  /** In milliseconds, within the limits of `LeaseTerms`, as `waitMs`. */
  readonly ttlMs: number;
  readonly waitMs: number;
  /** What the holder calls itself; "": nothing. */
  readonly label: string;
  readonly bond: LockBond;
  /** Who has it, and with the bond "process" whose end ends it; undefined: the caller. */
  readonly pid?: number | undefined;
  /**
   * What it is to have in place of an id of ours: 32 hex digits, as random. Asked for again with
   * it, as by who did not hear the answer, it is the same grant.
   */
  readonly id?: string | undefined;
  /** By what the locks of a container are counted and limited; undefined: not at all. */
  readonly share?: string | undefined;
  /** See `LeaseTerms.queued`. */
  readonly queued?: ((place: number) => void) | undefined;
  /** Told once, with `lock.expired`, `lock.stolen` or `volume.not_found`. */
  readonly lost?: ((reason: EngineError) => void) | undefined;
}

/** A lock that somebody has: as he knows it. */
export interface LockLease {
  readonly volume: string;
  readonly lock: string;
  readonly id: string;
}

export interface GrantedLock extends LockPlace {
  /** 32 hex digits, of 128 random bits. */
  readonly id: string;
  readonly mode: LeaseMode;
  readonly fence: bigint;
  /** Wall clock, milliseconds since the epoch, as `expiresAtMs`. */
  readonly sinceMs: number;
  readonly expiresAtMs: number;
  /** Which of its connections this is for, where its life hangs on one: see `leave`. */
  readonly turn: number;
}

/** A lock as others see it. */
export interface LockView extends Omit<GrantedLock, "id" | "turn"> {
  readonly holder: LockHolder;
  /** What its engine calls the holder's container; null: not known. */
  readonly containerName: string | null;
  /** How many wait for this lock. */
  readonly waitingCount: number;
}

/** What those may do with locks who may use them. A narrower view has the same shape. */
export interface LocksFace {
  /**
   * Waits for a lock. What its `id` was given before is returned as it is; where that was lost, or
   * is another lock, it rejects as `resume`. Else it rejects with `volume.not_found`,
   * `lock.name_invalid`, `lock.too_many`, `lock.timed_out` with who has it, `request.invalid` for a
   * process that is not there and an `id` that has another mode or bond,
   * `engine.stopping`, and the reason of the operation's signal.
   */
  acquire(request: LockRequest, operation: Operation): Promise<GrantedLock>;
  /**
   * Goes on with a lock whose life hangs on a connection, by another connection: from now on this
   * one's end ends it. Throws `lock.not_held`, and why it was lost.
   */
  resume(lease: LockLease, lost?: (reason: EngineError) => void): GrantedLock;
  /** The connection of this turn has ended: so does the lock, unless another one has gone on. */
  leave(granted: GrantedLock): Promise<void>;
  /** Lives on, for its time or a new one, from now. Rejects as `resume`. */
  renew(lease: LockLease, ttlMs: number | undefined): Promise<GrantedLock>;
  /** Rejects as `resume`: who hears that he had lost it knows that he was not alone. */
  release(lease: LockLease): Promise<void>;
  /** What is held of a volume, or of all, in the order of the grants. Throws `volume.not_found`. */
  list(volume?: string): readonly LockView[];
}
