// Lease services that break one promise each, by what they do wrong.
import type { KeptLease, Lease, LeaseService, LockKey } from "../../src/core/lease-service.ts";
import type { LeaseStage } from "./lease-stage.ts";
import { testOperation } from "./operation.ts";

export interface BrokenLeases {
  readonly fault: string;
  readonly promise: string;
  readonly change: (service: LeaseService, stage: LeaseStage) => LeaseService;
}

type Acquire = LeaseService["acquire"];

/** A service with another `acquire`. */
function acquiring(make: (leases: LeaseService) => Acquire): BrokenLeases["change"] {
  return (leases) => ({ ...bound(leases), acquire: make(leases) });
}

/** A service whose leases are others. */
function giving(change: (lease: Lease) => Partial<Lease>): BrokenLeases["change"] {
  return acquiring((leases) => async (...request) => {
    const lease = await leases.acquire(...request);
    return { ...same(lease), ...change(lease) };
  });
}

/** Its members as own ones, so that it can be spread. */
function bound(leases: LeaseService): LeaseService {
  return {
    acquire: (...request) => leases.acquire(...request),
    revoke: (key, fence, reason) => leases.revoke(key, fence, reason),
    held: () => leases.held(),
    kept: () => leases.kept(),
  };
}

function same(lease: Lease): Lease {
  const { key, mode, fence, lost, expiresAtMs } = lease;
  return {
    ...{ key, mode, fence, lost, expiresAtMs },
    whenLost: (tell) => lease.whenLost(tell),
    renew: (ttlMs) => lease.renew(ttlMs),
    [Symbol.asyncDispose]: () => Promise.resolve(lease[Symbol.asyncDispose]()),
  };
}

const lettingIn = acquiring((leases) => {
  let count = 0;
  return async (key, mode, operation) => {
    count += 1;
    return { ...same(await leases.acquire(`volume:${count}`, mode, operation)), key };
  };
});

const ofQueues: readonly BrokenLeases[] = [
  {
    fault: "lets everybody in",
    promise: 'An "exclusive" one is held alone.',
    change: lettingIn,
  },
  {
    fault: "lets shared ones wait longer",
    promise: "Waits for the lease, first come first served.",
    change: acquiring((leases) => async (key, mode, ...rest) => {
      if (mode === "shared") await new Promise((resolve) => setImmediate(resolve));
      return await leases.acquire(key, mode, ...rest);
    }),
  },
  {
    fault: "knows no shared ones",
    promise: 'Several "shared" ones may be held at once.',
    change: acquiring(
      (leases) =>
        (key, _mode, ...rest) =>
          leases.acquire(key, "exclusive", ...rest),
    ),
  },
  {
    fault: "ignores the signal",
    promise: "Rejects with `operation.cancelled` when the operation's signal fires first.",
    change: acquiring(
      (leases) => (key, mode, _operation, terms) =>
        leases.acquire(key, mode, testOperation(), terms),
    ),
  },
  {
    fault: "waits for ever",
    promise:
      "Rejects with `operation.timed_out` after `LEASE_WAIT_MS_MAX`, or the time that the terms " +
      "allow.",
    change: acquiring((leases) => async (...request) => {
      for (;;) {
        const lease = await leases.acquire(...request).catch(() => undefined);
        if (lease !== undefined) return lease;
        await new Promise((resolve) => setImmediate(resolve));
      }
    }),
  },
  {
    fault: "takes the lease for one who has given up",
    promise: "Who was rejected leaves nothing behind.",
    change: acquiring((leases) => (key, mode, asking, terms) => {
      const { promise, reject } = Promise.withResolvers<never>();
      asking.signal.addEventListener("abort", () => reject(asking.signal.reason));
      return Promise.race([promise, leases.acquire(key, mode, testOperation(), terms)]);
    }),
  },
  {
    fault: "has one lock for all keys",
    promise: "Leases of different keys have nothing to do with each other.",
    change: acquiring(
      (leases) =>
        (_key, ...rest) =>
          leases.acquire("volume:all", ...rest),
    ),
  },
  { fault: "releases at once", promise: "Held until disposed of.", change: lettingIn },
  {
    fault: "releases whoever holds it now",
    promise: "Disposing of it again changes nothing.",
    change: acquiring((leases) => {
      const newest = new Map<LockKey, Lease>();
      return async (key, ...rest) => {
        const lease = await leases.acquire(key, ...rest);
        newest.set(key, lease);
        const dispose = async () => await newest.get(key)?.[Symbol.asyncDispose]();
        return { ...same(lease), [Symbol.asyncDispose]: dispose };
      };
    }),
  },
  {
    fault: "lets a hundred wait",
    promise: "Ten thousand may wait for one key.",
    change: acquiring((leases) => {
      let waitingCount = 0;
      return async (...request) => {
        waitingCount += 1;
        if (waitingCount > 100) throw new Error("too many wait");
        return await leases.acquire(...request).finally(() => {
          waitingCount -= 1;
        });
      };
    }),
  },
  {
    fault: "tells nobody its place",
    promise:
      "Hears of its place in the queue, 1 being next: at once, and a second after it has changed " +
      "at the latest.",
    change: acquiring((leases) => (key, mode, operation, terms) => {
      let toldCount = 0;
      const queued = (place: number): void => {
        toldCount += 1;
        if (toldCount === 1) terms?.queued?.(place);
      };
      return leases.acquire(key, mode, operation, terms && { ...terms, queued });
    }),
  },
];

