// `recognise-data`: whose files are in a volume, by what lies where. A short look, not a search.
//
// It has the volume as its root directory: no link in there leads out of it.
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { storageError } from "../core/errors.ts";
import type { RecognisedData, StorageUse } from "../core/volume-report.ts";
import type { AssistCall } from "./assist-frame.ts";
import { type DirectoryCalls, type DirectoryEntry, loadDirectoryCalls } from "./libc-directory.ts";
import { loadFileCalls } from "./libc-files.ts";

/** How deep below the volume, how many directories, and how many entries of each are looked at. */
const DEPTH_MAX = 2;
const DIRECTORY_COUNT_MAX = 100;
const ENTRY_COUNT_MAX = 500;
const FOUND_COUNT_MAX = 20;

/** What stands at the beginning of a file says what it is. */
const HEAD_BYTES = 32;

/** One directory: the names in it, and whether a path below it is there. */
interface Looked {
  readonly names: ReadonlySet<string>;
  /** A regular file's first bytes as Latin-1; "": it cannot be read. */
  head(name: string): string;
}

interface Signature {
  readonly use: StorageUse;
  /** For people; undefined: it is not there. */
  recognise(looked: Looked): string | undefined;
}

const hasAll = (looked: Looked, ...names: readonly string[]) =>
  names.every((name) => looked.names.has(name));
const hasMatch = (looked: Looked, pattern: RegExp) =>
  [...looked.names].some((name) => pattern.test(name));

const SQLITE_MAGIC = "SQLite format 3\0";

