// Every state file that was ever released still opens, with all of its content.
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { copyFileSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { goldenContent, goldenHistory } from "../../test/fixtures/state/golden-content.ts";
import { openIn, temporaryDirectory } from "../../test/support/state-bench.ts";
import { contentOf, sampleVolume } from "../conformance/state-store.ts";
import { type Database, DatabaseCorrupt } from "../core/database.ts";
import { openDatabase } from "../host/database.ts";
import { COPY_VERSION, readCopy, sumLine } from "./copy-format.ts";
import {
  type Migration,
  makeSchema,
  migrations,
  runMigrations,
  stateVersion,
} from "./migrations.ts";
import { SCHEMA_VERSION } from "./schema.ts";

const fixtures = fileURLToPath(new URL("../../test/fixtures/state/", import.meta.url));
const files = readdirSync(fixtures);

/** The version of `vN.db` or `vN.copy`. */
function versionOf(file: string): number {
  return Number(/^v(\d+)\./.exec(file)?.[1]);
}

describe("golden state files", () => {
  test("there is one for every version", () => {
    for (let version = 1; version <= SCHEMA_VERSION; version++) {
      expect(files).toContain(`v${version}.db`);
    }
    for (let version = 1; version <= COPY_VERSION; version++) {
      expect(files).toContain(`v${version}.copy`);
    }
    expect(migrations.map((migration) => migration.version)).toEqual(
      Array.from({ length: SCHEMA_VERSION }, (_, index) => index + 1),
    );
  });

  test.each(files.filter((file) => file.endsWith(".db")))("%s", async (file) => {
    using directory = temporaryDirectory();
    copyFileSync(join(fixtures, file), join(directory.path, "state.db"));
    const store = openIn(directory.path);
    expect(store.origin).toEqual({ kind: "opened" });
    expect(contentOf(store)).toEqual(goldenContent(versionOf(file)));
    expect(store.history({ order: "oldest first", countMax: 100 })).toEqual({
      entries: goldenHistory(versionOf(file)),
      next: null,
    });
    await store.write((transaction) => transaction.putVolume(sampleVolume("afterwards")));
    const content = contentOf(store);
    await store.close();
    const again = openIn(directory.path);
    expect(again.origin).toEqual({ kind: "opened" });
    expect(contentOf(again)).toEqual(content);
    await again.close();
  });

  test.each(files.filter((file) => file.endsWith(".copy")))("%s", async (file) => {
    expect(readCopy(join(fixtures, file)).copiedAtMs).toBe(1_700_000_200_000);
    using directory = temporaryDirectory();
    copyFileSync(join(fixtures, file), join(directory.path, "state.copy"));
    const store = openIn(directory.path);
    expect(store.origin).toMatchObject({ kind: "salvaged", copiedAtMs: 1_700_000_200_000 });
    expect(contentOf(store)).toEqual(goldenContent(versionOf(file)));
    await store.close();
  });

  test("a damaged holder of version 1 gets no new checksum: the copy is used", async () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "state.db");
    copyFileSync(join(fixtures, "v1.db"), path);
    copyFileSync(join(fixtures, "v1.copy"), join(directory.path, "state.copy"));
    const database = openDatabase(path, { mode: "existing" });
    database.exec("UPDATE holders SET since_ms = since_ms + 1 WHERE holder = 'c2'");
    database.close();
    const store = openIn(directory.path);
    expect(store.origin).toMatchObject({
      kind: "salvaged",
      reason: expect.stringContaining("of holders is not what was stored"),
      copiedAtMs: 1_700_000_200_000,
    });
    expect(contentOf(store)).toEqual(goldenContent(1));
    await store.close();
  });

  test.each(["volumes", "retired"])(
    "a damaged row in %s of version 2 gets no new checksum: the copy is used",
    async (table) => {
      using directory = temporaryDirectory();
      const path = join(directory.path, "state.db");
      copyFileSync(join(fixtures, "v2.db"), path);
      copyFileSync(join(fixtures, "v2.copy"), join(directory.path, "state.copy"));
      const database = openDatabase(path, { mode: "existing" });
      database.exec(`UPDATE ${table} SET created_at_ms = created_at_ms + 1 WHERE name = 'plain'`);
      database.close();
      const store = openIn(directory.path);
      expect(store.origin).toMatchObject({
        kind: "salvaged",
        reason: expect.stringContaining(`of ${table} is not what was stored`),
      });
      expect(contentOf(store)).toEqual(goldenContent(2));
      await store.close();
    },
  );

  test("a volume of version 2 that was used gets its last use from the history", async () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "state.db");
    copyFileSync(join(fixtures, "v2.db"), path);
    const database = openDatabase(path, { mode: "existing" });
    const add = database.prepare<never, [string, string, number]>(
      "INSERT INTO history (at_ms, action, volume, driver, operation) " +
        "VALUES (?3, ?1, ?2, 'local', 'o')",
    );
    add.run("mount", "plain", 1_800_000_000_000);
    add.run("unmount", "plain", 1_800_000_000_001.5);
    add.run("remove", "labelled", 1_800_000_000_002);
    database.close();
    const store = openIn(directory.path);
    const names = ["plain", "labelled"];
    const uses = store.read((view) => names.map((name) => view.volume(name)?.lastUse));
    expect(uses).toEqual([{ atMs: 1_800_000_000_001.5, holder: "" }, null]);
    await store.close();
  });

  test("the tables are the same, made new or migrated", () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "state.db");
    copyFileSync(join(fixtures, "v1.db"), path);
    const migrated = openDatabase(path, { mode: "existing" });
    runMigrations(migrated, migrations, 1);
    const made = openDatabase(join(directory.path, "made.db"), { mode: "create" });
    makeSchema(made);
    expect(tablesOf(migrated)).toEqual(tablesOf(made));
    migrated.close();
    made.close();
  });
});

