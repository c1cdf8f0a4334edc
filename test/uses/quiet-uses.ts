// Uses of shared volumes that are right, all at once: the guard must have nothing to say of them.
//
// Each volume has at least two containers that could write, or nothing of it would be watched. What
// one of them really writes, the others do not. At the end two write one file after all, so that a
// guard that was asleep is found out.
import { expect } from "bun:test";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../support/child.ts";
import type { HoldsBench } from "../support/holds-bench.ts";
import type { Requirement } from "../support/needs.ts";
import { testImage } from "../support/test-image.ts";
import { databaseVolume, loadIn, needsOfDatabase, prepareDatabase } from "./database.ts";
import { databaseFolder } from "./images.ts";
import {
  needsOfWebsite,
  openWebsite,
  publish,
  siteVolume,
  socketVolume,
  visitDuring,
} from "./website.ts";

export const needsOfQuietUses: readonly Requirement[] = [
  ...new Set([...needsOfDatabase, ...needsOfWebsite]),
];

const logVolume = "logs";
/** What one `docker exec` publishes, so that it stays within its minute. */
const releasesAtOnce = 150;
/** Transactions a second: enough that all its processes write all the time. */
const pace = "--rate=300";
/** How long the guard may take to tell of a conflict, of containers that are watched. */
const toldMsMax = 15_000;

/** Appends to a log of its own, and begins a new file now and then, as logrotate has it done. */
const appScript = `i=0
while true; do
  echo "line $i" >> /logs/$0.log
  i=$((i + 1))
  [ $((i % 500)) = 0 ] && mv /logs/$0.log /logs/$0.log.1
  sleep 0.01
done`;

/** Reads what there is, and goes on when a file was replaced. */
const shipperScript = "exec tail -n +1 -F /logs/web.log /logs/job.log > /dev/null";

/** Who could write each volume, for the conflict at the end. */
const writers = [
  { volume: databaseVolume, folder: databaseFolder, containers: ["db0", "sidecar"] },
  { volume: siteVolume, folder: "/site", containers: ["publisher", "mirror"] },
  { volume: socketVolume, folder: "/sockets", containers: ["web1", "web2"] },
  { volume: logVolume, folder: "/logs", containers: ["web", "shipper"] },
] as const;

/** All of it for a time; then expects that nobody was told of anything. */
export async function expectNoAlarm(bench: HoldsBench, seconds: number): Promise<void> {
  await openDatabase(bench);
  await openWebsite(bench, "all");
  await bench.run("mirror", "-v", `${siteVolume}:/site`);
  await openLogs(bench);
  for (const { volume } of writers) await untilWatched(bench, volume);
  const [exit] = await Promise.all([
    loadIn(bench, "db0", seconds, pace),
    publishFor(bench, seconds),
    delay(seconds * 1_000),
  ]);
  expect(exit).toBe(0);
  for (const { volume } of writers) await untilWatched(bench, volume);
  await expectSilence(bench);
}

async function expectSilence(bench: HoldsBench): Promise<void> {
  for (const { volume } of writers) {
    expect([volume, await conflictsOf(bench, volume)]).toEqual([volume, []]);
  }
}

/** Two containers of each volume write one file; expects that it is told. */
export async function expectAlarms(bench: HoldsBench): Promise<void> {
  for (const { volume, folder, containers } of writers) {
    const write = async (name: string) => {
      const script = `echo ${name} >> ${folder}/both`;
      await bench.docker("exec", "--user", "0", name, "/bin/sh", "-c", script);
    };
    await eventually(
      async () => {
        // A busy machine may put more than two seconds between them: then it is no conflict.
        await Promise.all(containers.map(write));
        return (await conflictsOf(bench, volume)).length > 0 ? true : undefined;
      },
      { timeoutMs: toldMsMax, otherwise: () => `nobody was told of the conflict in ${volume}` },
    );
  }
}

/** The database's own processes are many; a second container has its directory, and looks. */
async function openDatabase(bench: HoldsBench): Promise<void> {
  // The second one would be told of as another database: that is another promise.
  await prepareDatabase(bench, ["database=off"]);
  await bench.run("sidecar", "-v", `${databaseVolume}:${databaseFolder}`);
}

async function openLogs(bench: HoldsBench): Promise<void> {
  await bench.createVolume(logVolume);
  const start = async (name: string, script: string) => {
    const place = ["--name", name, "--network", "none", "--stop-signal", "KILL"];
    const words = ["-v", `${logVolume}:/logs`, testImage, "/bin/sh", "-c", script, name];
    await bench.docker("run", "-d", ...place, ...words);
  };
  await start("web", appScript);
  await start("job", appScript);
  await start("shipper", shipperScript);
}

/** Releases by rename, while all pages are loaded. */
async function publishFor(bench: HoldsBench, seconds: number): Promise<void> {
  const endMs = performance.now() + seconds * 1_000;
  for (let first = 2; performance.now() < endMs; first += releasesAtOnce) {
    const visit = await visitDuring(bench, publish(bench, first, first + releasesAtOnce - 1));
    expect(visit.faults).toEqual([]);
    await expectSilence(bench);
  }
}

interface Seen {
  readonly conflicts: readonly unknown[];
  readonly watching: { readonly state: string };
}

async function seenOf(bench: HoldsBench, volume: string): Promise<Seen> {
  const answer = await fetch(`http://holdfast/holdfast/v1/volumes/${volume}/conflicts`, {
    unix: bench.daemon.socketPath,
  });
  if (answer.status !== 200) throw new Error(`${volume}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as Seen; // The contract of src/api/holdfast/conflict-contract.ts.
}

async function conflictsOf(bench: HoldsBench, volume: string): Promise<readonly unknown[]> {
  return (await seenOf(bench, volume)).conflicts;
}

async function untilWatched(bench: HoldsBench, volume: string): Promise<void> {
  let seen: Seen | undefined;
  await eventually(
    async () => {
      seen = await seenOf(bench, volume);
      return seen.watching.state === "yes" ? true : undefined;
    },
    { timeoutMs: toldMsMax, otherwise: () => `${volume} is not watched: ${JSON.stringify(seen)}` },
  );
}
