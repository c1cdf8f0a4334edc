// Who may touch what, across operations, processes and (later) hosts.
//
// A lease is a lock that can be lost. It is taken with `await using lease = await
// leases.acquire(…)`, which is the only way to hold one, so nothing leaks. Storage that can refuse
// a host is told the lease's `fence`. Waiting has a deadline: nobody hangs behind a stuck operation
// for ever. A lease with terms (decision 0012) is somebody else's: it ends by itself unless it is
// renewed, may be taken away, and outlives the daemon where it is kept.
import type { Operation } from "./operation.ts";

/** `lock:VOLUME/NAME` is an application's own lock (core/lock.ts); the others are the engine's. */
export type LockKey =
  | `volume:${string}`
  | `trash:${string}`
  | `plugin:${string}`
  | `secret:${string}`
  | `repository:${string}`
  | `lock:${string}`;

export const leaseModes = ["shared", "exclusive"] as const;

export type LeaseMode = (typeof leaseModes)[number];

/** How long `acquire` waits for a lease before it throws `operation.timed_out`, in milliseconds. */
export const LEASE_WAIT_MS_MAX = 30_000;

/** Longest wait that terms may ask for, in milliseconds: a day. */
export const LEASE_TERMS_WAIT_MS_MAX = 86_400_000;

/** Shortest and longest time to live, in milliseconds: a second, a day. */
export const LEASE_TTL_MS_MIN = 1_000;
export const LEASE_TTL_MS_MAX = 86_400_000;

/** What a lease that is not an operation's own is taken with. */
export interface LeaseTerms {
  /** How long it lives without being renewed, in milliseconds, within the two limits above. */
  readonly ttlMs: number;
  /** How long to wait, in milliseconds, up to `LEASE_TERMS_WAIT_MS_MAX`. 0: not at all. */
  readonly waitMs: number;
  /**
   * What the next daemon must know to go on with it: any JSON text of at most
   * `LEASE_KEPT_BYTES_MAX`. It is given back by `kept`.
   */
  readonly keep: string;
  /**
   * Hears of its place in the queue, 1 being next: at once, and a second after it has changed at
   * the latest. Two changes in a short time may be told as one.
   */
  readonly queued?: ((place: number) => void) | undefined;
}

export const LEASE_KEPT_BYTES_MAX = 4_096;

/**
 * Held until disposed of. Disposing of it again changes nothing. `lost` fires if it was taken
 * away, and work must stop at once. `fence` grows with every grant of the key, so that storage can
 * refuse a holder that has not noticed. No fence is ever given twice, over crashes and a lost state
 * too.
 */
export interface Lease extends AsyncDisposable {
  readonly key: LockKey;
  readonly mode: LeaseMode;
  readonly fence: bigint;
  /**
   * Its reason is an `EngineError`: `lock.expired` when it was not renewed in time, what `revoke`
   * gave when it was taken away.
   */
  readonly lost: AbortSignal;
  /**
   * Calls `tell` with the reason of `lost` when it is lost, at once if it has been; another `tell`
   * takes the place of the last. It costs less than a signal, which most leases never need.
   */
  whenLost(tell: (reason: Error) => void): void;
  /** By the host's `monotonicMs`; undefined: never, it has no terms. */
  readonly expiresAtMs: number | undefined;
  /**
   * Lives on for its time to live, or a new one, from now. Resolves when that outlives this
   * process. Rejects with the reason of `lost` once it is lost, and with `lock.not_held` once it is
   * disposed of.
   */
  renew(ttlMs?: number): Promise<void>;
}

/** A lease as others see it. */
export interface HeldLease {
  readonly key: LockKey;
  readonly mode: LeaseMode;
  readonly fence: bigint;
  /** Wall clock, milliseconds since the epoch. */
  readonly sinceMs: number;
  /** Wall clock, for people; undefined: never. */
  readonly expiresAtMs: number | undefined;
  /** See `LeaseTerms.keep`; undefined: it is an operation's own. */
  readonly keep: string | undefined;
}

export interface LeaseService {
  /**
   * Waits for the lease, first come first served. An "exclusive" one is held alone. Several
   * "shared" ones may be held at once. Rejects with `operation.cancelled` when the operation's
   * signal fires first. Rejects with `operation.timed_out` after `LEASE_WAIT_MS_MAX`, or the time
   * that the terms allow. Who was rejected leaves nothing behind. Leases of different keys have
   * nothing to do with each other. Ten thousand may wait for one key. With terms it resolves when
   * the grant outlives this process.
   */
  acquire(key: LockKey, mode: LeaseMode, operation: Operation, terms?: LeaseTerms): Promise<Lease>;
  /**
   * Takes a lease away from whoever holds it: its `lost` fires with `reason`, and the next ones get
   * the key. False: none of this key has this fence.
   */
  revoke(key: LockKey, fence: bigint, reason: Error): Promise<boolean>;
  /** What is held with terms, the oldest first. Of this moment. */
  held(): Promise<readonly HeldLease[]>;
  /**
   * The leases with terms that the last daemon of this boot left, held again with their fences and
   * what is left of their time, to be told once: each must be disposed of, or it expires.
   */
  kept(): Promise<readonly KeptLease[]>;
}

/** A lease that outlived the daemon that gave it. */
export interface KeptLease {
  readonly lease: Lease;
  readonly keep: string;
  /** Wall clock, milliseconds since the epoch. */
  readonly sinceMs: number;
}
