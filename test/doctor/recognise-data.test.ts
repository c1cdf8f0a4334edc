// Whose data is found in a volume: real databases and repositories, and what only looks like one.

import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { chownSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { RecognisedData } from "../../src/core/volume-report.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { postgresFolder } from "../../tools/debian-packages.ts";
import { runToEnd } from "../support/child.ts";
import { whenPossible } from "../support/needs.ts";
import { testOperation } from "../support/operation.ts";
import { Storages } from "./storages.ts";

const LOOK_MS_MAX = 30_000;

async function found(directory: string): Promise<readonly string[]> {
  const asking = { command: "recognise-data", directory, input: null } as const;
  const operation = testOperation(AbortSignal.timeout(LOOK_MS_MAX));
  // What the helper returns.
  const all = (await linuxHost().assist(asking, operation)) as readonly RecognisedData[];
  return all.map(({ use, title, path }) => `${use} ${title} at ${path === "" ? "." : path}`);
}

/** Files below a directory, with their first bytes. */
function put(directory: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
}

async function run(program: string, ...args: readonly string[]): Promise<void> {
  const { exit, stderr } = await runToEnd(program, args, { timeoutMs: LOOK_MS_MAX });
  if (exit !== 0) throw new Error(`${program}: ${stderr}`);
}

/** A node's directory of RabbitMQ 3: queues and users in Mnesia, messages in stores. */
const rabbit = {
  "cluster_nodes.config": "{[rabbit@a],[rabbit@a]}.\n",
  nodes_running_at_shutdown: "[rabbit@a].\n",
  "schema.DAT": "",
  "DECISION_TAB.LOG": "",
  "LATEST.LOG": "",
  "rabbit_durable_queue.DCD": "cXM\x02",
  rabbit_serial: "",
  "msg_stores/vhosts/1/.vhost": "/",
};

whenPossible(["root", "postgres"], "a real PostgreSQL cluster, by its version", async () => {
  await using storages = new Storages();
  const volume = storages.directory("volume");
  mkdirSync(join(volume, "data"));
  const user = "65534";
  chownSync(storages.folder, Number(user), Number(user));
  chownSync(join(volume, "data"), Number(user), Number(user));
  const initdb = join(postgresFolder() ?? "", "bin", "initdb");
  const as = [`--reuid=${user}`, `--regid=${user}`, "--clear-groups", "--"];
  const words = ["-D", join(volume, "data"), "-U", "postgres", "--no-sync", "-E", "UTF8"];
  await run("setpriv", ...as, initdb, ...words, "--no-locale");
  expect(await found(volume)).toEqual(["postgresql PostgreSQL 15 at data"]);
});

test("a real Git repository, bare or not, and SQLite's files by their journal", async () => {
  await using storages = new Storages();
  const volume = storages.directory("volume");
  await run("git", "init", "--quiet", "--bare", join(volume, "bare.git"));
  await run("git", "init", "--quiet", join(volume, "work"));
  for (const [name, journal] of [
    ["wal.db", "wal"],
    ["journal.sqlite", "delete"],
  ]) {
    const database = new Database(join(volume, name ?? ""), { create: true });
    database.run(`PRAGMA journal_mode=${journal}`);
    database.run("CREATE TABLE one (two)");
    database.close();
  }
  expect((await found(volume)).toSorted()).toEqual([
    "git a Git repository at bare.git",
    "git a Git repository at work/.git",
    "sqlite SQLite (journal.sqlite) at .",
    "sqlite-wal SQLite (wal.db) at .",
  ]);
});

test("others by the names of their files", async () => {
  await using storages = new Storages();
  const known = {
    "mysql MySQL or MariaDB": { ibdata1: "", "mysql/user.frm": "" },
    "mongodb MongoDB (WiredTiger)": { WiredTiger: "", "WiredTiger.wt": "" },
    "redis Redis (append-only file)": { "appendonlydir/appendonly.aof.manifest": "" },
    "redis Redis (snapshots)": { "dump.rdb": "REDIS0009\xfa\tredis-ver" },
    "rabbitmq RabbitMQ": rabbit,
    "etcd etcd": { "snap/db": "", "wal/0.tmp": "" },
    "elasticsearch Elasticsearch": { "node.lock": "", "_state/a": "", "indices/b": "" },
    "elasticsearch Lucene (Elasticsearch, OpenSearch, Solr)": { segments_3: "", "_0.cfs": "" },
    "influxdb InfluxDB": { "influxd.bolt": "" },
    "influxdb Prometheus": { "chunks_head/0": "", "wal/0": "" },
    "maildir a Maildir": { "cur/1": "", "new/2": "", "tmp/3": "" },
    "container-images container images": { "overlay2/l": "", "image/a": "" },
  };
  const directories = Object.entries(known).map(([title, files], index) => {
    const directory = storages.directory(`volume-${index}`);
    put(directory, files);
    return { title, directory };
  });
  const all = await Promise.all(directories.map(({ directory }) => found(directory)));
  const expected = directories.map(({ title }) => `${title} at .`);
  expect(all.map(([first]) => first ?? "nothing")).toEqual(expected);
});

test("nothing else, nothing outside of the volume, and never for long", async () => {
  await using storages = new Storages();
  const outside = storages.directory("outside");
  put(outside, { PG_VERSION: "15\n", "global/pg_control": "", "base/1": "" });
  const volume = storages.directory("volume");
  put(volume, {
    "text/PG_VERSION": "15\n",
    "text/wal/notes": "",
    "false.db": "SQLite format 4\0",
    "objects/HEAD": "no",
    "refs/HEAD": "",
    "a/b/c/PG_VERSION": "15\n",
    "a/b/c/global/x": "",
    "a/b/c/base/x": "",
  });
  symlinkSync(outside, join(volume, "link"));
  // Whoever opens it for reading waits for a writer.
  await run("mkfifo", join(volume, "fifo.db"));
  expect(await found(volume)).toEqual([]);
});

test("a volume that cannot be entered is an error with a code", async () => {
  await using storages = new Storages();
  const missing = found(join(storages.folder, "missing"));
  await expect(missing).rejects.toMatchObject({ code: "storage.failed" });
});
