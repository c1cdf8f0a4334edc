// Which databases are in a volume: what two servers at once would damage.
import type { Host } from "../../core/host.ts";
import type { Operation } from "../../core/operation.ts";
import { databaseUses, type RecognisedData, type StorageUse } from "../../core/volume-report.ts";
import { recognisedIn, recognisedText } from "./recognised-data.ts";

/** Repositories and mail are made for many writers; the rest is not a database. */
const databases: ReadonlySet<StorageUse> = new Set(databaseUses);

/** Several processes of one machine may use it at the same time, by its own locks. */
export function isForMany({ use }: RecognisedData): boolean {
  return use === "sqlite" || use === "sqlite-wal";
}

/** Of `recognisedIn` the databases. */
export async function databasesIn(
  host: Pick<Host, "assist">,
  directory: string,
  operation: Operation,
): Promise<readonly RecognisedData[]> {
  const found = await recognisedIn(host, directory, operation);
  return found.filter(({ use }) => databases.has(use));
}

/** For one line: `PostgreSQL 15, SQLite (app.db) in web`. Each title once. */
export function databaseWords(found: readonly RecognisedData[]): string {
  return [...new Set(found.map(recognisedText))].join(", ");
}
