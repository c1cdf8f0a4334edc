// One check for each promise of core/state-store.ts about the history, runnable against any store.
import assert from "node:assert";
import { parseVolumeName } from "../core/names.ts";
import type { HistoryPage, HistoryQuery, StateStore } from "../core/state-store.ts";
import type { Check } from "./check.ts";
import { type StateStoreBench, sampleHistory } from "./state-store.ts";

export const stateHistoryChecks: readonly Check<StateStoreBench>[] = [
  {
    promise: "the history gives the newest changes first, of one volume or of all",
    async run({ store, reopen }) {
      await addAll(store, ["aa", "bb", "aa"]);
      const volume = parseVolumeName("aa");
      for (const open of [() => store, reopen]) {
        const each = await open();
        const all = each.history({ order: "newest first", countMax: 2 });
        assert.deepStrictEqual(timesOf(all), [2, 1]);
        const own = each.history({ order: "newest first", volume, countMax: 9 });
        assert.deepStrictEqual(timesOf(own), [2, 0]);
      }
    },
  },
  {
    promise: "the history gives the oldest changes first, of one volume or of all",
    async run({ store, reopen }) {
      await addAll(store, ["aa", "bb", "aa"]);
      const volume = parseVolumeName("aa");
      for (const open of [() => store, reopen]) {
        const each = await open();
        const all = each.history({ order: "oldest first", countMax: 2 });
        assert.deepStrictEqual(timesOf(all), [0, 1]);
        const own = each.history({ order: "oldest first", volume, countMax: 9 });
        assert.deepStrictEqual(timesOf(own), [0, 2]);
      }
    },
  },
  {
    promise: "the history keeps who asked, what else it was about, and how it ended",
    async run({ store, reopen }) {
      const entry = {
        ...sampleHistory("aa", 1),
        action: "purge",
        caller: { kind: "process", uid: 1000, gid: 100, pid: 4711 },
        by: "docker\u0000d",
        subject: "t-0123456789abcdef \u{1f980}",
        outcome: "volume.protected",
      } as const;
      await store.write((transaction) => transaction.addHistory(entry));
      for (const open of [() => store, reopen]) {
        const { entries } = (await open()).history({ order: "newest first", countMax: 9 });
        assert.deepStrictEqual(entries, [{ ...entry, cursor: entries[0]?.cursor }]);
      }
    },
  },
  {
    promise: "a later change has a larger cursor, also after the state is opened again",
    async run({ store, reopen }) {
      await addAll(store, ["aa", "bb"]);
      const again = await reopen();
      await addAll(again, ["cc"]);
      const [first, second, third] = cursorsOf(again);
      assert.ok(first !== undefined && second !== undefined && third !== undefined);
      assert.ok(first < second && second < third, `${[first, second, third]}`);
    },
  },
  {
    promise: "`before` and `after` give older and younger changes only, and not that one",
    async run({ store }) {
      await addAll(store, ["aa", "bb", "cc", "dd"]);
      const [first, second, , fourth] = cursorsOf(store);
      assert.ok(first !== undefined && second !== undefined && fourth !== undefined);
      const orders = ["newest first", "oldest first"] as const;
      const sortedTimes = (query: Partial<HistoryQuery>, order: HistoryQuery["order"]) =>
        timesOf(store.history({ countMax: 9, order, ...query })).toSorted((a, b) => a - b);
      for (const order of orders) {
        assert.deepStrictEqual(sortedTimes({ before: second }, order), [0]);
        assert.deepStrictEqual(sortedTimes({ after: second }, order), [2, 3]);
        assert.deepStrictEqual(sortedTimes({ after: first, before: fourth }, order), [1, 2]);
        assert.deepStrictEqual(sortedTimes({ after: fourth }, order), []);
        assert.deepStrictEqual(sortedTimes({ before: first }, order), []);
      }
    },
  },
  {
    promise: "`next` leads through every change once, and is null when nothing further is there",
    async run({ store }) {
      const names = Array.from({ length: 20 }, (_, index) => (index % 7 === 3 ? "aa" : "bb"));
      await addAll(store, names);
      const ofAll = names.map((_, index) => index);
      const ofOne = ofAll.filter((index) => names[index] === "aa");
      const volume = parseVolumeName("aa");
      for (const countMax of [1, 3, 20, 21]) {
        for (const spanMax of [undefined, 1, 4, 20]) {
          const query = { countMax, ...(spanMax !== undefined && { spanMax }) };
          for (const order of ["newest first", "oldest first"] as const) {
            const inOrder = (times: readonly number[]) =>
              order === "newest first" ? times.toReversed() : times;
            assert.deepStrictEqual(walk(store, { ...query, order }), inOrder(ofAll));
            assert.deepStrictEqual(walk(store, { ...query, order, volume }), inOrder(ofOne));
          }
        }
      }
    },
  },
  {
    promise: "`spanMax` bounds how many changes are looked at, whether they match or not",
    async run({ store }) {
      await addAll(store, ["aa", "bb", "bb", "bb", "aa"]);
      const volume = parseVolumeName("aa");
      const newest = store.history({ order: "newest first", volume, countMax: 9, spanMax: 4 });
      assert.deepStrictEqual(timesOf(newest), [4]);
      const oldest = store.history({ order: "oldest first", volume, countMax: 9, spanMax: 4 });
      assert.deepStrictEqual(timesOf(oldest), [0]);
      assert.ok(newest.next !== null && oldest.next !== null);
      const none = store.history({ order: "oldest first", volume, countMax: 9, spanMax: 1 });
      assert.deepStrictEqual(timesOf(none), [0]);
    },
  },
];

/** Each in a write of its own, at 0, 1, 2, … milliseconds. */
async function addAll(store: StateStore, names: readonly string[]): Promise<void> {
  for (const [index, name] of names.entries()) {
    await store.write((transaction) => transaction.addHistory(sampleHistory(name, index)));
  }
}

function timesOf(page: HistoryPage): readonly number[] {
  return page.entries.map((entry) => entry.atMs);
}

function cursorsOf(store: StateStore): readonly number[] {
  const { entries } = store.history({ order: "oldest first", countMax: 99 });
  return entries.map((entry) => entry.cursor);
}

/** The times of all pages, one after another. */
function walk(store: StateStore, query: HistoryQuery): readonly number[] {
  const times: number[] = [];
  for (let asked = query; ; ) {
    const page = store.history(asked);
    times.push(...timesOf(page));
    const { next } = page;
    if (next === null) return times;
    const last = query.order === "newest first" ? asked.before : asked.after;
    assert.notStrictEqual(next, last, "the same page for ever");
    asked = query.order === "newest first" ? { ...query, before: next } : { ...query, after: next };
  }
}
