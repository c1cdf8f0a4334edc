// What a commit that fails, and what fails after a commit, do to the writes of one turn.
import { describe, expect, spyOn, test } from "bun:test";
import { renameSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { type Directory, openIn, temporaryDirectory } from "../../test/support/state-bench.ts";
import { sampleHistory, sampleHolder, sampleVolume } from "../conformance/state-store.ts";
import type { OpenDatabase, SqlValue, Statement } from "../core/database.ts";
import type { Log } from "../core/operation.ts";
import { silentLog } from "../core/operation.ts";
import type { StateStore } from "../core/state-store.ts";
import { openDatabase } from "../host/database.ts";
import { Memory } from "./memory.ts";

/** More than the free pages of a young state have room for without a look at them. */
const LARGE_BYTES = 600_000;

function put(store: StateStore, name: string, paddingBytes = 0): Promise<void> {
  const labels = { padding: "x".repeat(paddingBytes) };
  return store.write((transaction) => {
    transaction.putVolume(sampleVolume(name, { labels }));
    transaction.addHistory(sampleHistory(name, 1));
  });
}

function namesOf(store: StateStore): readonly string[] {
  return store.read((view) => [...view.volumes()].map((volume) => volume.name)).sort();
}

/** The real database, which says that it has few free pages while `isShort`. */
function shortOfPages(): { readonly open: OpenDatabase; isShort: boolean } {
  const pages = {
    isShort: false,
    open: ((path, options) => {
      const database = openDatabase(path, options);
      const prepare = <Row, Parameters extends readonly SqlValue[]>(
        sql: string,
      ): Statement<Row, Parameters> => {
        const statement = database.prepare<Row, Parameters>(sql);
        if (sql !== "PRAGMA freelist_count") return statement;
        // `as`: the row of this one statement, whose type its caller has named.
        const few = { freelist_count: 100 } as Row;
        const get = (...parameters: Parameters) =>
          pages.isShort ? few : statement.get(...parameters);
        return { ...statement, get };
      };
      return { ...database, prepare };
    }) satisfies OpenDatabase,
  };
  return pages;
}

/** The next attempt to get more room fails as on a full disk; the one after it does not. */
function fillOnce(directory: Directory): void {
  symlinkSync("/dev/full", join(directory.path, "state.probe"));
}

/** The same names and no more, now and after a start. */
async function expectNames(
  directory: Directory,
  store: StateStore,
  names: readonly string[],
): Promise<void> {
  expect(namesOf(store)).toEqual(names);
  await store.close();
  const again = openIn(directory.path);
  expect(again.origin).toEqual({ kind: "opened" });
  expect(namesOf(again)).toEqual(names);
  await again.close();
}

function statusOf(outcomes: readonly PromiseSettledResult<unknown>[]): readonly string[] {
  return outcomes.map(({ status }) => status);
}

describe("a write for which there is no room", () => {
  test("is not done although the others of its turn are tried again", async () => {
    using directory = temporaryDirectory();
    const pages = shortOfPages();
    const store = openIn(directory.path, { openDatabase: pages.open });
    pages.isShort = true;
    fillOnce(directory);
    const refused = put(store, "refused", LARGE_BYTES);
    const wrong = store.write((transaction) =>
      transaction.putVolume(sampleVolume("wrong", JSON.parse('{"phase":null}'))),
    );
    const good = store.write((transaction) => transaction.addHistory(sampleHistory("good", 1)));
    // Room comes back between the refusal and the second attempt at the rest.
    const outcomes = await Promise.allSettled([refused, wrong, good]);
    expect(statusOf(outcomes)).toEqual(["rejected", "rejected", "fulfilled"]);
    await expect(refused).rejects.toMatchObject({ code: "storage.full" });
    await expectNames(directory, store, []);
  });

  test("is no base for a later one of its turn", async () => {
    using directory = temporaryDirectory();
    const pages = shortOfPages();
    const store = openIn(directory.path, { openDatabase: pages.open });
    pages.isShort = true;
    fillOnce(directory);
    const refused = put(store, "both", LARGE_BYTES);
    const second = put(store, "both");
    const outcomes = await Promise.allSettled([refused, second]);
    pages.isShort = false;
    expect(statusOf(outcomes)).toEqual(["rejected", "fulfilled"]);
    await expectNames(directory, store, ["both"]);
  });
});

describe("what fails after a commit", () => {
  test("rejects nothing that is on disk, and the next write works", async () => {
    using directory = temporaryDirectory();
    const warnings: string[] = [];
    const log: Log = { ...silentLog, warn: (message) => void warnings.push(message) };
    const store = openIn(directory.path, { log });
    await put(store, "first");
    // Looking at the log's length fails; SQLite has it open and goes on.
    const path = join(directory.path, "state.db-wal");
    renameSync(path, `${path}.kept`);
    symlinkSync("state.db-wal", path);
    await store.write((transaction) => {
      for (let index = 0; index < 100; index++) {
        transaction.putVolume(sampleVolume(`volume-${index}`));
      }
    });
    expect(warnings).toHaveLength(1);
    expect(store.read((view) => view.volumeCount)).toBe(101);
    renameSync(`${path}.kept`, path);
    await put(store, "last");
    await store.write((transaction) => transaction.putHolder(sampleHolder("last", "c1")));
    await store.close();
    const again = openIn(directory.path);
    expect(again.read((view) => view.volumeCount)).toBe(102);
    await again.close();
  });

  test("a view that cannot follow the disk stops all further writes", async () => {
    using directory = temporaryDirectory();
    const errors: string[] = [];
    const log: Log = { ...silentLog, error: (message) => void errors.push(message) };
    const store = openIn(directory.path, { log });
    const apply = spyOn(Memory.prototype, "apply").mockImplementation(() => {
      throw new Error("on purpose");
    });
    try {
      await put(store, "aa");
    } finally {
      apply.mockRestore();
    }
    expect(errors).toHaveLength(1);
    await expect(put(store, "bb")).rejects.toMatchObject({ code: "internal.bug" });
    await store.close();
    const again = openIn(directory.path);
    expect(namesOf(again)).toEqual(["aa"]);
    await again.close();
  });
});
