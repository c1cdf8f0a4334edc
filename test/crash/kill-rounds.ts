// Kills the daemon again and again under the load of eight clients, and compares after every
// restart.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { hasEnded, startChild, stopChild } from "../support/child.ts";
import {
  holdfastCommand,
  type RunningDaemon,
  startDaemon,
  temporaryDirectory,
  withoutPlugins,
} from "../support/daemon.ts";
import { needs } from "../support/needs.ts";
import { printedSeed, Random } from "../support/random.ts";
import { Client } from "./client.ts";
import { runLoad } from "./load.ts";
import { unmountBelow } from "./loop-image.ts";
import { ClientModel, verbCounts } from "./model.ts";
import { compare, type Place, untilPurged } from "./reality.ts";

const clientCount = 8;
/** Few names, so that creates and removes of one name follow each other closely. */
const namesPerClient = 5;

/** The longest time that the load runs before a kill; short ones are more frequent. */
const loadMs = 250;
/** The longest time that a start lasts which is killed: some of these are ready by then. */
const startMs = 350;
/** How often the kill falls into the start, in the recovery of the last kill. */
const killDuringStartChance = 0.3;
/** How often the load waits for nothing at all: the daemon is killed in its first requests. */
const earlyKillChance = 0.15;
/** The trash is looked at now and then only: the purge is to be interrupted too. */
const trashEvery = 25;

interface KillRun {
  readonly killCount: number;
  readonly root: string;
  readonly random: Random;
  /** Whether volumes with `type=tmpfs` may be mounted here. */
  readonly canMount: boolean;
}

export interface KillReport {
  /** Under load; those during a start come on top. */
  readonly killCount: number;
  readonly startKillCount: number;
  readonly acknowledgedCount: number;
  readonly unansweredCount: number;
  /** Acknowledged changes by verb. */
  readonly verbs: Readonly<Record<string, number>>;
}

/** Rejects with everything that was wrong at the first restart after which anything was wrong. */
async function killAgainAndAgain(run: KillRun): Promise<KillReport> {
  const { random, root, canMount, killCount } = run;
  const models = Array.from(
    { length: clientCount },
    (_, index) => new ClientModel(`client${index}`, namesPerClient),
  );
  let startKillCount = 0;
  let unansweredCount = 0;
  try {
    for (let kill = 0; kill < killCount; kill++) {
      while (random.chance(killDuringStartChance)) {
        await killDuringStart(root, random.fraction() * startMs);
        startKillCount += 1;
      }
      const daemon = await startDaemon({ root });
      await check(daemon, models, `after kill ${kill}`);
      if (kill % trashEvery === 0) await untilPurged(placeOf(daemon));
      await loadAndKill({ daemon, models, random, canMount });
      unansweredCount += models.filter(({ unanswered }) => unanswered !== undefined).length;
    }
    await checkTwice(root, models);
  } finally {
    await unmountBelow(root);
  }
  const acknowledgedCount = models.reduce((sum, model) => sum + model.acknowledgedCount, 0);
  const verbs = verbCounts(models);
  return { killCount, startKillCount, acknowledgedCount, unansweredCount, verbs };
}

/** The same in a fresh directory in memory. Prints the seed and the report. */
export async function killInMemory(killCount: number): Promise<KillReport> {
  const folder = temporaryDirectory();
  try {
    const report = await killAgainAndAgain({
      killCount,
      root: join(folder, "root"),
      random: new Random(printedSeed("kill")),
      canMount: needs("root", "mount").skip === undefined,
    });
    console.log(`kill: ${JSON.stringify(report)}`);
    return report;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function placeOf({ socketPath, root }: RunningDaemon): Place {
  return { client: new Client(socketPath), root };
}

async function check(
  daemon: RunningDaemon,
  models: readonly ClientModel[],
  when: string,
): Promise<void> {
  const complaints = await compare(placeOf(daemon), models);
  if (complaints.length === 0) return;
  await daemon.kill();
  throw new Error(`${when}:\n${complaints.join("\n")}\n${daemon.output()}`);
}

async function loadAndKill(parts: {
  readonly daemon: RunningDaemon;
  readonly models: readonly ClientModel[];
  readonly random: Random;
  readonly canMount: boolean;
}): Promise<void> {
  const { daemon, models, random, canMount } = parts;
  let isKilled = false;
  const loads = models.map((model) =>
    runLoad({
      client: new Client(daemon.socketPath),
      model,
      random: random.fork(),
      root: daemon.root,
      canMount,
      isKilled: () => isKilled,
    }),
  );
  const lasts = random.chance(earlyKillChance) ? random.fraction() * 5 : random.fraction() * loadMs;
  const failed = Promise.all(loads);
  await Promise.race([delay(lasts), failed]);
  isKilled = true;
  await daemon.kill();
  await failed;
}

/** The next start finds a recovery that was interrupted. */
async function killDuringStart(root: string, afterMs: number): Promise<void> {
  const [program, ...first] = holdfastCommand();
  const socket = `unix://${root}/start.sock`;
  const place = ["--root", root, "--host", socket, ...withoutPlugins];
  const child = startChild(program, [...first, "daemon", ...place]);
  await delay(afterMs);
  if (!hasEnded(child)) child.kill("SIGKILL");
  await stopChild(child);
}

/** A clean stop and one more start: what was gone stays gone, and what was given up goes away. */
async function checkTwice(root: string, models: readonly ClientModel[]): Promise<void> {
  for (const when of ["at the end", "after a clean stop"]) {
    await using daemon = await startDaemon({ root });
    await check(daemon, models, when);
    await untilPurged(placeOf(daemon));
  }
}
