// What the checks of the lease service are run on, and the words that they share.
import {
  LEASE_TTL_MS_MIN,
  type Lease,
  type LeaseMode,
  type LeaseService,
  type LeaseTerms,
  type LockKey,
} from "../core/lease-service.ts";
import type { Operation } from "../core/operation.ts";

/** A lease service whose time the bench owns, with keys that nobody else uses. */
export interface LeaseBench extends AsyncDisposable {
  readonly leases: LeaseService;
  /** The bench's own key with this label. */
  key(label: string): LockKey;
  /** An operation of its own, whose signal never fires unless one is given. */
  operation(signal?: AbortSignal): Operation;
  /** Lets this much time pass for the service, and whatever comes of it. */
  pass(ms: number): Promise<void>;
  /**
   * The daemon is killed: `leases` is never used again. Resolves with the service of the next one,
   * some milliseconds later. With a lost state nothing is left of what was written down.
   */
  restart(how?: { readonly isStateLost: boolean }): Promise<LeaseService>;
}

export interface Taking {
  readonly signal?: AbortSignal | undefined;
  readonly terms?: LeaseTerms | undefined;
  /** By default the bench's own, and "key". */
  readonly leases?: LeaseService | undefined;
  readonly label?: string | undefined;
}

/** Terms that are as short as they may be, where nothing else is said. */
export function terms(given: Partial<LeaseTerms> = {}): Taking {
  return { terms: { ttlMs: LEASE_TTL_MS_MIN, waitMs: 10_000, keep: "{}", ...given } };
}

export async function take(
  bench: LeaseBench,
  mode: LeaseMode,
  { signal, terms: wanted, leases = bench.leases, label = "key" }: Taking = {},
): Promise<Lease> {
  return await leases.acquire(bench.key(label), mode, bench.operation(signal), wanted);
}

export async function release(lease: Lease): Promise<void> {
  await lease[Symbol.asyncDispose]();
}

/** A promise whose rejection is handled whenever it is looked at, and whether it has settled. */
export function watch<T>(promise: Promise<T>): {
  readonly promise: Promise<T>;
  readonly isSettled: () => boolean;
} {
  let isSettled = false;
  const note = (): void => {
    isSettled = true;
  };
  promise.then(note, note);
  return { promise, isSettled: () => isSettled };
}

/** Lets everything that can go on without time passing go on. */
export async function someTurns(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}
