// One check for each promise of core/state-store.ts, runnable against any store.
import assert from "node:assert";
import { EngineError } from "../core/errors.ts";
import {
  makeOperationId,
  makeTrashId,
  parseDriverName,
  parseHolderId,
  parseVolumeName,
} from "../core/names.ts";
import { systemCaller } from "../core/operation.ts";
import type {
  AliasEntry,
  HistoryEntry,
  HolderEntry,
  HolderKind,
  KnownEngine,
  RetiredEntry,
  StateStore,
  VolumeEntry,
} from "../core/state-store.ts";
import type { Check } from "./check.ts";

/** A store that is empty at first. */
export interface StateStoreBench extends AsyncDisposable {
  readonly store: StateStore;
  /** Closes the store, if it is not closed, and opens the same state again. */
  reopen(): Promise<StateStore>;
}

/** A volume like any other, for checks and tests. */
export function sampleVolume(name: string, changed: Partial<VolumeEntry> = {}): VolumeEntry {
  return {
    name: parseVolumeName(name),
    driver: parseDriverName("local"),
    scope: "local",
    labels: null,
    options: null,
    createdAtMs: 1_700_000_000_000,
    origin: "made",
    phase: "ready",
    mountpoint: `/holdfast/volumes/${name}/_data`,
    identity: "4711:1700000000",
    usedAtMs: null,
    lastUse: null,
    note: null,
    protection: null,
    ...changed,
  };
}

export function sampleHolder(
  volume: string,
  holder: string,
  sinceMs = 1,
  kind: HolderKind = "client",
): HolderEntry {
  return { volume: parseVolumeName(volume), holder: parseHolderId(holder), kind, sinceMs };
}

export function sampleAlias(alias: string, volume: string, sinceMs = 1): AliasEntry {
  return { alias: parseVolumeName(alias), volume: parseVolumeName(volume), sinceMs };
}

export function sampleEngine(path: string, sinceMs: number): KnownEngine {
  return { key: `docker:${path}`, sinceMs };
}

/** `digit` tells one from another: one hex digit. */
export function sampleRetired(
  volume: string,
  digit: string,
  changed: Partial<RetiredEntry> = {},
): RetiredEntry {
  return {
    id: makeTrashId(digit.repeat(16)),
    volume: sampleVolume(volume),
    phase: "kept",
    retiredAtMs: 1_700_000_000_500,
    removedBy: "dockerd",
    purgeAtMs: 1_700_604_800_500,
    sizeBytes: null,
    aliases: [],
    ...changed,
  };
}

export function sampleHistory(volume: string, atMs: number): HistoryEntry {
  return {
    atMs,
    action: "create",
    volume: parseVolumeName(volume),
    driver: parseDriverName("local"),
    caller: systemCaller,
    by: "holdfast",
    subject: "",
    outcome: "done",
    operation: makeOperationId(`operation-${atMs}`),
  };
}

/** Everything a view shows, as plain data that can be compared. */
export function contentOf(store: StateStore): unknown {
  return store.read((view) => {
    const volumes = [...view.volumes()];
    return {
      volumes,
      holders: volumes.flatMap((volume) => view.holders(volume.name)),
      aliases: [...view.aliases()].sort((a, b) => (a.alias < b.alias ? -1 : 1)),
      retired: [...view.retired()],
      engines: [...view.engines()],
    };
  });
}

