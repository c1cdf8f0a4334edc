// The database keeps what it committed, and says in our words when the disk does not.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { whenPossible } from "../../test/support/needs.ts";
import { type Database, DatabaseCorrupt } from "../core/database.ts";
import { EngineError } from "../core/errors.ts";
import { makeOperationId } from "../core/names.ts";
import { silentLog, systemCaller } from "../core/operation.ts";
import { openDatabase } from "./database.ts";
import { linuxHost } from "./linux.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync("/dev/shm/holdfast-database-");
  path = join(folder, "state.db");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function withTable(): Database {
  const database = openDatabase(path, { mode: "create" });
  database.exec("CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT, data BLOB) STRICT");
  return database;
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof EngineError || thrown instanceof DatabaseCorrupt) return thrown.code;
    throw thrown;
  }
  return "no error";
}

describe("openDatabase", () => {
  test("returns what was stored, in the types it was stored in", () => {
    using database = disposable(withTable());
    const insert = database.prepare<never, [string | null, Uint8Array]>(
      "INSERT INTO word (text, data) VALUES (?, ?)",
    );
    expect(insert.run("a", new Uint8Array([1, 2]))).toEqual({ changes: 1, lastRowId: 1 });
    insert.run(null, new Uint8Array());
    const rows = database.prepare<{ id: number; text: string | null }>("SELECT id, text FROM word");
    expect(rows.all()).toEqual([
      { id: 1, text: "a" },
      { id: 2, text: null },
    ]);
    expect([...rows.iterate()]).toHaveLength(2);
    expect(rows.get()).toEqual({ id: 1, text: "a" });
    const one = database.prepare<{ data: Uint8Array }, [number]>(
      "SELECT data FROM word WHERE id = ?",
    );
    expect([...(one.get(1)?.data ?? [])]).toEqual([1, 2]);
    expect(one.get(99)).toBeUndefined();
  });

  test("leaves commits to log-sync.ts: a log that SQLite syncs at checkpoints only", () => {
    using database = disposable(withTable());
    expect(database.prepare<object>("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
    expect(database.prepare<object>("PRAGMA synchronous").get()).toEqual({ synchronous: 1 });
  });

  test("takes a transaction back when its work throws, and goes on", () => {
    using database = disposable(withTable());
    const insert = database.prepare<never, [string]>("INSERT INTO word (text) VALUES (?)");
    const count = database.prepare<{ n: number }>("SELECT count(*) AS n FROM word");
    const failing = () =>
      database.transaction(() => {
        insert.run("lost");
        throw new Error("changed my mind");
      });
    expect(failing).toThrow("changed my mind");
    expect(count.get()).toEqual({ n: 0 });
    expect(database.transaction(() => insert.run("kept").changes)).toBe(1);
    expect(count.get()).toEqual({ n: 1 });
  });

  test("keeps what another opening wrote; a read-only one leaves no file beside it", () => {
    const first = withTable();
    first.prepare<never, [string]>("INSERT INTO word (text) VALUES (?)").run("kept");
    first.close();
    first.close();
    expect(() => first.exec("SELECT 1")).toThrow();
    using copy = disposable(openDatabase(path, { mode: "read_only" }));
    expect(copy.prepare<object>("SELECT text FROM word").all()).toEqual([{ text: "kept" }]);
    expect(existsSync(`${path}-wal`) || existsSync(`${path}-shm`)).toBe(false);
    expect(codeOf(() => copy.exec("DELETE FROM word"))).toBe("storage.read_only");
  });

  test("keeps the log's file where it is asked to", () => {
    const database = openDatabase(path, { mode: "create", keepLog: true });
    database.exec("CREATE TABLE word (text)");
    database.close();
    expect(statSync(`${path}-wal`).size).toBeGreaterThan(0);
  });

  test("opens odd file names as they are", () => {
    const odd = join(folder, "a?b#c%20d é.db");
    openDatabase(odd, { mode: "create" }).close();
    expect(existsSync(odd)).toBe(true);
    openDatabase(odd, { mode: "read_only" }).close();
  });

  test("tells a damaged file from a failing disk", () => {
    writeFileSync(path, "this is not a database, whatever its name says. ".repeat(100));
    expect(codeOf(() => openDatabase(path, { mode: "existing" }))).toBe("corrupt");
    expect(codeOf(() => openDatabase(join(folder, "none"), { mode: "existing" }))).toBe(
      "storage.failed",
    );
    expect(codeOf(() => openDatabase("/no/such/folder/x", { mode: "create" }))).toBe(
      "storage.failed",
    );
  });

  test("leaves a mistake in the SQL what it is", () => {
    using database = disposable(withTable());
    expect(() => database.prepare("SELEC")).toThrow("syntax error");
  });
});

whenPossible(["root", "mount"], "a full and a read-only disk have their own codes", async () => {
  const host = linuxHost();
  const signal = AbortSignal.timeout(20_000);
  const operation = { id: makeOperationId("t"), caller: systemCaller, log: silentLog, signal };
  const request = { type: "tmpfs", device: "tmpfs", target: folder, options: "size=256k" };
  await host.mount(request, operation);
  try {
    const database = withTable();
    const insert = database.prepare<never, [Uint8Array]>("INSERT INTO word (data) VALUES (?)");
    const fill = () => {
      for (let index = 0; index < 100; index++) insert.run(new Uint8Array(32 * 1024));
    };
    expect(codeOf(fill)).toBe("storage.full");
    database.close();
    await host.run("mount", ["-o", "remount,ro", folder], operation);
    expect(codeOf(() => openDatabase(path, { mode: "create" }))).toBe("storage.read_only");
  } finally {
    await host.unmount(folder, operation);
  }
});

function disposable(database: Database): Database & Disposable {
  return { ...database, [Symbol.dispose]: () => database.close() };
}
