// Rows for managed plugins: how long an installation takes, and the memory that it needs.
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type RunningRegistry, startRegistry } from "../../test/support/registry.ts";
import type { Engine } from "../engines.ts";
import { settle } from "../file-system.ts";
import { measureRounds, type Step } from "../measure.ts";
import { childrenOf } from "../memory.ts";
import { type Filling, installPlugin, pushPlugin, removePlugin } from "../plugin-images.ts";
import { programPath } from "../processes.ts";
import { type Group, type Row, type RowPlan, rowFrom } from "../rows.ts";
import { type Ground, startPair, type Workbench } from "../workbench.ts";

/** A round takes seconds, and varies little. */
const ROUNDS_MAX = 7;
const PULL_ROUNDS_MAX = 3;
/** How often memory is looked at. */
const LOOK_MS = 20;
const PAGE_BYTES = 4096;
/** For the plugin of 1 GB, its layer, and those of both engines. */
const DISK_BYTES = 24 * 1024 ** 3;

const times = {
  unit: "ms",
  judged: "ratio",
  target: { bound: "at_most", value: 1 },
  against: "reference",
} as const;
const how =
  "The plugin lies in Debian's docker-registry on loopback, its data in memory, where a dockerd " +
  "has pushed it. As the command line does, an engine is asked for the privileges and then to " +
  "pull";

const solid: RowPlan = {
  ...times,
  id: "plugin-install-solid",
  work: "install of a plugin of 50 MB, one file that cannot be compressed, not enabled",
  how:
    `${how}; the figure is the time until both are answered to their end. The plugin is removed ` +
    "after each round.",
};

const tree: RowPlan = {
  ...times,
  id: "plugin-install-tree",
  work: "install of a plugin of 50 MB in 3,000 files, not enabled",
  how: "The same; each file is random bytes and as many zeroes.",
};

const enabled: RowPlan = {
  ...times,
  id: "plugin-install-enabled",
  work: "the same, and enabled",
  how: "The same, with the call that enables the plugin, until it is answered.",
};

const memory: RowPlan = {
  id: "plugin-pull-memory",
  work: "memory above idle while a plugin of 1 GB is pulled",
  unit: "MiB",
  judged: "figure",
  target: { bound: "at_most", value: 100 },
  against: "reference",
  how:
    "A plugin of one file that cannot be compressed. Resident memory of the daemon and all its " +
    `descendants, looked at each ${LOOK_MS} ms: the largest sum, or the highest of the daemon ` +
    "alone by the kernel's account (VmHWM), less the sum of a daemon that has been started and " +
    "has rested. Pages that several of them share count as often.",
};

interface Stage {
  readonly engines: readonly [Engine, Engine];
  readonly ground: Ground;
  readonly registry: RunningRegistry;
}

async function pushed(
  { engines, ground, registry }: Stage,
  { signal, say }: Workbench,
  image: { readonly name: string; readonly filling: Filling },
): Promise<string> {
  say(`  pushing: ${image.name}`);
  const folder = join(ground.disk, image.name);
  mkdirSync(folder);
  const [, dockerd] = engines;
  const push = { ...image, registry: registry.host, folder };
  const reference = await pushPlugin(dockerd, push, signal);
  rmSync(folder, { recursive: true });
  return reference;
}

async function measureInstalls(stage: Stage, workbench: Workbench): Promise<readonly Row[]> {
  const { sizes, signal } = workbench;
  const { installedBytes: bytes, files } = sizes.plugins;
  const one = await pushed(stage, workbench, { name: "solid", filling: { kind: "solid", bytes } });
  const filling = { kind: "tree", bytes, files } as const;
  const many = await pushed(stage, workbench, { name: "tree", filling });
  const step = ({ id }: RowPlan, reference: string, isEnabled: boolean): Step<Engine> => ({
    name: id,
    async measure(engine) {
      await settle(stage.ground.disk, signal);
      const ms = await installPlugin(engine, reference, { isEnabled });
      await removePlugin(engine);
      return ms;
    },
  });
  const figures = await measureRounds({
    subjects: stage.engines,
    rounds: Math.min(sizes.rounds, ROUNDS_MAX),
    signal,
    steps: [step(solid, one, false), step(tree, many, false), step(enabled, many, true)],
  });
  return [solid, tree, enabled].map((plan) => rowFrom(plan, figures.get(plan.id)));
}

async function measurePull(stage: Stage, workbench: Workbench): Promise<Row> {
  const { sizes, signal } = workbench;
  const filling = { kind: "solid", bytes: sizes.plugins.pulledBytes } as const;
  const reference = await pushed(stage, workbench, { name: "large", filling });
  for (const engine of stage.engines) await engine.stop();
  let number = 0;
  const figures = await measureRounds({
    subjects: [workbench.candidate, workbench.reference],
    rounds: Math.min(sizes.rounds, PULL_ROUNDS_MAX),
    signal,
    steps: [
      {
        name: memory.id,
        async measure(kind) {
          number += 1;
          await using engine = await stage.ground.start(kind, `m${number}`);
          await pause(sizes.idleMs, undefined, { signal });
          const growth = await growthMib(engine, async () => {
            await installPlugin(engine, reference, { isEnabled: false });
          });
          await removePlugin(engine);
          return growth;
        },
      },
    ],
  });
  return rowFrom(memory, figures.get(memory.id));
}

/** The most that a daemon and its descendants have resident during the work, less what before. */
async function growthMib({ pid }: Engine, work: () => Promise<void>): Promise<number> {
  const before = await residentOfAll(pid);
  const looking = new AbortController();
  let most = before;
  const watch = async (): Promise<void> => {
    while (!looking.signal.aborted) {
      most = Math.max(most, await residentOfAll(pid));
      await pause(LOOK_MS);
    }
  };
  const watching = watch();
  await work().finally(() => looking.abort());
  await watching;
  return (Math.max(most, highest(pid)) - before) / 1024 ** 2;
}

/** Resident bytes of a process and its descendants. */
async function residentOfAll(pid: number): Promise<number> {
  const children = await childrenOf(pid).catch(() => []);
  const below = await Promise.all(children.map(residentOfAll));
  return below.reduce((sum, bytes) => sum + bytes, residentBytes(pid));
}

/** 0 of a process that has ended. */
function residentBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * PAGE_BYTES;
  } catch {
    return 0;
  }
}

/** The most that a process ever had resident, in bytes. */
function highest(pid: number): number {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) * 1024;
}

/** Managed plugins. */
export const pluginInstallGroup: Group = {
  name: "plugin-install",
  rows: [solid, tree, enabled, memory],
  async run(workbench) {
    for (const program of ["docker-registry", "conmon", "runc"]) programPath(program, program);
    await using ground = await workbench.ground(DISK_BYTES);
    await using registry = await startRegistry();
    const stage = { engines: await startPair(workbench, ground), ground, registry };
    const rows = await measureInstalls(stage, workbench);
    return { rows: [...rows, await measurePull(stage, workbench)], tables: [] };
  },
};
