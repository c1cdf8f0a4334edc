// From each schema version to the next, as data.
import type { Database, SqlValue } from "../core/database.ts";
import { DatabaseCorrupt } from "../core/database.ts";
import { EngineError } from "../core/errors.ts";
import { prove, withSum } from "./rows.ts";
import {
  APPLICATION_ID,
  marks,
  SCHEMA_VERSION,
  schemaVersion1,
  schemaVersion2,
  schemaVersion3,
} from "./schema.ts";

/** One step. It runs inside a transaction: a crash in the middle leaves the older version whole. */
export interface Migration {
  /** The version the step ends with; it begins with the one before. */
  readonly version: number;
  migrate(database: Database): void;
}

/** Version 0 is an empty file that has just been made. A released step never changes. */
export const migrations: readonly Migration[] = [
  { version: 1, migrate: (database) => database.exec(schemaVersion1) },
  { version: 2, migrate: giveHoldersKinds },
  { version: 3, migrate: keepTheTrash },
  // The tables stay as they are: programs that know no later version than 3 end with an exception
  // where the history has an action they have no word for, and take options of later engines for
  // options of drivers. They must refuse the state instead.
  { version: 4, migrate: () => undefined },
];

interface HolderRowVersion1 {
  readonly volume_id: number;
  readonly holder: string;
  readonly since_ms: number;
  readonly sum: number;
}

/**
 * Every holder of version 1 is a client: there was no other way to hold. Their checksums are made
 * anew, so the old ones are proven first: a new one would hide the damage of its row for ever.
 */
function giveHoldersKinds(database: Database): void {
  const rows = database.prepare<HolderRowVersion1>("SELECT * FROM holders").all();
  database.exec(schemaVersion2);
  const insert = database.prepare<never, readonly SqlValue[]>(
    "INSERT INTO holders VALUES (?, ?, ?, ?, ?)",
  );
  for (const { volume_id, holder, since_ms, sum } of rows) {
    prove("holders", volume_id, sum, [holder, since_ms]);
    insert.run(volume_id, ...withSum(volume_id, [holder, "client", since_ms]));
  }
}

/** A row of `volumes` or `retired` of version 2: columns come in the order of the table. */
type RowVersion2 = Readonly<Record<string, SqlValue>> & {
  readonly id: number;
  readonly sum: number;
};

/** How many rows a migration has in memory at once. */
const SLICE_ROWS = 1_000;

/** In the order of their ids; not one at a time, because what is read must not be written. */
function* slicesOf(database: Database, table: string): Generator<RowVersion2> {
  const slice = database.prepare<RowVersion2, [after: number, count: number]>(
    `SELECT * FROM ${table} WHERE id > ? ORDER BY id LIMIT ?`,
  );
  for (let after = Number.NEGATIVE_INFINITY; ; ) {
    const rows = slice.all(after, SLICE_ROWS);
    yield* rows;
    if (rows.length < SLICE_ROWS) return;
    after = rows.at(-1)?.id ?? after;
  }
}

/** No note, no protection. */
const nothingMore: readonly SqlValue[] = [null, null, null, null];
/** The same, and no last use. */
const neverUsed: readonly SqlValue[] = [null, null, ...nothingMore];

/**
 * When each volume was mounted or unmounted last, as far as the history reaches: without it what is
 * used every day would look unused since it was made. Who used it stood nowhere.
 */
function lastUses(database: Database): ReadonlyMap<SqlValue, number> {
  const rows = database
    .prepare<{ readonly volume: string; readonly at_ms: number }>(
      "SELECT volume, max(at_ms) AS at_ms FROM history " +
        "WHERE action IN ('mount', 'unmount') GROUP BY volume",
    )
    .all();
  return new Map(rows.map(({ volume, at_ms }) => [volume, at_ms]));
}

/**
 * What lay in the trash of version 2 was about to be purged, and still is. Each row is proven
 * first, as in `giveHoldersKinds`.
 */
function keepTheTrash(database: Database): void {
  database.exec(schemaVersion3.before);
  const insert = (table: string, count: number) =>
    database.prepare<never, readonly SqlValue[]>(`INSERT INTO ${table} VALUES (${marks(count)})`);
  const uses = lastUses(database);
  const insertVolume = insert("volumes_3", 19);
  for (const { id, sum, ...columns } of slicesOf(database, "volumes")) {
    const values = Object.values(columns);
    prove("volumes", id, sum, values);
    const usedAtMs = uses.get(columns["name"] ?? "");
    // An older volume of the same name was another volume.
    const isOwn = usedAtMs !== undefined && usedAtMs >= Number(columns["created_at_ms"]);
    const more = isOwn ? [usedAtMs, "", ...nothingMore] : neverUsed;
    insertVolume.run(id, ...withSum(id, [...values, ...more]));
  }
  const insertRetired = insert("retired_3", 26);
  for (const { id, sum, ...columns } of slicesOf(database, "retired")) {
    const values = Object.values(columns);
    prove("retired", id, sum, values);
    const [trashId = null, retiredAtMs = null, ...volume] = values;
    const trash = [trashId, retiredAtMs, "purging", "", retiredAtMs, null, "[]"];
    insertRetired.run(id, ...withSum(id, [...trash, ...volume, ...neverUsed]));
  }
  database.exec(schemaVersion3.after);
}

/** Makes the empty database a state of the current version. */
export function makeSchema(database: Database): void {
  database.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
  runMigrations(database, migrations, 0);
}

/**
 * The version of the state file. Throws `state.too_new` for a later one than `newest`, and
 * `DatabaseCorrupt` for what is no state file, or says two different versions.
 */
export function stateVersion(database: Database, newest: number = SCHEMA_VERSION): number {
  const application = database
    .prepare<{ readonly application_id: number }>("PRAGMA application_id")
    .get()?.application_id;
  if (application !== APPLICATION_ID) {
    throw new DatabaseCorrupt(`${database.path} is no state file: its application id is not ours`);
  }
  const version = userVersion(database);
  const confirmed = database
    .prepare<{ readonly value: string }>("SELECT value FROM meta WHERE key = 'schema'")
    .get()?.value;
  if (confirmed !== String(version)) {
    throw new DatabaseCorrupt(
      `${database.path} says schema ${version} in its header and ${confirmed} inside`,
    );
  }
  if (version > newest) {
    throw new EngineError(
      "state.too_new",
      `${database.path} has schema ${version}; this Holdfast knows ${newest} and older`,
      { details: { version, newest } },
    );
  }
  return version;
}

/** Runs every step after `from`, each in a transaction of its own. */
export function runMigrations(database: Database, steps: readonly Migration[], from: number): void {
  for (const step of steps) {
    if (step.version <= from) continue;
    database.transaction(() => {
      step.migrate(database);
      database
        .prepare<never, [string]>("INSERT OR REPLACE INTO meta VALUES ('schema', ?)")
        .run(String(step.version));
      database.exec(`PRAGMA user_version = ${step.version}`);
    });
  }
}

function userVersion(database: Database): number {
  const row = database.prepare<{ readonly user_version: number }>("PRAGMA user_version").get();
  return row?.user_version ?? 0;
}
