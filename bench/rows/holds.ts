// Rows for holds of container engines: Mount and Unmount calls, and looking at who uses what.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { measureRounds } from "../measure.ts";
import { type PluginDaemon, startPluginDaemon } from "../plugin-daemon.ts";
import { programPath } from "../processes.ts";
import { processorMs } from "../quiet.ts";
import { type Group, type RowPlan, rowFrom } from "../rows.ts";
import type { Workbench } from "../workbench.ts";

/** So long that nothing ends by itself while it is measured, in seconds. */
const GRACE_SECONDS = 3600;
/** Further processes that have a mount namespace of their own, as services with PrivateTmp have. */
const NAMESPACES = 10;
/** How often the holds are looked at for one figure: the kernel counts in steps of 10 ms. */
const LOOKS = 20;
/** Holders' numbers of a round do not overlap those of another. */
const HOLDERS_PER_ROUND = 1_000_000;
/** How long holds that are over may take to be ended, in milliseconds. */
const QUIET_MS_MAX = 60_000;
const QUIET_LOOK_MS = 50;
const HELD_PREFIX = "held";

const own = { unit: "ms", judged: "figure", against: "nothing" } as const;

const mount: RowPlan = {
  ...own,
  id: "holds-mount",
  work: "Mount and Unmount calls, 99 of 100, 8 clients, 1,000 volumes",
  target: { bound: "at_most", value: 5 },
  how:
    "1,000 volumes are mounted and stay so. Eight clients of the volume driver socket mount a " +
    "volume chosen at random with an ID of its own and unmount it again, without pause; the " +
    "figure is the 99th percentile of all calls.",
  whyMissed:
    "Both calls are answered by the daemon's main thread, and wait there for the work of " +
    "others: ends of holds (umount2 waits for all processors, 0.16 to 0.4 ms each, at times " +
    "50 ms) and the state's commits, whose slowest hundredth alone takes 8 ms on such a disk " +
    "(see create, 8 connections, below). With one client the figure was 2 to 2.5 ms, on a " +
    "file system in memory about 7 ms. It was 460 ms before mount tables were read in other " +
    "threads and single mounts were asked of the kernel; next would be umount2 in a thread of" +
    " its own.",
};

const reconcile: RowPlan = {
  ...own,
  id: "holds-reconcile",
  work: "processor time of looking at the holds of 1,000 volumes, 300 processes",
  target: { bound: "at_most", value: 100 },
  how:
    "1,000 volumes are mounted and stay so; the machine has 300 processes, ten of them with a " +
    "mount namespace of their own that has all those mounts. A volume is asked for at " +
    `Holdfast's own API, which looks at all holds, ${LOOKS} times one after the other; the ` +
    "daemon's processor time of that is divided by their number.",
};

async function holdAll(workbench: Workbench, daemon: PluginDaemon): Promise<void> {
  const all = { connections: 8, amount: { count: workbench.sizes.held }, prefix: HELD_PREFIX };
  await workbench.tools.burst({ ...all, mode: "create", socket: daemon.socket });
  await workbench.tools.burst({ ...all, mode: "hold", socket: daemon.pluginSocket });
}

/** Processes that wait, until it is disposed of. */
function crowd(count: number): AsyncDisposable {
  const sleep = [programPath("sleep", "coreutils"), "infinity"];
  const apart = [programPath("unshare", "util-linux"), "--mount", "--propagation", "slave"];
  const commands = Array.from({ length: count }, (_, index) =>
    index < NAMESPACES ? [...apart, ...sleep] : sleep,
  );
  const children = commands.map((command) =>
    Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "ignore" }),
  );
  return {
    async [Symbol.asyncDispose]() {
      for (const child of children) child.kill("SIGKILL");
      await Promise.all(children.map(({ exited }) => exited));
    },
  };
}

/** Resolves when what was mounted and unmounted before is ended. */
async function quiet({ root }: PluginDaemon, { sizes, signal }: Workbench): Promise<void> {
  const place = ` ${join(root, "holds")}/`;
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(QUIET_MS_MAX)]);
  for (;;) {
    const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
    if (lines.filter((line) => line.includes(place)).length <= sizes.held) return;
    await pause(QUIET_LOOK_MS, undefined, { signal: deadline });
  }
}

async function lookMs({ pid, socket }: PluginDaemon): Promise<number> {
  const before = processorMs(pid);
  for (let left = LOOKS; left > 0; left--) {
    const url = `http://holdfast/holdfast/v1/volumes/${HELD_PREFIX}-0`;
    const reply = await fetch(url, { unix: socket });
    if (!reply.ok) throw new Error(`${url}: ${reply.status} ${await reply.text()}`);
    await reply.arrayBuffer();
  }
  return (processorMs(pid) - before) / LOOKS;
}

async function mountMs(workbench: Workbench, daemon: PluginDaemon, round: number): Promise<number> {
  const { held, burstSeconds } = workbench.sizes;
  const load = await workbench.tools.burst({
    mode: "mount",
    socket: daemon.pluginSocket,
    connections: 8,
    amount: { seconds: burstSeconds },
    prefix: HELD_PREFIX,
    names: held,
    first: (round + 2) * HOLDERS_PER_ROUND,
  });
  if (round >= 0) workbench.note({ work: mount.work, engine: workbench.candidate.name, load });
  return load.latencyMs.p99;
}

/** Holds: Holdfast alone. */
export const holdsGroup: Group = {
  name: "holds",
  rows: [mount, reconcile],
  async run(workbench) {
    await using ground = await workbench.ground();
    const grace = ["--hold-grace", String(GRACE_SECONDS)];
    await using daemon = await startPluginDaemon(workbench, ground, grace);
    await holdAll(workbench, daemon);
    await using _crowd = crowd(workbench.sizes.hostProcesses);
    const figures = await measureRounds({
      subjects: [daemon],
      rounds: workbench.sizes.rounds,
      signal: workbench.signal,
      steps: [
        { name: mount.id, measure: (one, round) => mountMs(workbench, one, round) },
        {
          name: reconcile.id,
          async measure(one) {
            await quiet(one, workbench);
            return lookMs(one);
          },
        },
      ],
    });
    return { rows: this.rows.map((plan) => rowFrom(plan, figures.get(plan.id))), tables: [] };
  },
};
