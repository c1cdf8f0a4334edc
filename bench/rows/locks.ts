// Rows for locks of applications: taken and given back, passed on by a kill, and as a command.
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { called } from "../calls.ts";
import type { Engine } from "../engines.ts";
import { measureRounds, type Step } from "../measure.ts";
import { childrenOf } from "../memory.ts";
import { programPath } from "../processes.ts";
import { type Group, type RowPlan, rowFrom } from "../rows.ts";
import type { Workbench } from "../workbench.ts";
import { medians } from "./command.ts";

const VOLUME = "assets";
const LOCK = "passed-on";
/** Longer than any round. */
const TTL_SECONDS = 600;
const WAIT_SECONDS = 60;
const LOOK_MS = 2;
const LOOKS_MS_MAX = 30_000;

const alone = { judged: "figure", against: "nothing" } as const;

const pairs: RowPlan = {
  ...alone,
  id: "locks-pairs",
  work: "lock and unlock by the API, 8 clients, each with a lock of its own",
  unit: "/s",
  target: { bound: "at_least", value: 5_000 },
  how:
    "Eight connections of the load generator, each with its own lock of one volume: POST takes " +
    "it, DELETE of the id in the answer gives it back, without pause. A pair is one operation. " +
    "The grant is written to the journal before its answer.",
};

const slowest: RowPlan = {
  ...alone,
  id: "locks-latency",
  work: "lock and unlock by the API, 99 of 100 pairs, the same 8 clients",
  unit: "ms",
  target: { bound: "at_most", value: 3 },
  how: "The 99th percentile of the same burst, of both calls of a pair together.",
};

const processKill: RowPlan = {
  ...alone,
  id: "locks-kill",
  work: "a lock passed on after kill -9 of the process it is bound to",
  unit: "ms",
  target: { bound: "at_most", value: 100 },
  how:
    "A process has the lock (`bond: process`), another client waits for it. From the kill to the " +
    "waiting client's having read its answer.",
};

const runKill: RowPlan = {
  ...alone,
  id: "locks-run-kill",
  work: "a lock passed on after kill -9 of its `lock run`",
  unit: "ms",
  target: { bound: "at_most", value: 100 },
  how: "The same with a lock that `holdfast lock run` has: its connection ends with it.",
};

const command: RowPlan = {
  id: "locks-run",
  work: "`lock run … -- true` against `flock FILE true`, whole processes",
  unit: "ms",
  judged: "ratio",
  target: { bound: "at_most", value: 2 },
  against: "bare",
  how:
    "Both take a lock that nobody has, run `true` and end; they take turns. From starting the " +
    "process to having reaped it; a round's figure is the median of its runs.",
  whyMissed:
    "flock(1) is a small C program that makes two system calls; ours is an executable with a " +
    "JavaScript engine in it, whose start alone takes about 8 ms, before it asks a daemon, and " +
    "waits for it twice.",
};

/** A daemon with a volume to lock, and the executable that is its client. */
interface Stage {
  readonly workbench: Workbench;
  readonly engine: Engine;
  readonly executable: string;
}

const lockPath = (lock: string) => `/holdfast/v1/volumes/${VOLUME}/locks/${lock}`;

async function burst({ workbench, engine }: Stage, round: number): Promise<[number, number]> {
  const load = await workbench.tools.burst({
    mode: "calls",
    socket: engine.socket,
    connections: 8,
    amount: { seconds: workbench.sizes.burstSeconds },
    prefix: "unused",
    calls: [`POST ${lockPath("own-#")} {}`, `DELETE ${lockPath("own-#")}/leases/$id`],
  });
  if (round >= 0) workbench.note({ work: pairs.work, engine: engine.kind.name, load });
  return [load.operations / load.seconds, load.latencyMs.p99];
}

/** Who holds the lock and how many wait for it, as the API's list says. */
async function heldBy(socket: string): Promise<{ readonly waiting: number } | undefined> {
  const { text } = await called({ socket, method: "GET", path: "/holdfast/v1/locks" });
  const { locks }: { locks: readonly { lock: string; waiting: number }[] } = JSON.parse(text);
  return locks.find(({ lock }) => lock === LOCK);
}

async function until(
  { engine, workbench }: Stage,
  isThere: (waiting: number | undefined) => boolean,
): Promise<void> {
  const signal = AbortSignal.any([workbench.signal, AbortSignal.timeout(LOOKS_MS_MAX)]);
  while (!isThere((await heldBy(engine.socket))?.waiting)) {
    await pause(LOOK_MS, undefined, { signal });
  }
}

/** From the kill of who has the lock to the answer of who waits for it, in milliseconds. */
async function passedOnMs(stage: Stage, kill: () => void): Promise<number> {
  const { socket } = stage.engine;
  const body = { wait: WAIT_SECONDS, ttl: TTL_SECONDS, bond: "none" };
  const next = called({ socket, method: "POST", path: lockPath(LOCK), body });
  await until(stage, (waiting) => waiting === 1);
  const startedMs = performance.now();
  kill();
  const { text } = await next;
  const ms = performance.now() - startedMs;
  const path = `${lockPath(LOCK)}/leases/${String(JSON.parse(text).id)}`;
  await called({ socket, method: "DELETE", path });
  return ms;
}

