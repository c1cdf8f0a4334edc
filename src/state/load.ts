// Every row into memory, each proven by its checksum.
import { type Database, DatabaseCorrupt } from "../core/database.ts";
import { Memory } from "./memory.ts";
import {
  type AliasRow,
  Decoder,
  type EngineRow,
  type HolderRow,
  type RetiredRow,
  type VolumeRow,
} from "./rows.ts";

/** Throws `DatabaseCorrupt` for the first row that is not what was stored. */
export function loadMemory(database: Database): Memory {
  const memory = new Memory();
  const decoder = new Decoder();
  const names = new Map<number, string>();
  const hasMore = ["holders", "aliases"].some(
    (table) => database.prepare(`SELECT 1 FROM ${table} LIMIT 1`).get() !== undefined,
  );
  const volumes = database.prepare<VolumeRow>("SELECT * FROM volumes ORDER BY id");
  for (const row of volumes.iterate()) {
    const entry = decoder.volume(row);
    if (memory.volume(entry.name) !== undefined) throw twice("volumes", entry.name);
    memory.apply({ kind: "putVolume", rowId: row.id, isNew: true, entry });
    if (hasMore) names.set(row.id, entry.name);
  }
  const holders = database.prepare<HolderRow>("SELECT * FROM holders ORDER BY volume_id, since_ms");
  for (const row of holders.iterate()) {
    const entry = decoder.holder(row, memory.volume(names.get(row.volume_id) ?? ""));
    memory.apply({ kind: "putHolder", volumeRowId: row.volume_id, entry });
  }
  for (const row of database.prepare<AliasRow>("SELECT * FROM aliases").iterate()) {
    const entry = decoder.alias(row, memory.volume(names.get(row.volume_id) ?? ""));
    if (memory.alias(entry.alias) !== undefined) throw twice("aliases", entry.alias);
    if (memory.volume(entry.alias) !== undefined) throw twice("names", entry.alias);
    memory.apply({ kind: "putAlias", volumeRowId: row.volume_id, entry });
  }
  const retired = database.prepare<RetiredRow>("SELECT * FROM retired ORDER BY id");
  for (const row of retired.iterate()) {
    const entry = decoder.retired(row);
    if (memory.retiredRowId(entry.id) !== undefined) throw twice("retired", entry.id);
    memory.apply({ kind: "putRetired", rowId: row.id, isNew: true, entry });
  }
  for (const row of database.prepare<EngineRow>("SELECT * FROM engines").iterate()) {
    memory.apply({ kind: "putEngine", entry: decoder.engine(row) });
  }
  memory.startHistoryAt(changeCount(database) + 1);
  return memory;
}

/** How many changes there ever were: the id of the newest, or what a salvaged state began with. */
function changeCount(database: Database): number {
  const newest = database
    .prepare<{ readonly id: number | null }>("SELECT max(id) AS id FROM history")
    .get();
  const before = database
    .prepare<{ readonly value: string }>("SELECT value FROM meta WHERE key = 'changes_before'")
    .get();
  return Math.max(newest?.id ?? 0, Number(before?.value ?? 0));
}

function twice(table: string, key: string): DatabaseCorrupt {
  return new DatabaseCorrupt(`${table} has two rows of ${key}`);
}
