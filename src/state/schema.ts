// The tables, version by version. docs/reference/state-format.md is the specification.

/** `PRAGMA user_version` of what this program writes. */
export const SCHEMA_VERSION = 4;

/** `PRAGMA application_id` of every state file: "HFST" in ASCII. */
export const APPLICATION_ID = 0x48465354;

/** Of versions 1 and 2. */
const volumeColumns = `
  name TEXT NOT NULL,
  driver TEXT NOT NULL,
  scope TEXT NOT NULL,
  labels TEXT,
  options TEXT,
  created_at_ms REAL NOT NULL,
  origin TEXT NOT NULL,
  phase TEXT NOT NULL,
  mountpoint TEXT NOT NULL,
  identity TEXT NOT NULL,
  used_at_ms REAL,
  sum INTEGER NOT NULL`;

/**
 * Version 1. Rows are addressed by ids that the view in memory knows, so there is no index beside
 * the tables: a second tree would double what each commit writes. `sum` proves a row's content.
 */
export const schemaVersion1 = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE volumes (id INTEGER PRIMARY KEY, ${volumeColumns}) STRICT;
CREATE TABLE holders (
  volume_id INTEGER NOT NULL REFERENCES volumes (id) ON DELETE CASCADE,
  holder TEXT NOT NULL,
  since_ms REAL NOT NULL,
  sum INTEGER NOT NULL,
  PRIMARY KEY (volume_id, holder)
) STRICT, WITHOUT ROWID;
CREATE TABLE retired (
  id INTEGER PRIMARY KEY,
  trash_id TEXT NOT NULL,
  retired_at_ms REAL NOT NULL, ${volumeColumns}
) STRICT;
CREATE TABLE history (
  id INTEGER PRIMARY KEY,
  at_ms REAL NOT NULL,
  action TEXT NOT NULL,
  volume TEXT NOT NULL,
  driver TEXT NOT NULL,
  caller_uid INTEGER,
  caller_gid INTEGER,
  caller_pid INTEGER,
  operation TEXT NOT NULL
) STRICT;
CREATE TABLE ballast (data BLOB NOT NULL) STRICT;
`;

/**
 * Version 2: holders have a kind, and the container engines that called are remembered. The table
 * of holders is made anew, for its checksum stands last and covers what is before it.
 */
export const schemaVersion2 = `
DROP TABLE holders;
CREATE TABLE holders (
  volume_id INTEGER NOT NULL REFERENCES volumes (id) ON DELETE CASCADE,
  holder TEXT NOT NULL,
  kind TEXT NOT NULL,
  since_ms REAL NOT NULL,
  sum INTEGER NOT NULL,
  PRIMARY KEY (volume_id, holder)
) STRICT, WITHOUT ROWID;
CREATE TABLE engines (
  key TEXT PRIMARY KEY,
  since_ms REAL NOT NULL,
  sum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`;

const volumeColumns3 = `
  name TEXT NOT NULL,
  driver TEXT NOT NULL,
  scope TEXT NOT NULL,
  labels TEXT,
  options TEXT,
  created_at_ms REAL NOT NULL,
  origin TEXT NOT NULL,
  phase TEXT NOT NULL,
  mountpoint TEXT NOT NULL,
  identity TEXT NOT NULL,
  used_at_ms REAL,
  last_use_at_ms REAL,
  last_use_holder TEXT,
  note TEXT,
  protected_reason TEXT,
  protected_since_ms REAL,
  protected_by TEXT,
  sum INTEGER NOT NULL`;

/**
 * Version 3: volumes have a last use, a note and a protection, the trash is kept, volumes have
 * aliases, and the history says who, what else and how it ended. Rows with a checksum move to
 * tables of their own, which take the names of the old ones when they are full.
 */
export const schemaVersion3 = {
  before: `
CREATE TABLE volumes_3 (id INTEGER PRIMARY KEY, ${volumeColumns3}) STRICT;
CREATE TABLE retired_3 (
  id INTEGER PRIMARY KEY,
  trash_id TEXT NOT NULL,
  retired_at_ms REAL NOT NULL,
  trash_phase TEXT NOT NULL,
  removed_by TEXT NOT NULL,
  purge_at_ms REAL,
  size_bytes INTEGER,
  aliases TEXT NOT NULL, ${volumeColumns3}
) STRICT;
CREATE TABLE aliases (
  volume_id INTEGER NOT NULL REFERENCES volumes (id) ON DELETE CASCADE,
  alias TEXT NOT NULL,
  since_ms REAL NOT NULL,
  sum INTEGER NOT NULL,
  PRIMARY KEY (volume_id, alias)
) STRICT, WITHOUT ROWID;
ALTER TABLE history ADD COLUMN program TEXT NOT NULL DEFAULT '';
ALTER TABLE history ADD COLUMN subject TEXT NOT NULL DEFAULT '';
ALTER TABLE history ADD COLUMN outcome TEXT NOT NULL DEFAULT 'done';
`,
  after: `
DROP TABLE volumes;
ALTER TABLE volumes_3 RENAME TO volumes;
DROP TABLE retired;
ALTER TABLE retired_3 RENAME TO retired;
`,
};

/** So many `?`, for the values of an SQL statement. */
export function marks(count: number): string {
  return new Array<string>(count).fill("?").join(", ");
}
