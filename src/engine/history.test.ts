// The history: one volume under all its names, in pages, and each change once as it is stored.
import { describe, expect, test } from "bun:test";
import { eventually } from "../../test/support/child.ts";
import { create, type EngineBench, named, startedEngine } from "../../test/support/engine-bench.ts";
import { changeText, filled, rename } from "../../test/support/upkeep-bench.ts";
import { EngineError } from "../core/errors.ts";
import { makeOperationId, parseDriverName, parseHolderId, parseVolumeName } from "../core/names.ts";
import { silentLog } from "../core/operation.ts";
import type { HistoryPage, StateStore } from "../core/state-store.ts";
import { History, type PageQuery, tellingState } from "./history.ts";
import { historyEntry } from "./history-entry.ts";
import { trashDefaults } from "./trash/policy.ts";

async function of(
  bench: EngineBench,
  name: string,
  query: Partial<PageQuery> = {},
): Promise<HistoryPage> {
  return await bench.engine.history.of(name, { countMax: 100, ...query }, bench.operation());
}

function texts({ entries }: HistoryPage): readonly string[] {
  return entries.map(changeText);
}

/** A volume that had three names, beside others that had them too. */
async function renamedTwice(bench: EngineBench): Promise<void> {
  await filled(bench, "bb");
  await bench.engine.volumes.remove("bb", bench.operation());
  await filled(bench, "aa");
  await bench.engine.volumes.mount("aa", parseHolderId("job"), bench.operation());
  await bench.engine.volumes.unmount("aa", parseHolderId("job"), bench.operation());
  await rename(bench, "aa", "bb");
  await create(bench, named("aa"));
  await rename(bench, "bb", "cc", true);
}

const all = ["rename cc bb", "rename bb aa", "unmount aa job", "mount aa job", "create aa"];

describe("of a volume", () => {
  test("is that of all its names, and of nobody else", async () => {
    await using bench = await startedEngine();
    await renamedTwice(bench);
    expect(texts(await of(bench, "cc"))).toEqual(all);
    expect(texts(await of(bench, "bb"))).toEqual(all);
    expect(texts(await of(bench, "never"))).toEqual([]);
    expect(texts(await of(bench, "aa"))).toEqual([
      "create aa",
      "unmount aa job",
      "mount aa job",
      "create aa",
    ]);
  });

  test("goes on with the name that it had before it came back under another one", async () => {
    await using bench = await startedEngine({ trash: { defaults: trashDefaults } });
    await filled(bench, "aa");
    await bench.engine.volumes.remove("aa", bench.operation());
    await create(bench, named("aa"));
    const { id } = bench.engine.trash.find("aa");
    await bench.engine.trash.restore(id, "bb", bench.operation());
    const changes = ["restore bb", "remove aa"].map((change) => `${change} ${id}`);
    expect(texts(await of(bench, "bb"))).toEqual([...changes, "create aa"]);
    expect(texts(await of(bench, "bb", { countMax: 1 }))).toEqual(changes.slice(0, 1));
  });

  test("ends where it may look no further, also on the way to an older name", async () => {
    await using bench = await startedEngine({ trash: { defaults: trashDefaults } });
    await renamedTwice(bench);
    const { newest } = bench.engine.history;
    const found = await Promise.all(
      Array.from({ length: newest + 2 }, (_, index) => of(bench, "cc", { spanMax: index + 1 })),
    );
    for (const [index, page] of found.entries()) {
      const within = found.at(-1)?.entries.filter(({ cursor }) => cursor >= newest - index) ?? [];
      expect(page.entries).toEqual(within);
      expect(page.next).toBe(index + 1 < newest ? newest - index : null);
    }
    expect(texts(found.at(-1) ?? (await of(bench, "none")))).toEqual(all);
    await bench.engine.volumes.remove("cc", bench.operation());
    await create(bench, named("other"));
    const { id } = bench.engine.trash.find("cc");
    await bench.engine.trash.restore(id, "dd", bench.operation());
    // Its removal was under another name, and is not looked at.
    const cut = await of(bench, "dd", { spanMax: 2 });
    expect([texts(cut), cut.next]).toEqual([[`restore dd ${id}`], newest + 2]);
    expect(texts(await of(bench, "dd", { spanMax: 3 }))).toEqual([
      `restore dd ${id}`,
      `remove cc ${id}`,
    ]);
  });

  test("comes in pages that fit together, however small, and the last one says so", async () => {
    await using bench = await startedEngine();
    await renamedTwice(bench);
    for (const countMax of [1, 2, 3, all.length, all.length + 1]) {
      const found: string[] = [];
      let page = await of(bench, "cc", { countMax });
      found.push(...texts(page));
      while (page.next !== null) {
        page = await of(bench, "cc", { countMax, before: page.next });
        found.push(...texts(page));
        expect(page.entries.length).toBeGreaterThan(0);
      }
      expect(found).toEqual(all);
    }
  });

  test("does not follow a rename that was taken back", async () => {
    await using bench = await startedEngine();
    const { name, driver } = await filled(bench, "old");
    const entry = { name: (await filled(bench, "new")).name, driver };
    const operation = bench.operation();
    await bench.state.write((transaction) => {
      for (const action of ["rename", "undo"] as const) {
        const change = { action, entry, subject: name };
        transaction.addHistory(historyEntry(bench.host, change, operation));
      }
    });
    expect(texts(await of(bench, "new"))).toEqual(["undo new old", "rename new old", "create new"]);
  });

  test("among 30,000 changes lets others work in between", async () => {
    await using bench = await startedEngine();
    const entry = await filled(bench, "old");
    await bench.state.write((transaction) => {
      const row = historyEntry(bench.host, { action: "mount", entry }, bench.operation());
      for (let count = 0; count < 30_000; count++) transaction.addHistory(row);
    });
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 0);
    expect((await of(bench, "old", { countMax: 50_000 })).entries).toHaveLength(30_001);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(1);
    const signal = AbortSignal.abort(new EngineError("operation.cancelled", "gone"));
    const cancelled = bench.engine.history.of("old", { countMax: 1 }, bench.operation(signal));
    expect(await cancelled.catch((error: unknown) => error)).toMatchObject({
      code: "operation.cancelled",
    });
  });
});

