// A database on a volume: PostgreSQL under load, killed and started again in another container.
//
// What is promised to a client is written down outside of all containers: each transaction whose
// commit was acknowledged must be there in every later life of the database.
import { expect } from "bun:test";
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { postgresFolder } from "../../tools/debian-packages.ts";
import { eventually, startChild } from "../support/child.ts";
import type { HoldsBench } from "../support/holds-bench.ts";
import type { Requirement } from "../support/needs.ts";
import { loadProgramImage } from "../support/program-image.ts";
import { imageUserId } from "../support/test-image.ts";
import { databaseFolder, postgresImage } from "./images.ts";

export const needsOfDatabase: readonly Requirement[] = [
  ...(["root", "dockerd", "docker-cli", "mount", "unshare", "busybox", "postgres"] as const),
];

const startTimeoutMs = 30_000;
const loadTimeoutMs = 60_000;

/** Rows of pgbench_accounts are 100,000 times this. */
const scale = 1;

/** pgbench is ended with its container; this is longer than any round. */
const loadSeconds = 600;

export const databaseVolume = "pgdata";

const mount = ["-v", `${databaseVolume}:${databaseFolder}`];
const place = ["--user", `${imageUserId}:${imageUserId}`, "--network", "none"];

/** A program of PostgreSQL in the image, with where its server listens. */
function words(program: string, ...parameters: readonly string[]): readonly string[] {
  return [join(postgresFolder() ?? "", "bin", program), ...parameters];
}

const connection = ["-h", "/tmp", "-U", "postgres"];

/** PostgreSQL's image, the volume, by default for one user at a time, and the database in it. */
export async function prepareDatabase(
  bench: HoldsBench,
  options: readonly string[] = ["sharing=none"],
): Promise<void> {
  await loadProgramImage(bench.dockerd.docker, postgresImage());
  await bench.createVolume(databaseVolume, ...options, `owner=${imageUserId}:${imageUserId}`);
  await makeDatabase(bench);
}

/** Makes the database in the volume, as the user that owns it, and what is to be filled. */
async function makeDatabase(bench: HoldsBench): Promise<void> {
  const initdb = words("initdb", "-D", databaseFolder, "-U", "postgres", "--data-checksums");
  const options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
  await bench.docker(
    "run",
    "--rm",
    ...place,
    ...mount,
    postgresImage().name,
    ...initdb,
    ...options,
  );
  await startDatabase(bench, "db0");
  const fill = words("pgbench", ...connection, "--initialize", "--quiet", `--scale=${scale}`);
  await bench.docker("exec", "db0", ...fill, "postgres");
  await query(bench, "db0", "CREATE TABLE ledger (n bigint PRIMARY KEY)");
}

/** Starts a container on the volume, and waits until the database has recovered. */
async function startDatabase(bench: HoldsBench, name: string): Promise<void> {
  await bench.docker("run", "-d", "--name", name, ...databaseContainer());
  const ready = words("pg_isready", ...connection, "--quiet");
  await eventually(
    async () => {
      const answer = await bench.dockerd.docker("exec", name, ...ready);
      return answer.exit === 0 ? true : undefined;
    },
    { timeoutMs: startTimeoutMs, otherwise: () => `${name}: the database does not start` },
  );
}

/** Arguments of `docker run` after the container's name. */
export function databaseContainer(): readonly string[] {
  const server = words("postgres", "-D", databaseFolder, "-k", "/tmp");
  return [...place, ...mount, postgresImage().name, ...server, "-c", "listen_addresses="];
}

/** What psql prints for a statement, without decoration. */
async function query(bench: HoldsBench, name: string, sql: string): Promise<string> {
  const psql = words("psql", ...connection, "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", sql);
  return await bench.docker("exec", name, ...psql);
}

/** pgbench's invariant: each transaction adds one delta to all four tables. */
async function sums(bench: HoldsBench, name: string): Promise<readonly string[]> {
  const answer = await query(
    bench,
    name,
    `SELECT (SELECT sum(abalance) FROM pgbench_accounts),
       (SELECT sum(tbalance) FROM pgbench_tellers), (SELECT sum(bbalance) FROM pgbench_branches),
       (SELECT coalesce(sum(delta), 0) FROM pgbench_history)`,
  );
  return answer.split("|");
}

/** Reads every page of every table and index, with its checksum. The database must not run. */
async function checkPages(bench: HoldsBench): Promise<string> {
  const check = words("pg_checksums", "--check", "-D", databaseFolder);
  return await bench.docker("run", "--rm", ...place, ...mount, postgresImage().name, ...check);
}

