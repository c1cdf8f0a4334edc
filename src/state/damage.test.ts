// Whatever happens to the files, the state opens with what was stored, or says what it lost.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Directory, openIn, temporaryDirectory } from "../../test/support/state-bench.ts";
import {
  contentOf,
  sampleAlias,
  sampleEngine,
  sampleHistory,
  sampleHolder,
  sampleRetired,
  sampleVolume,
} from "../conformance/state-store.ts";
import type { StateOrigin, StateStore } from "../core/state-store.ts";

const volumeCount = 300;

let root: Directory;
/** A state that was closed, and the same as a kill -9 would have left it. */
let closed: string;
let killed: string;
let content: unknown;
let newest: unknown;

beforeEach(async () => {
  root = temporaryDirectory();
  closed = join(root.path, "closed");
  killed = join(root.path, "killed");
  const first = openIn(closed);
  await fill(first);
  content = contentOf(first);
  await first.close();
  const second = openIn(closed);
  // One commit each, so that damage to the log has something behind it.
  for (const name of ["late-1", "late-2", "late-3", "late-4"]) {
    await second.write((transaction) => {
      transaction.putVolume(sampleVolume(name));
      transaction.addHistory(sampleHistory(name, 1));
    });
  }
  newest = contentOf(second);
  cpSync(closed, killed, { recursive: true });
  await second.close();
  rmSync(closed, { recursive: true });
  cpSync(killed, closed, { recursive: true });
  await openIn(closed).close();
});

afterEach(() => root[Symbol.dispose]());

async function fill(store: StateStore): Promise<void> {
  await store.write((transaction) => {
    for (let index = 0; index < volumeCount; index++) {
      const name = `volume-${index}`;
      transaction.putVolume(sampleVolume(name, { labels: { index: String(index) } }));
      transaction.addHistory(sampleHistory(name, index));
    }
    transaction.putVolume(sampleVolume("noted", { note: "what it is for" }));
    transaction.putHolder(sampleHolder("volume-7", "c1"));
    transaction.putHolder(sampleHolder("volume-8", "c1", 2, "engine"));
    transaction.putAlias(sampleAlias("before-volume-9", "volume-9", 2.5));
    transaction.putRetired(sampleRetired("old", "a", { sizeBytes: 4711, purgeAtMs: null }));
    transaction.putEngine(sampleEngine("/run/docker.sock", 3));
  });
}

/** Opens, looks, closes; everything twice, because what is brought back must last. */
async function openTwice(directory: string): Promise<{ origin: StateOrigin; content: unknown }> {
  const first = openIn(directory);
  const seen = contentOf(first);
  await first.write((transaction) => transaction.putVolume(sampleVolume("probe")));
  await first.close();
  const second = openIn(directory);
  expect(second.origin).toEqual({ kind: "opened" });
  expect(second.read((view) => view.volume("probe"))).toBeDefined();
  await second.close();
  return { origin: first.origin, content: seen };
}

function damagedFiles(directory: string): readonly string[] {
  return readdirSync(directory).filter((name) => name.includes(".damaged-"));
}

function flip(path: string, position: number, bytes = 8): void {
  const content = readFileSync(path);
  for (let at = position; at < position + bytes; at++) content[at] = (content[at] ?? 0) ^ 0x5a;
  writeFileSync(path, content);
}

describe("the undamaged state", () => {
  test("closed or killed, it opens with everything", async () => {
    expect(await openTwice(closed)).toEqual({ origin: { kind: "opened" }, content: newest });
    expect(await openTwice(killed)).toEqual({ origin: { kind: "opened" }, content: newest });
    expect(damagedFiles(killed)).toEqual([]);
  });

  test("a read-only look at the files changes nothing of them", () => {
    expect(statSync(join(closed, "state.db-wal")).size).toBe(2_109_472);
  });
});

/** Rows came back from the copy, and the damaged file is still there. */
function expectSalvaged(
  directory: string,
  opened: { origin: StateOrigin; content: unknown },
): void {
  expect(opened.origin).toMatchObject({ kind: "salvaged", copiedAtMs: expect.any(Number) });
  expect(opened.content).toEqual(newest);
  expect(damagedFiles(directory)).not.toEqual([]);
}