function tablesOf(database: Database): readonly { readonly name: string; readonly sql: string }[] {
  return database
    .prepare<{ readonly name: string; readonly sql: string }>(
      "SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY name",
    )
    .all();
}

describe("copies of the current version", () => {
  /** The golden copy with lines of it changed, and a checksum that fits. */
  function changedCopy(directory: string, change: (text: string) => string): string {
    const path = join(directory, "state.copy");
    const text = readFileSync(join(fixtures, `v${COPY_VERSION}.copy`), "utf8");
    const changed = change(text.slice(0, text.lastIndexOf("\n", text.length - 2) + 1));
    const sha256 = createHash("sha256").update(changed).digest("hex");
    writeFileSync(path, `${changed}${sumLine(sha256)}`);
    return path;
  }

  test.each<readonly [what: string, change: (text: string) => string]>([
    ["a holder without its kind", (text) => text.replace('"kind":"engine",', "")],
    ["a kind that there is not", (text) => text.replace('"kind":"engine"', '"kind":"pod"')],
    [
      "an engine that the header does not count",
      (text) => text.replace(/"engineCount":\d/, '"a":1'),
    ],
    ["an alias that the header does not count", (text) => text.replace(/"aliasCount":\d/, '"a":1')],
    ["a volume without its note", (text) => text.replace('"note":null,', "")],
    ["a volume without its last use", (text) => text.replace('"lastUse":null,', "")],
    ["an entry of the trash without its end", (text) => text.replace('"purgeAtMs":null,', "")],
    ["an entry of the trash without its aliases", (text) => text.replace(/,"aliases":\[]/, "")],
    [
      "a phase of the trash that there is not",
      (text) => text.replace('"phase":"kept"', '"phase":"no"'),
    ],
    ["a version to come", (text) => text.replace('"version":3', '"version":4')],
  ])("%s is refused", (_what, change) => {
    using directory = temporaryDirectory();
    expect(readCopy(changedCopy(directory.path, (text) => text)).engines).toHaveLength(2);
    expect(() => readCopy(changedCopy(directory.path, change))).toThrow();
  });
});

/** A golden file in a database of its own. */
function openGolden(directory: string): Database {
  const path = join(directory, "state.db");
  copyFileSync(join(fixtures, `v${SCHEMA_VERSION}.db`), path);
  return openDatabase(path, { mode: "existing", keepLog: true });
}

const addColumn: Migration = {
  version: SCHEMA_VERSION + 1,
  migrate: (database) =>
    database.exec("ALTER TABLE history ADD COLUMN host TEXT NOT NULL DEFAULT 'here'"),
};
const moveRows: Migration = {
  version: SCHEMA_VERSION + 2,
  migrate(database) {
    database.exec("CREATE TABLE moved (name TEXT NOT NULL) STRICT");
    database.exec("INSERT INTO moved SELECT name FROM volumes");
  },
};
const newest = SCHEMA_VERSION + 2;
const volumeCount = goldenContent(SCHEMA_VERSION).volumes.length;

describe("migrations", () => {
  test("each step after the file's version runs once, in order", () => {
    using directory = temporaryDirectory();
    const database = openGolden(directory.path);
    runMigrations(database, [...migrations, addColumn, moveRows], SCHEMA_VERSION);
    expect(stateVersion(database, newest)).toBe(newest);
    expect(database.prepare("SELECT name FROM moved").all()).toHaveLength(volumeCount);
    expect(database.prepare("SELECT host FROM history").all()).toHaveLength(
      goldenHistory(SCHEMA_VERSION).length,
    );
    runMigrations(database, [...migrations, addColumn, moveRows], newest);
    database.close();
  });

  test("a step that dies in its middle leaves the version before it whole", () => {
    using directory = temporaryDirectory();
    const database = openGolden(directory.path);
    const dying: Migration = {
      ...moveRows,
      migrate(inside) {
        moveRows.migrate(inside);
        inside.exec("DELETE FROM volumes");
        throw new Error("on purpose");
      },
    };
    expect(() => runMigrations(database, [addColumn, dying], SCHEMA_VERSION)).toThrow("on purpose");
    expect(stateVersion(database, newest)).toBe(SCHEMA_VERSION + 1);
    expect(database.prepare("SELECT 1 FROM volumes").all()).toHaveLength(volumeCount);
    // The next start goes on where this one stopped.
    runMigrations(database, [addColumn, moveRows], SCHEMA_VERSION + 1);
    expect(stateVersion(database, newest)).toBe(newest);
    database.close();
  });

  test("a later version is refused, and nothing of it is touched", () => {
    using directory = temporaryDirectory();
    const database = openGolden(directory.path);
    runMigrations(database, [addColumn], SCHEMA_VERSION);
    database.close();
    const path = join(directory.path, "state.db");
    const bytes = readFileSync(path);
    expect(() => openIn(directory.path)).toThrow(
      expect.objectContaining({ code: "state.too_new" }),
    );
    expect(readFileSync(path)).toEqual(bytes);
    expect(readdirSync(directory.path).filter((name) => name.includes("damaged"))).toEqual([]);
    expect(statSync(path).isFile()).toBe(true);
  });

  test("two versions that disagree are damage, not a later program's work", () => {
    using directory = temporaryDirectory();
    const database = openGolden(directory.path);
    database.exec("PRAGMA user_version = 1000");
    expect(() => stateVersion(database)).toThrow(DatabaseCorrupt);
    database.close();
  });
});