const rowChecks: readonly Check<StateStoreBench>[] = [
  {
    promise: "what was written is there after the state is opened again, every field of it",
    async run({ store, reopen }) {
      const odd = sampleVolume("odd", {
        scope: "global",
        labels: { "": "", "a\n\u0000": "ü\u{1f980}\ud800" },
        options: {},
        createdAtMs: 1_700_000_000_000.25,
        origin: "adopted",
        phase: "removing",
        usedAtMs: 5,
      });
      await store.write((transaction) => {
        transaction.putVolume(sampleVolume("plain"));
        transaction.putVolume(odd);
        transaction.putHolder(sampleHolder("odd", "c1", 7));
        transaction.putHolder(sampleHolder("odd", "c2", 8, "engine"));
        transaction.putEngine(sampleEngine("/run/ü\u{1f980}.sock", 9.25));
        transaction.putRetired(sampleRetired("gone", "a"));
      });
      const before = contentOf(store);
      const again = await reopen();
      assert.deepStrictEqual(contentOf(again), before);
      assert.deepStrictEqual(
        again.read((view) => view.volume("odd")),
        odd,
      );
    },
  },
  {
    promise: "volumes come in the order of creation; replacing one leaves it in its place",
    async run({ store, reopen }) {
      for (const name of ["bb", "aa", "cc"]) {
        await store.write((transaction) => transaction.putVolume(sampleVolume(name)));
      }
      await store.write((transaction) =>
        transaction.putVolume(sampleVolume("bb", { phase: "removing" })),
      );
      await store.write((transaction) => {
        transaction.removeVolume(parseVolumeName("aa"));
        transaction.putVolume(sampleVolume("aa"));
      });
      assert.deepStrictEqual(namesOf(store), ["bb", "cc", "aa"]);
      assert.deepStrictEqual(namesOf(await reopen()), ["bb", "cc", "aa"]);
    },
  },
  {
    promise: "removing a volume removes its row and its holders, and no other's",
    async run({ store, reopen }) {
      await store.write((transaction) => {
        for (const name of ["aa", "bb"]) {
          transaction.putVolume(sampleVolume(name));
          transaction.putHolder(sampleHolder(name, "c1"));
        }
      });
      await store.write((transaction) => transaction.removeVolume(parseVolumeName("aa")));
      await store.write((transaction) => transaction.putVolume(sampleVolume("aa")));
      for (const open of [() => store, reopen]) {
        const each = await open();
        assert.deepStrictEqual(holdersOf(each, "aa"), []);
        assert.deepStrictEqual(holdersOf(each, "bb"), ["c1"]);
      }
    },
  },
  {
    promise: "a holder that is put again is one holder; removing what is not there succeeds",
    async run({ store }) {
      await store.write((transaction) => {
        transaction.putVolume(sampleVolume("aa"));
        transaction.putHolder(sampleHolder("aa", "c1", 1));
        transaction.putHolder(sampleHolder("aa", "c2", 2));
        transaction.putHolder(sampleHolder("aa", "c1", 3, "engine"));
        transaction.removeHolder(parseVolumeName("aa"), parseHolderId("c2"));
        transaction.removeHolder(parseVolumeName("no"), parseHolderId("c2"));
        transaction.removeVolume(parseVolumeName("no"));
        transaction.removeRetired(makeTrashId("f".repeat(16)));
        transaction.removeEngine("docker:/no");
      });
      assert.deepStrictEqual(
        store.read((view) => view.holders(parseVolumeName("aa"))),
        [sampleHolder("aa", "c1", 3, "engine")],
      );
    },
  },
  {
    promise: "a transaction sees its own changes",
    async run({ store }) {
      await store.write((transaction) => transaction.putVolume(sampleVolume("aa")));
      await store.write((transaction) => {
        transaction.removeVolume(parseVolumeName("aa"));
        transaction.putVolume(sampleVolume("bb"));
        transaction.putHolder(sampleHolder("bb", "c1"));
        transaction.putRetired(sampleRetired("aa", "a"));
        transaction.putEngine(sampleEngine("/a", 1));
        transaction.putEngine(sampleEngine("/b", 2));
        transaction.removeEngine("docker:/a");
        assert.strictEqual(transaction.volume("aa"), undefined);
        assert.deepStrictEqual([...transaction.volumes()], [sampleVolume("bb")]);
        assert.strictEqual(transaction.volumeCount, 1);
        assert.strictEqual(transaction.holders(parseVolumeName("bb")).length, 1);
        assert.strictEqual([...transaction.retired()].length, 1);
        assert.deepStrictEqual([...transaction.engines()], [sampleEngine("/b", 2)]);
      });
    },
  },
];

const engineChecks: readonly Check<StateStoreBench>[] = [
  {
    promise: "engines come in the order of their first contact, whenever they were put",
    async run({ store, reopen }) {
      for (const [path, sinceMs] of [["/b", 2] as const, ["/c", 3] as const, ["/a", 1] as const]) {
        await store.write((transaction) => transaction.putEngine(sampleEngine(path, sinceMs)));
      }
      const inOrder = [sampleEngine("/a", 1), sampleEngine("/b", 2), sampleEngine("/c", 3)];
      await store.write((transaction) =>
        assert.deepStrictEqual([...transaction.engines()], inOrder),
      );
      for (const open of [() => store, reopen]) {
        assert.deepStrictEqual(enginesOf(await open()), inOrder);
      }
    },
  },
  {
    promise: "an engine that is put again is one engine; removing it removes no other",
    async run({ store, reopen }) {
      await store.write((transaction) => {
        transaction.putEngine(sampleEngine("/a", 1));
        transaction.putEngine(sampleEngine("/b", 2));
      });
      await store.write((transaction) => {
        transaction.putEngine(sampleEngine("/a", 3));
        transaction.removeEngine("docker:/b");
      });
      for (const open of [() => store, reopen]) {
        assert.deepStrictEqual(enginesOf(await open()), [sampleEngine("/a", 3)]);
      }
    },
  },
  {
    promise: "a key of an engine has 1 to 1,024 characters; others are refused",
    async run({ store, reopen }) {
      const longest = { key: "k".repeat(1024), sinceMs: 1 };
      await store.write((transaction) => transaction.putEngine(longest));
      for (const key of ["", "k".repeat(1025), "\ud800"]) {
        const refused = store.write((transaction) => transaction.putEngine({ key, sinceMs: 1 }));
        await assert.rejects(refused, EngineError);
      }
      assert.deepStrictEqual(enginesOf(await reopen()), [longest]);
    },
  },
];