describe("a damaged state.db", () => {
  for (let part = 0; part < 16; part++) {
    test(`cut to ${part} of 16`, async () => {
      const path = join(closed, "state.db");
      const bytes = Math.floor((statSync(path).size * part) / 16);
      truncateSync(path, bytes);
      // The log of a closed state holds some pages still: they may fill the gap.
      rmSync(`${path}-wal`);
      expectSalvaged(closed, await openTwice(closed));
    });
  }

  for (const [what, position] of [
    ["magic", 0],
    ["page size", 16],
    ["schema version", 60],
    ["application id", 68],
    ["schema table", 100],
  ] as const) {
    test(`flipped bytes in the header: ${what}`, async () => {
      rmSync(join(closed, "state.db-wal"));
      flip(join(closed, "state.db"), position);
      expectSalvaged(closed, await openTwice(closed));
    });
  }

  test("a flipped bit in a label is noticed, wherever it is", async () => {
    rmSync(join(closed, "state.db-wal"));
    const path = join(closed, "state.db");
    flip(path, readFileSync(path).lastIndexOf('{"index":"250"}') + 11, 1);
    expectSalvaged(closed, await openTwice(closed));
  });

  test("a flipped bit in an engine's key is noticed", async () => {
    rmSync(join(closed, "state.db-wal"));
    const path = join(closed, "state.db");
    flip(path, readFileSync(path).lastIndexOf("docker:/run/docker.sock") + 12, 1);
    expectSalvaged(closed, await openTwice(closed));
  });

  test.each([
    ["an alias", "before-volume-9", 7],
    ["who removed what lies in the trash", "dockerd", 2],
    ["a note", "what it is for", 3],
  ])("a flipped bit in %s is noticed", async (_what, text, offset) => {
    rmSync(join(closed, "state.db-wal"));
    const path = join(closed, "state.db");
    const position = readFileSync(path).lastIndexOf(text);
    expect(position).toBeGreaterThan(0);
    flip(path, position + offset, 1);
    expectSalvaged(closed, await openTwice(closed));
  });

  test("flipped bytes at every 1/16: all rows, from the file or from the copy", async () => {
    const whole = join(root.path, "whole.db");
    rmSync(join(closed, "state.db-wal"));
    copyFileSync(join(closed, "state.db"), whole);
    const { size } = statSync(whole);
    for (let part = 0; part < 16; part++) {
      const path = join(root.path, `flipped-${part}`);
      cpSync(closed, path, { recursive: true });
      flip(join(path, "state.db"), Math.floor((size * (part + 0.5)) / 16), 512);
      const opened = await openTwice(path);
      expect(opened.content).toEqual(newest);
    }
  });

  test.each([
    ["empty", new Uint8Array(0)],
    ["zeros", new Uint8Array(40_960)],
    ["text", Buffer.from("this is no database\n".repeat(400))],
  ])("%s", async (_what, bytes) => {
    writeFileSync(join(closed, "state.db"), bytes);
    rmSync(join(closed, "state.db-wal"));
    expectSalvaged(closed, await openTwice(closed));
  });

  test("a directory in its place", async () => {
    rmSync(join(closed, "state.db"));
    mkdirSync(join(closed, "state.db"));
    expectSalvaged(closed, await openTwice(closed));
  });

  test("gone, with its log left behind", async () => {
    rmSync(join(closed, "state.db"));
    const opened = await openTwice(closed);
    expect(opened.origin).toMatchObject({ kind: "salvaged", copiedAtMs: expect.any(Number) });
    expect(opened.content).toEqual(newest);
  });

  test("the state of a foreign program is put aside too", async () => {
    const path = join(closed, "state.db");
    rmSync(`${path}-wal`);
    flip(path, 68, 4);
    const bytes = readFileSync(path);
    await openTwice(closed);
    expect(
      readFileSync(join(closed, damagedFiles(closed).find((name) => !name.endsWith("-wal")) ?? "")),
    ).toEqual(bytes);
  });
});

describe("a damaged log", () => {
  test("missing after a kill: what the file and the copy know, and the loss is told", async () => {
    rmSync(join(killed, "state.db-wal"));
    const opened = await openTwice(killed);
    expect(opened.origin).toMatchObject({ kind: "salvaged", reason: expect.any(String) });
    expect(opened.content).toEqual(content);
  });

  test("missing after a close: nothing is lost, nothing is said", async () => {
    rmSync(join(closed, "state.db-wal"));
    expect(await openTwice(closed)).toEqual({ origin: { kind: "opened" }, content: newest });
  });

  test("garbage after a kill", async () => {
    writeFileSync(join(killed, "state.db-wal"), Buffer.alloc(100_000, 0xa5));
    const opened = await openTwice(killed);
    expect(opened.origin).toMatchObject({ kind: "salvaged", damagedPath: expect.any(String) });
    expect(opened.content).toEqual(content);
    expect(damagedFiles(killed).length).toBe(2);
  });

  test("damage in its middle is told from its end", async () => {
    const path = join(killed, "state.db-wal");
    const log = readFileSync(path);
    flip(path, log.indexOf("late-1"), 2);
    const opened = await openTwice(killed);
    expect(opened.origin).toMatchObject({ kind: "salvaged", damagedPath: expect.any(String) });
  });

  test("a torn last commit, never acknowledged, is no damage", async () => {
    const path = join(killed, "state.db-wal");
    const log = readFileSync(path);
    flip(path, log.lastIndexOf("late-4"), 2);
    const opened = await openTwice(killed);
    expect(opened.origin).toEqual({ kind: "opened" });
  });
});

