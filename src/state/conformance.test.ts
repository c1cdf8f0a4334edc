// The SQLite store keeps every promise of the contract, and the checks notice stores that do not.
import { describe, expect, test } from "bun:test";
import { openBench } from "../../test/support/state-bench.ts";
import { brokenOnes, runChecks } from "../conformance/check.ts";
import { stateAliasChecks } from "../conformance/state-aliases.ts";
import { stateHistoryChecks } from "../conformance/state-history.ts";
import { type StateStoreBench, sampleAlias, stateStoreChecks } from "../conformance/state-store.ts";
import type { StateStore, StateView } from "../core/state-store.ts";

const checks = [...stateStoreChecks, ...stateAliasChecks, ...stateHistoryChecks];

describe("the SQLite store", () => {
  for (const check of checks) {
    test(check.promise, async () => {
      const [outcome] = await runChecks([check], openBench);
      if (outcome?.outcome === "broken") throw outcome.error;
      expect(outcome?.outcome).toBe("kept");
    });
  }
});

/** Each breaks one promise, which must be among those that the checks report. */
const breakers: readonly {
  readonly promise: RegExp;
  readonly break: (store: StateStore) => StateStore;
}[] = [
  {
    promise: /newest changes first/,
    break: (store) => ({
      ...store,
      history: (query) => {
        const { entries, next } = store.history(query);
        return { entries: entries.toReversed(), next };
      },
    }),
  },
  {
    promise: /runs its work at once/,
    break: (store) => ({
      ...store,
      write: async (work) => {
        await Promise.resolve();
        return store.write(work);
      },
    }),
  },
  {
    promise: /rejects with that error/,
    break: (store) => ({
      ...store,
      write: (work) => store.write(work).catch((error: Error) => Promise.reject(error.message)),
    }),
  },
  {
    promise: /removes its row and its holders/,
    break: (store) => ({
      ...store,
      read: (work) => store.read((view) => work(changedView(view, { holders: () => [] }))),
    }),
  },
  {
    promise: /removes its aliases/,
    break: (store) => ({
      ...store,
      read: (work) =>
        store.read((view) =>
          work(changedView(view, { aliases: () => [...view.aliases(), sampleAlias("a1", "aa")] })),
        ),
    }),
  },
  {
    promise: /`next` leads through every change once/,
    break: (store) => ({
      ...store,
      history: (query) => ({ ...store.history(query), next: null }),
    }),
  },
  {
    promise: /`spanMax` bounds/,
    break: (store) => ({
      ...store,
      history: ({ spanMax: _, ...query }) => store.history(query),
    }),
  },
  {
    promise: /know what was removed/,
    break: (store) => ({
      ...store,
      read: (work) => store.read((view) => work(changedView(view, { retiredCount: 2 }))),
    }),
  },
  {
    promise: /order of their first contact/,
    break: (store) => ({
      ...store,
      read: (work) =>
        store.read((view) =>
          work(changedView(view, { engines: () => [...view.engines()].reverse() })),
        ),
    }),
  },
  {
    promise: /writes after it are refused/,
    break: (store) => ({ ...store, close: async () => {} }),
  },
];

/** The view with some of its members changed. */
function changedView(view: StateView, changed: Partial<StateView>): StateView {
  return {
    volume: (name) => view.volume(name),
    volumes: () => view.volumes(),
    volumeCount: view.volumeCount,
    holders: (name) => view.holders(name),
    retired: () => view.retired(),
    retiredEntry: (id) => view.retiredEntry(id),
    retiredCount: view.retiredCount,
    alias: (name) => view.alias(name),
    aliases: () => view.aliases(),
    engines: () => view.engines(),
    ...changed,
  };
}

describe("the checks notice a store that breaks", () => {
  for (const breaker of breakers) {
    test(breaker.promise.source, async () => {
      const outcomes = await runChecks(checks, () => brokenBench(breaker.break));
      const broken = brokenOnes(outcomes).map((outcome) => outcome.promise);
      expect(broken.some((promise) => breaker.promise.test(promise))).toBe(true);
      expect(broken.length).toBeLessThan(checks.length / 2);
    });
  }
});

function brokenBench(breakStore: (store: StateStore) => StateStore): StateStoreBench {
  const bench = openBench();
  return {
    store: breakStore(bench.store),
    reopen: async () => breakStore(await bench.reopen()),
    [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
  };
}
