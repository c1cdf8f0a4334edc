// Two PostgreSQL servers that are started on one volume at the same instant: one of them runs.
//
// Each is the first process of a container of its own, so the lock file of the other one names its
// own process: PostgreSQL takes that for a leftover and starts. Nothing but Holdfast is in the way.
import { expect } from "bun:test";
import { join } from "node:path";
import { postgresFolder } from "../../tools/debian-packages.ts";
import { eventually } from "../support/child.ts";
import type { HoldsBench } from "../support/holds-bench.ts";
import { loadProgramImage } from "../support/program-image.ts";
import { imageUserId } from "../support/test-image.ts";
import { databaseFolder, postgresImage } from "./images.ts";

const startTimeoutMs = 30_000;

export const serversVolume = "orders";

const servers = ["left", "right"] as const;
const place = ["--user", `${imageUserId}:${imageUserId}`, "--network", "none"];
const mount = ["-v", `${serversVolume}:${databaseFolder}`];
const connection = ["-h", "/tmp", "-U", "postgres"];

function words(program: string, ...parameters: readonly string[]): readonly string[] {
  return [join(postgresFolder() ?? "", "bin", program), ...parameters];
}

/** A program of PostgreSQL on the volume, in a container of its own. */
async function once(bench: HoldsBench, ...program: readonly string[]): Promise<string> {
  return await bench.docker("run", "--rm", ...place, ...mount, postgresImage().name, ...program);
}

/** PostgreSQL's image, a volume with a database in it, and two containers that would serve it. */
export async function prepareServers(bench: HoldsBench, database: string): Promise<void> {
  await loadProgramImage(bench.dockerd.docker, postgresImage());
  const owner = `owner=${imageUserId}:${imageUserId}`;
  await bench.createVolume(serversVolume, `database=${database}`, owner);
  const options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
  const initdb = words("initdb", "-D", databaseFolder, "-U", "postgres", "--data-checksums");
  await once(bench, ...initdb, ...options);
  for (const name of servers) await bench.docker("create", "--name", name, ...server());
}

/** Arguments of `docker run` after the container's name. */
export function server(): readonly string[] {
  const command = words("postgres", "-D", databaseFolder, "-k", "/tmp", "-c", "listen_addresses=");
  return [...place, ...mount, postgresImage().name, ...command];
}

/** What psql prints for statements, without decoration. */
export async function query(bench: HoldsBench, name: string, sql: string): Promise<string> {
  const psql = words("psql", ...connection, "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", sql);
  return await bench.docker("exec", name, ...psql, "postgres");
}

/** Waits until the server in this container answers. */
export async function serves(bench: HoldsBench, name: string): Promise<void> {
  const ready = words("pg_isready", ...connection, "--quiet");
  await eventually(
    async () =>
      (await bench.dockerd.docker("exec", name, ...ready)).exit === 0 ? true : undefined,
    { timeoutMs: startTimeoutMs, otherwise: () => `${name}: the database does not start` },
  );
}

/**
 * `prepareServers` came before. Each round: both are started at once; one runs, the other never
 * does; a row is written and all are read; the server is stopped, and every page is checked.
 * Returns who served, round by round.
 */
export async function expectOneServes(
  bench: HoldsBench,
  { count, before }: { readonly count: number; readonly before: number },
): Promise<readonly string[]> {
  const winners: string[] = [];
  for (let number = before; number < before + count; number++) {
    const started = await Promise.all(servers.map((name) => bench.dockerd.docker("start", name)));
    expect(started.map(({ exit }) => exit).toSorted()).toEqual([0, 1]);
    const [winner, loser] = started[0]?.exit === 0 ? servers : servers.toReversed();
    if (winner === undefined || loser === undefined) throw new Error("there are two");
    const refusal = started.map(({ stderr }) => stderr).join("");
    expect(refusal).toContain(
      `volume ${serversVolume} (PostgreSQL 15) has database=exclusive, and ` +
        `${winner} has it read-write. `,
    );
    await serves(bench, winner);
    await query(bench, winner, `CREATE TABLE IF NOT EXISTS round (n int PRIMARY KEY)`);
    await query(bench, winner, `INSERT INTO round VALUES (${number})`);
    expect(await query(bench, winner, "SELECT count(*) FROM round")).toBe(String(number + 1));
    expect(await runs(bench, winner)).toBe(true);
    expect(await runs(bench, loser)).toBe(false);
    // What a second server does to the catalogue shows in its indexes.
    const check = words("pg_amcheck", ...connection, "--install-missing", "postgres");
    await bench.docker("exec", winner, ...check);
    await bench.docker("stop", winner);
    await expectSound(bench);
    winners.push(winner);
  }
  return winners;
}

/** The server must not run. */
async function expectSound(bench: HoldsBench): Promise<void> {
  const checksums = await once(bench, ...words("pg_checksums", "--check", "-D", databaseFolder));
  expect(checksums).toContain("Bad checksums:  0");
  const control = await once(bench, ...words("pg_controldata", "-D", databaseFolder));
  expect(control).toMatch(/Database cluster state: +shut down\n/);
}

async function runs(bench: HoldsBench, name: string): Promise<boolean> {
  return (await bench.docker("inspect", "-f", "{{.State.Running}}", name)) === "true";
}