describe("who follows", () => {
  test("gets each change once, in order, with its cursor, when it is on disk", async () => {
    await using bench = await startedEngine();
    const { history } = bench.engine;
    await create(bench, named("before"));
    const first = history.newest;
    const seen: string[] = [];
    const cursors: number[] = [];
    const unfollow = history.follow((entry) => {
      // What is told is stored.
      expect(history.after(entry.cursor - 1, 1).entries).toEqual([entry]);
      cursors.push(entry.cursor);
      seen.push(changeText(entry));
    });
    const names = Array.from({ length: 300 }, (_, index) => `volume-${index}`);
    await Promise.all(names.map((name) => create(bench, named(name))));
    await rename(bench, "volume-7", "seven", true);
    await bench.engine.volumes.remove("volume-7", bench.operation());
    await until(() => seen.length === 302);
    expect(seen.slice(0, 300).toSorted()).toEqual(names.map((name) => `create ${name}`).toSorted());
    expect(seen.slice(300)).toEqual(["rename seven volume-7", "forget seven volume-7"]);
    expect(cursors).toEqual(Array.from(cursors, (_, index) => first + 1 + index));
    unfollow();
    await create(bench, named("after"));
    expect([history.newest, seen.length]).toEqual([first + 303, 302]);
  });

  test("joins without a gap: what is behind a cursor, then what is new", async () => {
    await using bench = await startedEngine();
    const { history } = bench.engine;
    const known = history.after(0, 10).entries;
    const seen: string[] = [];
    const writing = create(bench, named("aa"));
    const unfollow = history.follow((entry) => seen.push(changeText(entry)));
    await writing;
    await create(bench, named("bb"));
    await until(() => seen.length === 2);
    unfollow();
    expect([known, seen]).toEqual([[], ["create aa", "create bb"]]);
  });

  test("misses nothing when the history could not be read for a moment", async () => {
    await using bench = await startedEngine();
    let isDead = false;
    const state: StateStore = tellingState(bench.state, () => history.stored());
    const broken: StateStore = {
      ...tellingState(state, () => undefined),
      history(query) {
        if (isDead) throw new EngineError("storage.failed", "the disk does not answer");
        return state.history(query);
      },
    };
    const operation = () => bench.operation();
    const history: History = new History({ state: broken, host: bench.host, operation });
    const entry = await filled(bench, "aa");
    const seen: string[] = [];
    const unfollow = history.follow(({ subject }) => seen.push(subject));
    const add = (subject: string) =>
      state.write((transaction) => {
        const change = { action: "update", entry, subject } as const;
        transaction.addHistory(historyEntry(bench.host, change, bench.operation()));
      });
    isDead = true;
    await add("one");
    await until(() => bench.log.some(({ message }) => message.includes("could not be read")));
    isDead = false;
    await add("two");
    await until(() => seen.length === 2);
    unfollow();
    expect(seen).toEqual(["one", "two"]);
  });
});

test("a refusal that cannot be written is no further failure", async () => {
  await using bench = await startedEngine();
  const entry = await filled(bench, "aa");
  const state = { ...tellingState(bench.state, () => undefined) };
  const dead = new EngineError("storage.full", "no space left");
  const broken: StateStore = { ...state, write: () => Promise.reject(dead) };
  const operation = bench.operation();
  const history = new History({ state: broken, host: bench.host, operation: () => operation });
  history.refused({ action: "remove", entry }, new Error("whatever"), operation);
  await until(() => bench.log.some(({ message }) => message.includes("not in the history")));
});

test("a subject is cut at 1,000 characters, and a process that is gone has no name", () => {
  const host = { nowMs: () => 1, programOf: () => "" };
  const entry = { name: parseVolumeName("aa"), driver: parseDriverName("local") };
  const caller = { kind: "process", uid: 0, gid: 0, pid: 4 } as const;
  const operation = {
    id: makeOperationId("op"),
    caller,
    signal: new AbortController().signal,
    log: silentLog,
  };
  const row = historyEntry(
    host,
    { action: "protect", entry, subject: "x".repeat(2_000) },
    operation,
  );
  expect([row.subject.length, row.by, row.outcome, row.caller]).toEqual([
    1_000,
    "",
    "done",
    caller,
  ]);
});

async function until(holds: () => boolean): Promise<void> {
  await eventually(() => (holds() ? true : undefined), {
    timeoutMs: 5_000,
    otherwise: () => "it did not come to hold",
  });
}
