// One check for each promise of core/state-store.ts about aliases and the trash, for any store.
import assert from "node:assert";
import { EngineError } from "../core/errors.ts";
import { makeTrashId, parseHolderId, parseVolumeName } from "../core/names.ts";
import type { StateStore, StateTransaction } from "../core/state-store.ts";
import type { Check } from "./check.ts";
import {
  contentOf,
  type StateStoreBench,
  sampleAlias,
  sampleHolder,
  sampleRetired,
  sampleVolume,
} from "./state-store.ts";

const protection = { reason: "prod \u{1f980}\u0000", sinceMs: 3.5, by: "holdfast" };
const lastUse = { atMs: 4.25, holder: "web-1" };

const aliasChecks: readonly Check<StateStoreBench>[] = [
  {
    promise: "an alias means its volume, and one that is put again means the last one only",
    async run({ store, reopen }) {
      await put(store, ["aa", "bb"], [["old", "aa", 1] as const]);
      await store.write((transaction) => transaction.putAlias(sampleAlias("old", "bb", 2)));
      await store.write((transaction) => transaction.removeVolume(parseVolumeName("aa")));
      for (const open of [() => store, reopen]) {
        const seen = (await open()).read((view) => [view.alias("old"), view.alias("bb")]);
        assert.deepStrictEqual(seen, [sampleAlias("old", "bb", 2), undefined]);
      }
    },
  },
  {
    promise: "removing an alias removes no other; removing one that is not there succeeds",
    async run({ store, reopen }) {
      await put(store, ["aa"], [["old", "aa"] as const, ["older", "aa"] as const]);
      await store.write((transaction) => {
        transaction.removeAlias(parseVolumeName("old"));
        transaction.removeAlias(parseVolumeName("never"));
      });
      for (const open of [() => store, reopen]) {
        assert.deepStrictEqual(aliasesOf(await open()), ["older"]);
      }
    },
  },
  {
    promise: "removing a volume removes its aliases, and no other's",
    async run({ store, reopen }) {
      await put(store, ["aa", "bb"], [["a1", "aa"] as const, ["a2", "aa"], ["b1", "bb"]]);
      await store.write((transaction) => transaction.removeVolume(parseVolumeName("aa")));
      await store.write((transaction) => transaction.putVolume(sampleVolume("aa")));
      await store.write((transaction) => transaction.putVolume(sampleVolume("a1")));
      for (const open of [() => store, reopen]) {
        assert.deepStrictEqual(aliasesOf(await open()), ["b1"]);
      }
    },
  },
  {
    promise: "an alias of no volume, or with a volume's name, is refused, and other writes are not",
    async run({ store, reopen }) {
      await put(store, ["aa", "bb"], []);
      const done = await Promise.allSettled([
        putAlias(store, "old", "nowhere"),
        putAlias(store, "bb", "aa"),
        putAlias(store, "aa", "aa"),
        putAlias(store, "fine", "aa"),
      ]);
      assertRefused(done, [0, 1, 2]);
      assert.deepStrictEqual(aliasesOf(await reopen()), ["fine"]);
    },
  },
  {
    promise: "of two writes of one turn that make a name and an alias of it, the later is refused",
    async run({ store, reopen }) {
      await put(store, ["aa"], []);
      const putName = (name: string) =>
        store.write((transaction) => transaction.putVolume(sampleVolume(name)));
      const done = await Promise.allSettled([
        putName("bb"),
        putAlias(store, "bb", "aa"),
        putAlias(store, "cc", "aa"),
        putName("cc"),
        store.write((transaction) => transaction.removeVolume(parseVolumeName("aa"))),
        putAlias(store, "dd", "aa"),
        // With its volume the alias is gone: its name is free.
        putName("cc"),
      ]);
      assertRefused(done, [1, 3, 5]);
      const before = contentOf(store);
      const reopened = await reopen();
      assert.deepStrictEqual(contentOf(reopened), before);
      assert.deepStrictEqual(aliasesOf(reopened), []);
    },
  },
  {
    promise: "a volume takes another name in one write, with its holders and its aliases",
    async run({ store, reopen }) {
      await put(store, ["aa"], [["older", "aa"] as const]);
      const rename = (from: string, to: string) => (transaction: StateTransaction) => {
        const aliases = [...transaction.aliases()];
        transaction.removeVolume(parseVolumeName(from));
        transaction.putVolume(sampleVolume(to));
        for (const { alias } of aliases) {
          if (alias !== to) transaction.putAlias(sampleAlias(alias, to));
        }
        transaction.putAlias(sampleAlias(from, to));
        transaction.putHolder(sampleHolder(to, "c1"));
        assert.strictEqual(transaction.alias(from)?.volume, to);
        assert.strictEqual(transaction.alias(to), undefined);
      };
      await store.write(rename("aa", "bb"));
      await store.write(rename("bb", "aa"));
      for (const open of [() => store, reopen]) {
        const each = await open();
        assert.deepStrictEqual(aliasesOf(each), ["bb", "older"]);
        const holders = each.read((view) => view.holders(parseVolumeName("aa")));
        assert.deepStrictEqual(holders, [sampleHolder("aa", "c1")]);
      }
    },
  },
];