const ofFences: readonly BrokenLeases[] = [
  {
    fault: "has one fence for all",
    promise:
      "`fence` grows with every grant of the key, so that storage can refuse a holder that has " +
      "not noticed.",
    change: giving(() => ({ fence: 1n })),
  },
  {
    fault: "counts anew in each life",
    promise: "No fence is ever given twice, over crashes and a lost state too.",
    change: (leases, stage) => {
      let fence = 0n;
      const count = (): bigint => {
        fence += 1n;
        return fence;
      };
      return giving(() => ({ fence: count() }))(leases, stage);
    },
  },
];

const ofTerms: readonly BrokenLeases[] = [
  {
    fault: "lets nothing expire",
    promise:
      "How long it lives without being renewed, in milliseconds, within the two limits above.",
    change: acquiring((leases) => (key, mode, operation) => leases.acquire(key, mode, operation)),
  },
  {
    fault: "hides why a lease was taken away",
    promise:
      "Its reason is an `EngineError`: `lock.expired` when it was not renewed in time, what " +
      "`revoke` gave when it was taken away.",
    change: (leases) => ({
      ...bound(leases),
      revoke: (key, fence) => leases.revoke(key, fence, new Error("gone")),
    }),
  },
  {
    fault: "takes away silently",
    promise: "`lost` fires if it was taken away, and work must stop at once.",
    change: giving(() => ({ lost: new AbortController().signal })),
  },
  {
    fault: "tells everybody who asked whether it was lost",
    promise:
      "Calls `tell` with the reason of `lost` when it is lost, at once if it has been; another " +
      "`tell` takes the place of the last.",
    change: giving(({ lost }) => ({
      whenLost: (tell) => {
        if (lost.aborted) tell(lost.reason);
        else lost.addEventListener("abort", () => tell(lost.reason));
      },
    })),
  },
  {
    fault: "renews nothing",
    promise: "Lives on for its time to live, or a new one, from now.",
    change: giving(() => ({ renew: async () => {} })),
  },
  {
    fault: "renews what is gone",
    promise:
      "Rejects with the reason of `lost` once it is lost, and with `lock.not_held` once it is " +
      "disposed of.",
    change: giving((lease) => ({ renew: (ttlMs) => lease.renew(ttlMs).catch(() => {}) })),
  },
  {
    fault: "only says that it takes away",
    promise:
      "Takes a lease away from whoever holds it: its `lost` fires with `reason`, and the next " +
      "ones get the key.",
    change: (leases) => ({ ...bound(leases), revoke: async () => true }),
  },
  {
    fault: "takes away whatever the fence",
    promise: "False: none of this key has this fence.",
    change: (leases) => ({
      ...bound(leases),
      async revoke(key, fence, reason) {
        const held = (await leases.held()).find((lease) => lease.key === key);
        return await leases.revoke(key, held?.fence ?? fence, reason);
      },
    }),
  },
  {
    fault: "shows the newest first",
    promise: "What is held with terms, the oldest first.",
    change: (leases) => ({
      ...bound(leases),
      held: async () => (await leases.held()).toReversed(),
    }),
  },
  {
    fault: "forgets all with its process",
    promise: "With terms it resolves when the grant outlives this process.",
    change: (leases, stage) => {
      stage.journal.onWrite = () => "";
      return leases;
    },
  },
  {
    fault: "forgets renewals with its process",
    promise: "Resolves when that outlives this process.",
    change: (leases, stage) => {
      stage.journal.onWrite = (text) => (text.includes('"renew"') ? "" : text);
      return leases;
    },
  },
  {
    fault: "tells what was kept again and again",
    promise:
      "The leases with terms that the last daemon of this boot left, held again with their " +
      "fences and what is left of their time, to be told once: each must be disposed of, or it " +
      "expires.",
    change: (leases) => {
      let told: Promise<readonly KeptLease[]> | undefined;
      const kept = (): Promise<readonly KeptLease[]> => {
        told ??= leases.kept();
        return told;
      };
      return { ...bound(leases), kept };
    },
  },
];

export const brokenLeases: readonly BrokenLeases[] = [...ofQueues, ...ofFences, ...ofTerms];