/** Numbered rows, one transaction each; a number counts as acknowledged once psql has said so. */
class Ledger {
  readonly acknowledged: number[] = [];
  #next = 1;

  /** Writes rows in this container until it is gone. */
  async writeIn(bench: HoldsBench, name: string): Promise<void> {
    const psql = words("psql", ...connection, "-qAtX", "-v", "ON_ERROR_STOP=1");
    const client = dockerExec(bench, name, psql);
    const { stdin, stdout } = client;
    if (stdin === null || stdout === null) throw new Error("psql has no pipes");
    // The pipe breaks when the container is killed: that is the point.
    stdin.on("error", () => undefined);
    const send = () => {
      stdin.write(`INSERT INTO ledger VALUES (${this.#next});\n\\echo ${this.#next}\n`);
      this.#next += 1;
    };
    const ended = new Promise((resolve) => client.once("close", resolve));
    createInterface({ input: stdout }).on("line", (line) => {
      this.acknowledged.push(Number(line));
      send();
    });
    send();
    await ended;
  }

  /** Acknowledged numbers that the database does not have. */
  async missingIn(bench: HoldsBench, name: string): Promise<readonly number[]> {
    const rows = await query(bench, name, "SELECT n FROM ledger");
    const there = new Set(rows.split("\n").map(Number));
    return this.acknowledged.filter((n) => !there.has(n));
  }
}

/**
 * pgbench with four clients, for a time, or until its container is gone; `further` parameters come
 * before the database's name. Resolves with how it ended.
 */
export async function loadIn(
  bench: HoldsBench,
  name: string,
  seconds = loadSeconds,
  ...further: readonly string[]
): Promise<number | null> {
  const parameters = ["--client=4", `--time=${seconds}`, "--no-vacuum", ...further, "postgres"];
  const client = dockerExec(bench, name, words("pgbench", ...connection, ...parameters));
  client.stdout?.resume();
  return await new Promise((resolve) => client.once("close", resolve));
}

function dockerExec(bench: HoldsBench, name: string, program: readonly string[]): ChildProcess {
  const host = `unix://${bench.dockerd.socketPath}`;
  const client = startChild("docker", ["--host", host, "exec", "-i", name, ...program]);
  client.stderr?.resume();
  return client;
}

export interface Rounds {
  readonly count: number;
  /** Rows that are acknowledged in each before the kill. */
  readonly rows: number;
  /** Done in each while the database is under load; gets its container's name. */
  readonly meanwhile?: (name: string) => Promise<void>;
}

/**
 * `prepareDatabase` came before. Each round: load, SIGKILL to the container's first process while
 * transactions are under way, `docker rm`, a new container, everything checked there. Afterwards
 * the database has been stopped and removed in good order, and every page of it was read.
 */
export async function expectNothingLost(bench: HoldsBench, rounds: Rounds): Promise<void> {
  const ledger = new Ledger();
  let history = 0;
  for (let number = 0; number < rounds.count; number++) {
    const name = `db${number}`;
    const next = `db${number + 1}`;
    await bench.holders(databaseVolume, `${name} running rw`);
    await killUnderLoad(bench, { name, next, ledger, rounds });
    expect(await ledger.missingIn(bench, next)).toEqual([]);
    expect([...new Set(await sums(bench, next))]).toHaveLength(1);
    const count = Number(await query(bench, next, "SELECT count(*) FROM pgbench_history"));
    expect(count).toBeGreaterThan(history);
    history = count;
  }
  const last = `db${rounds.count}`;
  await bench.docker("stop", last);
  await bench.docker("rm", last);
  await bench.holders(databaseVolume);
  expect(await checkPages(bench)).toContain("Bad checksums:  0");
}

interface Round {
  readonly name: string;
  readonly next: string;
  readonly ledger: Ledger;
  readonly rounds: Rounds;
}

async function killUnderLoad(bench: HoldsBench, round: Round): Promise<void> {
  const { name, next, ledger, rounds } = round;
  const before = ledger.acknowledged.length;
  const clients = [ledger.writeIn(bench, name), loadIn(bench, name)];
  await rounds.meanwhile?.(name);
  await eventually(() => (ledger.acknowledged.length - before >= rounds.rows ? true : undefined), {
    timeoutMs: loadTimeoutMs,
    otherwise: () => `${ledger.acknowledged.length - before} rows of ${rounds.rows}`,
  });
  process.kill(Number(await bench.docker("inspect", "-f", "{{.State.Pid}}", name)), "SIGKILL");
  await Promise.all(clients);
  await bench.docker("rm", "-f", name);
  await startDatabase(bench, next);
}