const trashChecks: readonly Check<StateStoreBench>[] = [
  {
    promise: "last use, note and protection of a volume are kept, and can be taken away",
    async run({ store, reopen }) {
      const whole = sampleVolume("aa", { lastUse, note: "ü\n", protection });
      await store.write((transaction) => {
        transaction.putVolume(whole);
        transaction.putVolume(sampleVolume("bb", { lastUse, note: "n", protection }));
      });
      await store.write((transaction) => transaction.putVolume(sampleVolume("bb")));
      for (const open of [() => store, reopen]) {
        const volumes = (await open()).read((view) => [...view.volumes()]);
        assert.deepStrictEqual(volumes, [whole, sampleVolume("bb")]);
      }
    },
  },
  {
    promise: "an entry of the trash is kept with all it says, and replaced in its place",
    async run({ store, reopen }) {
      const volume = sampleVolume("aa", { lastUse, note: "n", protection });
      const aliases = ["old", "older"].map(parseVolumeName);
      const more = { volume, sizeBytes: 2 ** 52, purgeAtMs: 5.75, aliases };
      const kept = sampleRetired("aa", "a", more);
      const changed = { ...kept, phase: "purging", removedBy: "", purgeAtMs: null } as const;
      await store.write((transaction) => {
        transaction.putRetired(kept);
        transaction.putRetired(sampleRetired("bb", "b"));
      });
      await store.write((transaction) => transaction.putRetired(changed));
      for (const open of [() => store, reopen]) {
        const each = await open();
        assert.deepStrictEqual(
          each.read((view) => [...view.retired()]),
          [changed, sampleRetired("bb", "b")],
        );
        const found = each.read((view) => [view.retiredEntry(kept.id), view.retiredCount]);
        assert.deepStrictEqual(found, [changed, 2]);
      }
    },
  },
  {
    promise: "`retiredEntry` and `retiredCount` know what was removed, in a transaction too",
    async run({ store }) {
      const [aa, bb] = [sampleRetired("aa", "a"), sampleRetired("bb", "b")];
      await store.write((transaction) => transaction.putRetired(aa));
      await store.write((transaction) => {
        transaction.putRetired(bb);
        transaction.putRetired(bb);
        assert.strictEqual(transaction.retiredCount, 2);
        transaction.removeRetired(aa.id);
        transaction.removeRetired(makeTrashId("f".repeat(16)));
        assert.strictEqual(transaction.retiredCount, 1);
        assert.strictEqual(transaction.retiredEntry(aa.id), undefined);
        assert.deepStrictEqual(transaction.retiredEntry(bb.id), bb);
      });
      const seen = store.read((view) => [view.retiredCount, view.retiredEntry(aa.id)]);
      assert.deepStrictEqual(seen, [1, undefined]);
    },
  },
  {
    promise: "a transaction sees the aliases that it put, and not those that it removed",
    async run({ store }) {
      await put(store, ["aa", "bb"], [["a1", "aa"] as const, ["a2", "aa"], ["b1", "bb"]]);
      await store.write((transaction) => {
        transaction.putAlias(sampleAlias("a3", "aa"));
        transaction.putAlias(sampleAlias("a2", "bb"));
        transaction.removeAlias(parseVolumeName("b1"));
        const before = [...transaction.aliases()].map(({ alias }) => alias);
        assert.deepStrictEqual(before.toSorted(), ["a1", "a2", "a3"]);
        transaction.removeVolume(parseVolumeName("aa"));
        assert.deepStrictEqual([...transaction.aliases()], [sampleAlias("a2", "bb")]);
        assert.strictEqual(transaction.alias("a1"), undefined);
        transaction.removeHolder(parseVolumeName("aa"), parseHolderId("c1"));
      });
      assert.deepStrictEqual(aliasesOf(store), ["a2"]);
    },
  },
];

/** In the order of the contract. */
export const stateAliasChecks: readonly Check<StateStoreBench>[] = [...aliasChecks, ...trashChecks];

type Alias = readonly [alias: string, volume: string, sinceMs?: number];

async function put(
  store: StateStore,
  names: readonly string[],
  aliases: readonly Alias[],
): Promise<void> {
  await store.write((transaction) => {
    for (const name of names) transaction.putVolume(sampleVolume(name));
    for (const alias of aliases) transaction.putAlias(sampleAlias(...alias));
  });
}

function putAlias(store: StateStore, alias: string, volume: string): Promise<void> {
  return store.write((transaction) => transaction.putAlias(sampleAlias(alias, volume)));
}

function assertRefused(
  done: readonly PromiseSettledResult<void>[],
  refused: readonly number[],
): void {
  for (const [index, outcome] of done.entries()) {
    const isRefused = outcome.status === "rejected" && outcome.reason instanceof EngineError;
    assert.strictEqual(isRefused, refused.includes(index), `write ${index}: ${outcome.status}`);
  }
}

function aliasesOf(store: StateStore): readonly string[] {
  return store.read((view) => [...view.aliases()].map(({ alias }) => alias)).toSorted();
}