const writeChecks: readonly Check<StateStoreBench>[] = [
  {
    promise: "views change only when the commit is done",
    async run({ store }) {
      const written = store.write((transaction) => transaction.putVolume(sampleVolume("aa")));
      assert.strictEqual(
        store.read((view) => view.volumeCount),
        0,
      );
      await written;
      assert.strictEqual(
        store.read((view) => view.volumeCount),
        1,
      );
    },
  },
  {
    promise: "`write` runs its work at once and resolves with what it returned",
    async run({ store }) {
      let hasRun = false;
      const written = store.write(() => {
        hasRun = true;
        return "done";
      });
      assert.ok(hasRun, "the work had not run when `write` returned");
      assert.strictEqual(await written, "done");
    },
  },
  {
    promise: "a write whose work throws rejects with that error, with none of it done",
    async run({ store, reopen }) {
      const failure = new Error("on purpose");
      const failed = store.write((transaction) => {
        transaction.putVolume(sampleVolume("aa"));
        throw failure;
      });
      const other = store.write((transaction) => transaction.putVolume(sampleVolume("bb")));
      await assert.rejects(failed, failure);
      await other;
      assert.deepStrictEqual(namesOf(store), ["bb"]);
      assert.deepStrictEqual(namesOf(await reopen()), ["bb"]);
    },
  },
  {
    promise: "two writes of one turn do not see each other, and both are done in their order",
    async run({ store }) {
      const first = store.write((transaction) => transaction.putVolume(sampleVolume("aa")));
      const second = store.write((transaction) => {
        const seen = transaction.volume("aa");
        transaction.putVolume(sampleVolume("aa", { phase: "removing" }));
        return seen;
      });
      await first;
      assert.strictEqual(await second, undefined);
      assert.strictEqual(store.read((view) => view.volume("aa"))?.phase, "removing");
    },
  },
  {
    promise: "a holder of a volume that is not there is refused, and other writes are not",
    async run({ store, reopen }) {
      const holder = store.write((transaction) =>
        transaction.putHolder(sampleHolder("nowhere", "c1")),
      );
      const other = store.write((transaction) => transaction.putVolume(sampleVolume("bb")));
      await assert.rejects(holder, EngineError);
      await other;
      const removed = store.write((transaction) => transaction.removeVolume(parseVolumeName("bb")));
      const late = store.write((transaction) => transaction.putHolder(sampleHolder("bb", "c1")));
      await removed;
      await assert.rejects(late, EngineError);
      assert.deepStrictEqual(namesOf(await reopen()), []);
    },
  },
  {
    promise: "a transaction that outlives its write changes nothing",
    async run({ store }) {
      const kept = await store.write((transaction) => [transaction]);
      assert.throws(() => kept[0]?.putVolume(sampleVolume("aa")), EngineError);
      assert.deepStrictEqual(namesOf(store), []);
    },
  },
];

const lifeChecks: readonly Check<StateStoreBench>[] = [
  {
    promise: "`close` commits what waits; writes after it are refused",
    async run({ store, reopen }) {
      const waiting = store.write((transaction) => transaction.putVolume(sampleVolume("aa")));
      const closed = store.close();
      const late = store.write((transaction) => transaction.putVolume(sampleVolume("bb")));
      await assert.rejects(late, EngineError);
      await waiting;
      await closed;
      await store.close();
      assert.deepStrictEqual(namesOf(await reopen()), ["aa"]);
    },
  },
  {
    promise: "the origin of a new state is created, that of a closed one opened",
    async run({ store, reopen }) {
      assert.deepStrictEqual(store.origin, { kind: "created" });
      assert.deepStrictEqual((await reopen()).origin, { kind: "opened" });
    },
  },
];

/** In the order of the contract. */
export const stateStoreChecks: readonly Check<StateStoreBench>[] = [
  ...rowChecks,
  ...engineChecks,
  ...writeChecks,
  ...lifeChecks,
];

function namesOf(store: StateStore): readonly string[] {
  return store.read((view) => [...view.volumes()].map((volume) => volume.name));
}

function enginesOf(store: StateStore): readonly KnownEngine[] {
  return store.read((view) => [...view.engines()]);
}

function holdersOf(store: StateStore, volume: string): readonly string[] {
  return store.read((view) => view.holders(parseVolumeName(volume))).map((entry) => entry.holder);
}
