// Every state file that was ever released still opens, with all of its content.
import { describe, expect, test } from "bun:test";
import { copyFileSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  goldenHistory,
  goldenHolders,
  goldenRetired,
  goldenVolumes,
} from "../../test/fixtures/state/golden-content.ts";
import { openIn, temporaryDirectory } from "../../test/support/state-bench.ts";
import { contentOf, sampleVolume } from "../conformance/state-store.ts";
import { type Database, DatabaseCorrupt } from "../core/database.ts";
import { openDatabase } from "../host/database.ts";
import { COPY_VERSION, readCopy } from "./copy-format.ts";
import { type Migration, migrations, runMigrations, stateVersion } from "./migrations.ts";
import { SCHEMA_VERSION } from "./schema.ts";

const fixtures = fileURLToPath(new URL("../../test/fixtures/state/", import.meta.url));
const files = readdirSync(fixtures);
const golden = { volumes: goldenVolumes, holders: goldenHolders, retired: goldenRetired };

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
    expect(contentOf(store)).toEqual(golden);
    expect(store.history({ countMax: 100 })).toEqual(goldenHistory.toReversed());
    await store.write((transaction) => transaction.putVolume(sampleVolume("afterwards")));
    await store.close();
  });

  test.each(files.filter((file) => file.endsWith(".copy")))("%s", async (file) => {
    expect(readCopy(join(fixtures, file)).copiedAtMs).toBe(1_700_000_200_000);
    using directory = temporaryDirectory();
    copyFileSync(join(fixtures, file), join(directory.path, "state.copy"));
    const store = openIn(directory.path);
    expect(store.origin).toMatchObject({ kind: "salvaged", copiedAtMs: 1_700_000_200_000 });
    expect(contentOf(store)).toEqual(golden);
    await store.close();
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

describe("migrations", () => {
  test("each step after the file's version runs once, in order", () => {
    using directory = temporaryDirectory();
    const database = openGolden(directory.path);
    runMigrations(database, [...migrations, addColumn, moveRows], SCHEMA_VERSION);
    expect(stateVersion(database, newest)).toBe(newest);
    expect(database.prepare("SELECT name FROM moved").all()).toHaveLength(goldenVolumes.length);
    expect(database.prepare("SELECT host FROM history").all()).toHaveLength(goldenHistory.length);
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
    expect(database.prepare("SELECT 1 FROM volumes").all()).toHaveLength(goldenVolumes.length);
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