/** By the names in one directory, and the first bytes of at most a few files. */
const signatures: readonly Signature[] = [
  {
    use: "postgresql",
    recognise(looked) {
      if (!hasAll(looked, "PG_VERSION", "global", "base")) return undefined;
      const version = /^\d{1,2}(\.\d)?/.exec(looked.head("PG_VERSION"))?.[0];
      return version === undefined ? undefined : `PostgreSQL ${version}`;
    },
  },
  {
    use: "mysql",
    recognise: (looked) =>
      hasAll(looked, "ibdata1") && hasMatch(looked, /^(mysql|ib_logfile0|#innodb_redo)$/)
        ? "MySQL or MariaDB"
        : undefined,
  },
  {
    use: "mongodb",
    recognise: (looked) =>
      hasAll(looked, "WiredTiger", "WiredTiger.wt") ? "MongoDB (WiredTiger)" : undefined,
  },
  { use: "redis", recognise: redis },
  {
    use: "rabbitmq",
    recognise: (looked) => (isRabbit(looked) ? "RabbitMQ" : undefined),
  },
  {
    use: "etcd",
    recognise: (looked) => (isEtcd(looked) ? "etcd" : undefined),
  },
  {
    use: "elasticsearch",
    recognise: (looked) =>
      hasMatch(looked, /^segments_\w+$/) && hasMatch(looked, /^(write\.lock|_\w+\.(si|cfs))$/)
        ? "Lucene (Elasticsearch, OpenSearch, Solr)"
        : hasMatch(looked, /^node\.lock$/) && hasMatch(looked, /^(indices|_state)$/)
          ? "Elasticsearch"
          : undefined,
  },
  {
    use: "influxdb",
    recognise: (looked) =>
      hasAll(looked, "influxd.bolt") || hasAll(looked, "chunks_head", "wal")
        ? looked.names.has("influxd.bolt")
          ? "InfluxDB"
          : "Prometheus"
        : undefined,
  },
  {
    use: "git",
    recognise: (looked) =>
      hasAll(looked, "HEAD", "objects", "refs") && /^(ref: |[0-9a-f]{32})/.test(looked.head("HEAD"))
        ? "a Git repository"
        : undefined,
  },
  { use: "sqlite-wal", recognise: (looked) => sqlite(looked, true) },
  { use: "sqlite", recognise: (looked) => sqlite(looked, false) },
  {
    use: "container-images",
    recognise: (looked) =>
      hasAll(looked, "overlay2", "image") || hasAll(looked, "io.containerd.metadata.v1.bolt")
        ? "container images"
        : undefined,
  },
  {
    use: "maildir",
    recognise: (looked) => (hasAll(looked, "cur", "new", "tmp") ? "a Maildir" : undefined),
  },
];

/** Snapshots begin with who wrote them: of Redis, or of Valkey since its version 9. */
function redis(looked: Looked): string | undefined {
  if (hasMatch(looked, /^(appendonly\.aof|appendonlydir|appendonly\.aof\..*\.manifest)$/)) {
    return "Redis (append-only file)";
  }
  const isSnapshot = (name: string): boolean =>
    name.endsWith(".rdb") && /^(REDIS\d{4}|VALKEY\d{3})/.test(looked.head(name));
  const found = [...looked.names].filter((name) => name.endsWith(".rdb")).slice(0, FEW_COUNT);
  return found.some(isSnapshot) ? "Redis (snapshots)" : undefined;
}

/** A node's directory, below `mnesia`: of Mnesia, or of Khepri since version 4. */
function isRabbit(looked: Looked): boolean {
  if (hasAll(looked, "cluster_nodes.config", "nodes_running_at_shutdown")) return true;
  return hasMatch(looked, /^(rabbit_serial|rabbit_durable_queue\.DCD|rabbit_queue\.DCD)$/);
}

function isEtcd(looked: Looked): boolean {
  return hasAll(looked, "snap", "wal") && !looked.names.has("chunks_head");
}

/** How many snapshots are opened for a look. */
const FEW_COUNT = 5;

/** How many files without a telling name are opened for a look. */
const SQLITE_COUNT_MAX = 20;

/** Bytes 18 and 19 say by which journal a database is written: 1 the rollback one, 2 WAL. */
function sqlite(looked: Looked, isWal: boolean): string | undefined {
  const isBeside = (name: string): boolean =>
    looked.names.has(`${name}-wal`) || looked.names.has(`${name}-journal`);
  const candidates = [...looked.names]
    .filter((name) => /\.(db3?|sqlite3?|sdb)$/i.test(name) || isBeside(name))
    .slice(0, SQLITE_COUNT_MAX);
  const found = candidates.find((name) => {
    const head = looked.head(name);
    return head.startsWith(SQLITE_MAGIC) && (head.charCodeAt(18) === 2) === isWal;
  });
  return found === undefined ? undefined : `SQLite (${found})`;
}

/** What is found, outer directories first. Throws `storage.*` when the volume cannot be entered. */
export async function recogniseData({ directory }: AssistCall): Promise<readonly RecognisedData[]> {
  const calls = loadFileCalls();
  const directories = loadDirectoryCalls();
  let root = directory;
  try {
    if (process.getuid?.() === 0) {
      process.chdir(directory);
      calls.changeRoot(Buffer.from(".\0"));
      process.chdir("/");
      root = "/";
    }
    return recogniseBelow(root, directories);
  } catch (thrown) {
    throw storageError(thrown, "looking at what is in the volume");
  }
}

function recogniseBelow(root: string, calls: DirectoryCalls): readonly RecognisedData[] {
  const found: RecognisedData[] = [];
  let level: readonly string[] = [""];
  let directoryCount = 0;
  for (let depth = 0; depth <= DEPTH_MAX; depth++) {
    const next: string[] = [];
    for (const path of level) {
      if (directoryCount++ >= DIRECTORY_COUNT_MAX || found.length >= FOUND_COUNT_MAX) return found;
      const entries = entriesOf(calls, join(root, path), depth === 0);
      const looked = lookedAt(join(root, path), entries);
      const here = signatures.flatMap(({ use, recognise }): RecognisedData[] => {
        const title = recognise(looked);
        return title === undefined ? [] : [{ use, title, path }];
      });
      found.push(...here);
      // What is inside of a database is its own.
      if (here.some(({ use }) => !/^sqlite/.test(use))) continue;
      for (const entry of entries) {
        if (entry.isDirectory) next.push(path === "" ? entry.name : `${path}/${entry.name}`);
      }
    }
    level = next;
  }
  return found;
}

function lookedAt(directory: string, entries: readonly DirectoryEntry[]): Looked {
  return {
    names: new Set(entries.map(({ name }) => name)),
    head(name) {
      try {
        return headOf(join(directory, name));
      } catch {
        return "";
      }
    },
  };
}

/** Only a directory that cannot be read at all is a failure, and only where it is the volume. */
function entriesOf(
  calls: DirectoryCalls,
  directory: string,
  isVolume: boolean,
): readonly DirectoryEntry[] {
  try {
    return calls.firstEntries(directory, ENTRY_COUNT_MAX);
  } catch (thrown) {
    if (isVolume) throw thrown;
    return [];
  }
}

/** Never waits for a fifo's writer, and never follows a link. */
function headOf(path: string): string {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const descriptor = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    if (!fstatSync(descriptor).isFile()) return "";
    const bytes = Buffer.alloc(HEAD_BYTES);
    const count = readSync(descriptor, bytes, 0, bytes.length, 0);
    return bytes.toString("latin1", 0, count);
  } finally {
    closeSync(descriptor);
  }
}
