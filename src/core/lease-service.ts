// Who may touch what, across operations, processes and (later) hosts.
//
// A lease is a lock that can be lost. It is taken with `await using lease = await
// leases.acquire(…)`, which is the only way to hold one, so nothing leaks. Storage that can refuse
// a host is told the lease's `fence`. Waiting has a deadline: nobody hangs behind a stuck operation
// for ever.
import type { Operation } from "./operation.ts";

export type LockKey =
  | `volume:${string}`
  | `trash:${string}`
  | `plugin:${string}`
  | `secret:${string}`
  | `repository:${string}`;

/** How long `acquire` waits for a lease before it throws `operation.timed_out`, in milliseconds. */
export const LEASE_WAIT_MS_MAX = 30_000;

/**
 * Held until disposed of. Disposing of it again changes nothing. `lost` fires if it was taken
 * away, and work must stop at once. `fence` grows with every grant of the key, so that storage can
 * refuse a holder that has not noticed.
 */
export interface Lease extends AsyncDisposable {
  readonly key: LockKey;
  readonly fence: bigint;
  readonly lost: AbortSignal;
}

export interface LeaseService {
  /**
   * Waits for the lease, first come first served. An "exclusive" one is held alone. Several
   * "shared" ones may be held at once. Rejects with `operation.cancelled` when the operation's
   * signal fires first. Rejects with `operation.timed_out` after `LEASE_WAIT_MS_MAX`. Who was
   * rejected leaves nothing behind. Leases of different keys have nothing to do with each other.
   * Ten thousand may wait for one key.
   */
  acquire(key: LockKey, mode: "shared" | "exclusive", operation: Operation): Promise<Lease>;
}
