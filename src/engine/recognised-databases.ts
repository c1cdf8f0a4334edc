// Which databases are in a volume: what two servers at once would damage.
import type { Host } from "../core/host.ts";
import type { Operation } from "../core/operation.ts";
import { saidBy } from "../core/printable.ts";
import type { RecognisedData, StorageUse } from "../core/volume-report.ts";

/** Repositories and mail are made for many writers; the rest is not a database. */
const databases: ReadonlySet<StorageUse> = new Set([
  "postgresql",
  "mysql",
  "mongodb",
  "sqlite-wal",
  "sqlite",
  "redis",
  "rabbitmq",
  "etcd",
  "elasticsearch",
  "influxdb",
]);

/** Several processes of one machine may use it at the same time, by its own locks. */
export function isForMany({ use }: RecognisedData): boolean {
  return use === "sqlite" || use === "sqlite-wal";
}

/**
 * The databases in a directory, outer ones first; the helper has it as its root meanwhile. Throws
 * `storage.*`, and what `assist` throws.
 */
export async function databasesIn(
  host: Pick<Host, "assist">,
  directory: string,
  operation: Operation,
): Promise<readonly RecognisedData[]> {
  const asking = { command: "recognise-data", directory, input: null } as const;
  // The helper is this same executable, and answers nothing else.
  const found = (await host.assist(asking, operation)) as readonly RecognisedData[];
  return found.filter(({ use }) => databases.has(use));
}

/** For one line: `PostgreSQL 15, SQLite (app.db) in web`. Each title once. */
export function databaseWords(found: readonly RecognisedData[]): string {
  const words = found.map(({ title, path }) => (path === "" ? title : `${title} in ${path}`));
  // Names of files are whatever somebody called them.
  return [...new Set(words)].map((word) => saidBy(word.replaceAll(/\s+/g, " "))).join(", ");
}