async function processKillMs(stage: Stage): Promise<number> {
  const holder = Bun.spawn([programPath("sleep", "coreutils"), "infinity"]);
  try {
    const body = { pid: holder.pid, bond: "process", ttl: TTL_SECONDS };
    const { socket } = stage.engine;
    await called({ socket, method: "POST", path: lockPath(LOCK), body });
    return await passedOnMs(stage, () => holder.kill("SIGKILL"));
  } finally {
    holder.kill("SIGKILL");
    await holder.exited;
  }
}

async function runKillMs(stage: Stage): Promise<number> {
  const sleep = [programPath("sleep", "coreutils"), "infinity"];
  const holder = Bun.spawn([...runWords(stage, LOCK), ...sleep], {
    env: { ...process.env, ...environmentOf(stage) },
    // What outlives a bench must not keep its output open.
    ...({ stdin: "ignore", stdout: "ignore", stderr: "ignore" } as const),
  });
  let children: readonly number[] = [];
  try {
    await until(stage, (waiting) => waiting === 0);
    children = await untilRunning(stage, holder.pid);
    return await passedOnMs(stage, () => holder.kill("SIGKILL"));
  } finally {
    holder.kill("SIGKILL");
    await holder.exited;
    for (const pid of children) endIfThere(pid);
  }
}

/** Resolves with the processes that `lock run` has started, when its command is one of them. */
async function untilRunning({ workbench }: Stage, pid: number): Promise<readonly number[]> {
  const signal = AbortSignal.any([workbench.signal, AbortSignal.timeout(LOOKS_MS_MAX)]);
  for (;;) {
    const children = await childrenOf(pid);
    const names = children.map((child) => readFileSync(`/proc/${child}/comm`, "latin1").trim());
    if (names.includes("sleep")) return children;
    await pause(LOOK_MS, undefined, { signal });
  }
}

/** The program that was run may live on without its `lock run`. */
function endIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended with it.
  }
}

function runWords({ executable }: Stage, lock: string): readonly string[] {
  return [executable, "lock", "run", "--volume", VOLUME, lock, "--"];
}

function environmentOf({ engine }: Stage): Readonly<Record<string, string>> {
  return { HOLDFAST_HOST: `unix://${engine.socket}` };
}

/** Whole processes, ours first. */
async function commandFigures(stage: Stage, directory: string) {
  const { tools, sizes, signal } = stage.workbench;
  const file = join(directory, "flock");
  await writeFile(file, "");
  const ends = programPath("true", "coreutils");
  const commands = [
    [...runWords(stage, "command"), ends],
    [programPath("flock", "util-linux"), file, ends],
  ];
  const perRun = await measureRounds({
    subjects: commands,
    rounds: sizes.rounds * sizes.processes,
    signal,
    steps: [
      {
        name: command.id,
        async measure(words) {
          const environment = environmentOf(stage);
          return (await tools.timeProcess({ command: words, environment, linesMin: 0 })).wallMs;
        },
      },
    ],
  });
  const figures = perRun.get(command.id);
  if (figures?.outcome !== "measured") return figures;
  const perSubject = figures.perSubject.map((runs) => medians(runs, sizes.processes));
  return { ...figures, perSubject };
}

function steps(): readonly Step<Stage>[] {
  let latency = Number.NaN;
  return [
    {
      name: pairs.id,
      async measure(stage, round) {
        const [rate, p99] = await burst(stage, round);
        latency = p99;
        return rate;
      },
    },
    { name: slowest.id, measure: async () => latency },
    { name: processKill.id, measure: processKillMs },
    { name: runKill.id, measure: runKillMs },
  ];
}

/** Locks: Holdfast alone, and beside flock(1). */
export const locksGroup: Group = {
  name: "locks",
  rows: [pairs, slowest, processKill, runKill, command],
  async run(workbench) {
    const { executable, signal, sizes } = workbench;
    if (executable === undefined) throw new Error("these rows need Holdfast as the candidate");
    await using ground = await workbench.ground();
    const engine = await ground.start(workbench.candidate, "a");
    await called({
      ...{ socket: engine.socket, method: "POST", path: "/volumes/create" },
      body: { Name: VOLUME },
    });
    const stage = { workbench, engine, executable };
    const { rounds } = sizes;
    const figures = await measureRounds({ subjects: [stage], rounds, signal, steps: steps() });
    const commands = await commandFigures(stage, ground.directory);
    const rows = this.rows.map((plan) =>
      rowFrom(plan, plan === command ? commands : figures.get(plan.id)),
    );
    return { rows, tables: [] };
  },
};
