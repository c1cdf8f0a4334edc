// Rows for volumes on other machines: what a mount and its data cost beside the bare program.
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { called } from "../calls.ts";
import { settle } from "../file-system.ts";
import { measureRounds, type Step } from "../measure.ts";
import { run } from "../processes.ts";
import {
  byHand,
  type DriverOfRows,
  type MountByHand,
  type RemoteStage,
  startRemoteStage,
} from "../remote-stage.ts";
import { type Group, type GroupOutcome, type Row, type RowPlan, rowFrom } from "../rows.ts";
import type { Workbench } from "../workbench.ts";

const drivers: readonly DriverOfRows[] = ["sshfs", "rclone"];
const servers = { sshfs: "an sshd", rclone: "`rclone serve webdav`" } as const;
const HOLDER = "bench";
/** Single tries differ by what else the disk below has to do. A read takes a tenth of a second. */
const WRITE_TRIES = 3;
const READ_TRIES = 9;
/** rclone sends what was written a second later, at the cost of whoever is measured then. */
const restMs = { sshfs: 0, rclone: 3_000 } as const;

const speed = {
  unit: "/s",
  judged: "ratio",
  target: { bound: "at_least", value: 0.97 },
  against: "bare",
} as const;

/** How long a hold that is over may take to be ended. */
const END_MS_MAX = 60_000;
const LOOK_MS = 5;

interface DriverRows {
  readonly write: RowPlan;
  readonly read: RowPlan;
  readonly mount: RowPlan;
  readonly container: RowPlan;
}

function rowsOf(driver: DriverOfRows): DriverRows {
  const same =
    `A volume of \`${driver}\` on ${servers[driver]} of this machine, and the very command line ` +
    "that serves its mount, run once more by hand with places of its own.";
  return {
    write: {
      ...speed,
      id: `remote-write-${driver}`,
      work: `MiB written through ${driver}, with fsync`,
      how:
        `${same} Pieces of 1 MiB over what a file has, and one fsync at the end, which is part ` +
        "of the time; the fastest of three tries.",
    },
    read: {
      ...speed,
      id: `remote-read-${driver}`,
      work: `MiB read through ${driver}`,
      how:
        "The file that was written, read by `dd` after the kernel's caches were dropped; the " +
        "fastest of nine tries.",
    },
    mount: {
      ...{ unit: "ms", judged: "figure", target: { bound: "at_most", value: 50 } },
      id: `remote-mount-${driver}`,
      work: `a mount through ${driver}, time beyond the bare program's`,
      against: "nothing",
      how:
        "`PUT` of a holder of a volume that nobody has, which is on disk before it answers, less " +
        "the time from the start of the bare program until its mount shows a list of its files." +
        empty[driver],
    },
    container: {
      ...{ unit: "ms", judged: "figure", target: { bound: "at_most", value: 50 } },
      id: `remote-container-${driver}`,
      work: `a container's mount through ${driver}, time beyond the bare program's`,
      against: "nothing",
      how:
        "The same with `Mount` at the volume driver socket, as a container engine asks for the " +
        "start of a container: the hold's own mount, and the proof that the engine sees it.",
    },
  };
}

/** `rclone mount` shows a directory that is not there as an empty one. */
const empty = {
  sshfs: "",
  rclone:
    " The volume has files: an empty one takes one process of `rclone lsf` longer, which tells " +
    "it from a path that is not there.",
} as const;

/** Where data is read and written: the volume first, then the mount by hand. */
type Places = readonly [volume: string, hand: string];

async function hold(stage: RemoteStage, volume: string, method: "PUT" | "DELETE") {
  const path = `/holdfast/v1/volumes/${volume}/holders/${HOLDER}`;
  const { ms, text } = await called({ socket: stage.daemon.socketPath, method, path });
  return { ms, path: method === "PUT" ? String(JSON.parse(text).path) : "" };
}

/** A call of the volume driver socket; how long it took, in milliseconds. */
async function engineCall({ pluginSocket: socket }: RemoteStage, what: string, Name: string) {
  const path = `/VolumeDriver.${what}`;
  return (await called({ socket, method: "POST", path, body: { Name, ID: HOLDER } })).ms;
}

/** Resolves when nothing is mounted there any more. */
async function untilUnmounted(mountpoint: string, signal: AbortSignal): Promise<void> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(END_MS_MAX)]);
  while ((await readFile("/proc/self/mountinfo", "utf8")).includes(` ${mountpoint} `)) {
    await pause(LOOK_MS, undefined, { signal: deadline });
  }
}

async function createVolume(stage: RemoteStage, driver: DriverOfRows): Promise<string> {
  const Name = `on-${driver}`;
  const DriverOpts = await stage.options(driver, driver);
  const body = { Name, Driver: driver, DriverOpts };
  await called({ socket: stage.daemon.socketPath, method: "POST", path: "/volumes/create", body });
  return Name;
}

interface Tools {
  /** `bench/write-load.c`. */
  readonly program: string;
  readonly disk: string;
  /** Before each try. */
  readonly restMs: number;
}