describe("damaged copies", () => {
  test("the older copy serves when the newest is damaged", async () => {
    flip(join(closed, "state.copy"), 200);
    writeFileSync(join(closed, "state.db"), "");
    rmSync(join(closed, "state.db-wal"));
    const opened = await openTwice(closed);
    expect(opened.origin).toMatchObject({ kind: "salvaged", copiedAtMs: expect.any(Number) });
    expect(opened.content).toEqual(content);
  });

  test("with both damaged the state is empty and says so", async () => {
    flip(join(closed, "state.copy"), 200);
    truncateSync(join(closed, "state.copy.1"), 900);
    writeFileSync(join(closed, "state.db"), "");
    rmSync(join(closed, "state.db-wal"));
    const opened = await openTwice(closed);
    expect(opened.origin).toMatchObject({ kind: "salvaged", copiedAtMs: null });
    expect(opened.content).toEqual({
      volumes: [],
      holders: [],
      aliases: [],
      retired: [],
      engines: [],
    });
  });

  test("what was left of an unfinished salvage is made again", async () => {
    writeFileSync(join(closed, "state.db.new"), "half");
    rmSync(join(closed, "state.db"));
    const opened = await openTwice(closed);
    expect(opened.content).toEqual(newest);
    expect(existsSync(join(closed, "state.db.new"))).toBe(false);
  });
});

describe("the count of changes", () => {
  /** The cursors of what is changed after the loss; none may be one that was given before. */
  async function expectLarger(directory: string, nowMs = Date.now()): Promise<void> {
    const store = openIn(directory, { nowMs: () => nowMs });
    expect(store.origin.kind).toBe("salvaged");
    await store.write((transaction) => transaction.addHistory(sampleHistory("after", 1)));
    const query = { order: "newest first", countMax: 1_000 } as const;
    const [newestEntry, ...older] = store.history(query).entries;
    expect(newestEntry?.volume).toBe(sampleVolume("after").name);
    expect(newestEntry?.cursor).toBeGreaterThan(volumeCount + 4);
    await store.close();
    const again = openIn(directory);
    await again.write((transaction) => transaction.addHistory(sampleHistory("later", 2)));
    const { entries, next } = again.history({ ...query, countMax: 2 });
    expect(entries.map(({ cursor }) => cursor)).toEqual([
      (newestEntry?.cursor ?? 0) + 1,
      newestEntry?.cursor ?? 0,
    ]);
    expect(next === null).toBe(older.length === 0);
    await again.close();
  }

  test("goes on after a state that was lost, also where the clock is wrong", async () => {
    // Its copy is from before the last changes.
    rmSync(join(killed, "state.db"));
    rmSync(join(killed, "state.db-wal"));
    const wrong = join(root.path, "wrong");
    cpSync(killed, wrong, { recursive: true });
    await expectLarger(killed);
    await expectLarger(wrong, 1_000);
  });

  test("goes on after a state that was lost with its copies", async () => {
    for (const name of ["state.db", "state.copy", "state.copy.1"]) rmSync(join(closed, name));
    await expectLarger(closed);
  });

  test("goes on after a log that was lost, and the older history is still there", async () => {
    rmSync(join(killed, "state.db-wal"));
    await expectLarger(killed);
    const store = openIn(killed);
    const { entries } = store.history({ order: "oldest first", countMax: 1_000 });
    expect(entries.length).toBeGreaterThanOrEqual(volumeCount);
    await store.close();
  });

  test("begins with 1 in a new state", async () => {
    const store = openIn(join(root.path, "new"));
    await store.write((transaction) => transaction.addHistory(sampleHistory("first", 1)));
    const { entries } = store.history({ order: "oldest first", countMax: 9 });
    expect(entries.map(({ cursor }) => cursor)).toEqual([1]);
    await store.close();
  });
});