function speedSteps(
  workbench: Workbench,
  { write, read }: DriverRows,
  tools: Tools,
): readonly Step<string>[] {
  const { signal, sizes } = workbench;
  const count = sizes.writing.sequentialMib;
  const fastest = async (
    tryCount: number,
    restMs: number,
    seconds: () => Promise<number>,
  ): Promise<number> => {
    const tries: number[] = [];
    await pause(tools.restMs, undefined, { signal });
    for (let left = tryCount; left > 0; left--) {
      if (left < tryCount) await pause(restMs, undefined, { signal });
      await settle(tools.disk, signal);
      tries.push(await seconds());
    }
    return count / Math.min(...tries);
  };
  return [
    {
      name: write.id,
      measure: (place) =>
        fastest(WRITE_TRIES, tools.restMs, async () => {
          const command = [tools.program, "sequential", place, String(count)];
          return Number(await run({ command, signal }));
        }),
    },
    {
      name: read.id,
      measure: (place) =>
        fastest(READ_TRIES, 0, async () => {
          await run({ command: ["sysctl", "-q", "vm.drop_caches=3"], signal });
          const startedMs = performance.now();
          const file = join(place, "sequential");
          const words = ["of=/dev/null", "bs=1M", "status=none"];
          await run({ command: ["dd", `if=${file}`, ...words], signal });
          return (performance.now() - startedMs) / 1000;
        }),
    },
  ];
}

async function measureDriver(
  workbench: Workbench,
  stage: RemoteStage,
  driver: DriverOfRows,
  tools: Tools,
): Promise<readonly Row[]> {
  const rows = rowsOf(driver);
  const { rounds } = workbench.sizes;
  const { signal } = workbench;
  const volume = await createVolume(stage, driver);
  const { path } = await hold(stage, volume, "PUT");
  const own = join(tools.disk, `${driver}-by-hand`);
  await mkdir(own);
  const mountByHand = await byHand(path, own);
  const figures = await (async () => {
    await using bare = await mountByHand();
    const subjects: Places = [path, bare.target];
    // Both show the same files: each has a directory of its own.
    const places = await Promise.all(
      subjects.map(async (place, index) => {
        const directory = join(place, String(index));
        await mkdir(directory, { recursive: true });
        return directory;
      }),
    );
    const steps = speedSteps(workbench, rows, tools);
    return await measureRounds({ subjects: places, rounds, signal, steps });
  })();
  await hold(stage, volume, "DELETE");
  const [mounts, containers] = await mountFigures({ stage, volume, path, mountByHand, workbench });
  return [
    rowFrom(rows.write, figures.get(rows.write.id)),
    rowFrom(rows.read, figures.get(rows.read.id)),
    rowFrom(rows.mount, { outcome: "measured", perSubject: [mounts] }),
    rowFrom(rows.container, { outcome: "measured", perSubject: [containers] }),
  ];
}

interface MountedVolume {
  readonly workbench: Workbench;
  readonly stage: RemoteStage;
  readonly volume: string;
  /** Where its data is. */
  readonly path: string;
  readonly mountByHand: MountByHand;
}

/** Of each round, beyond the mount by hand: a holder's mount, and a container engine's. */
async function mountFigures(
  given: MountedVolume,
): Promise<readonly [mounts: number[], containers: number[]]> {
  const { stage, volume, path, mountByHand, workbench } = given;
  const mounts: number[] = [];
  const containers: number[] = [];
  for (let round = -1; round < workbench.sizes.rounds; round++) {
    let bareMs: number;
    {
      await using bare = await mountByHand();
      bareMs = bare.tookMs;
    }
    const { ms } = await hold(stage, volume, "PUT");
    await hold(stage, volume, "DELETE");
    const engineMs = await engineCall(stage, "Mount", volume);
    await engineCall(stage, "Unmount", volume);
    await untilUnmounted(path, workbench.signal);
    if (round < 0) continue;
    mounts.push(ms - bareMs);
    containers.push(engineMs - bareMs);
  }
  return [mounts, containers];
}

/** Volumes on servers that answer. */
export const remoteSpeedGroup: Group = {
  name: "remote-speed",
  rows: drivers.flatMap((driver) => Object.values(rowsOf(driver))),
  async run(workbench): Promise<GroupOutcome> {
    await using ground = await workbench.ground();
    await using stage = await startRemoteStage(workbench, ground);
    const program = await workbench.tools.compileStatic("write-load");
    const rows: Row[] = [];
    for (const driver of drivers) {
      const tools = { program, disk: ground.disk, restMs: restMs[driver] };
      try {
        rows.push(...(await measureDriver(workbench, stage, driver, tools)));
      } catch (error) {
        workbench.signal.throwIfAborted();
        const failed = { outcome: "failed", reason: String(error) } as const;
        rows.push(...Object.values(rowsOf(driver)).map((row) => rowFrom(row, failed)));
      }
    }
    return { rows, tables: [] };
  },
};
