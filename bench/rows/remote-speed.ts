// Rows for volumes on other machines: what a mount and its data cost beside the bare program.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { called } from "../calls.ts";
import { settle } from "../file-system.ts";
import { measureRounds, type Step } from "../measure.ts";
import { run } from "../processes.ts";
import { byHand, type DriverOfRows, type RemoteStage, startRemoteStage } from "../remote-stage.ts";
import { type Group, type GroupOutcome, type Row, type RowPlan, rowFrom } from "../rows.ts";
import type { Workbench } from "../workbench.ts";

const drivers: readonly DriverOfRows[] = ["sshfs", "rclone"];
const servers = { sshfs: "an sshd", rclone: "`rclone serve webdav`" } as const;
const HOLDER = "bench";
/** Single tries differ by what else the disk below has to do. */
const TRIES = 3;
/** rclone sends what was written a second later, at the cost of whoever is measured then. */
const restMs = { sshfs: 0, rclone: 3_000 } as const;

const speed = {
  unit: "/s",
  judged: "ratio",
  target: { bound: "at_least", value: 0.97 },
  against: "bare",
} as const;

const whyRclone =
  "`rclone mount` succeeds without a server, with a wrong password and with a bucket that is not " +
  "there, and gives errors later: so a process of rclone of its own asks the server first, and " +
  "what a crash may have left in the cache is looked for.";

interface DriverRows {
  readonly write: RowPlan;
  readonly read: RowPlan;
  readonly mount: RowPlan;
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
        "of the time; the fastest of three tries, here and in the next row.",
    },
    read: {
      ...speed,
      id: `remote-read-${driver}`,
      work: `MiB read through ${driver}`,
      how: "The file that was written, read by `dd` after the kernel's caches were dropped.",
    },
    mount: {
      ...{ unit: "ms", judged: "figure", target: { bound: "at_most", value: 50 } },
      id: `remote-mount-${driver}`,
      work: `a mount through ${driver}, time beyond the bare program's`,
      against: "nothing",
      ...(driver === "rclone" ? { whyMissed: whyRclone } : {}),
      how:
        "`PUT` of a holder of a volume that nobody has, which is on disk before it answers, less " +
        "the time from the start of the bare program until its mount shows a list of its files.",
    },
  };
}

/** Where data is read and written: the volume first, then the mount by hand. */
type Places = readonly [volume: string, hand: string];

async function hold(stage: RemoteStage, volume: string, method: "PUT" | "DELETE") {
  const path = `/holdfast/v1/volumes/${volume}/holders/${HOLDER}`;
  const { ms, text } = await called({ socket: stage.daemon.socketPath, method, path });
  return { ms, path: method === "PUT" ? String(JSON.parse(text).path) : "" };
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
  const fastest = async (seconds: () => Promise<number>): Promise<number> => {
    const tries: number[] = [];
    for (let left = TRIES; left > 0; left--) {
      await pause(tools.restMs, undefined, { signal });
      await settle(tools.disk, signal);
      tries.push(await seconds());
    }
    return count / Math.min(...tries);
  };
  return [
    {
      name: write.id,
      measure: (place) =>
        fastest(async () => {
          const command = [tools.program, "sequential", place, String(count)];
          return Number(await run({ command, signal }));
        }),
    },
    {
      name: read.id,
      measure: (place) =>
        fastest(async () => {
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
  const differences: number[] = [];
  for (let round = -1; round < rounds; round++) {
    await hold(stage, volume, "DELETE");
    await using bare = await mountByHand();
    const { ms } = await hold(stage, volume, "PUT");
    if (round >= 0) differences.push(ms - bare.tookMs);
  }
  await hold(stage, volume, "DELETE");
  const perSubject = [differences];
  return [
    rowFrom(rows.write, figures.get(rows.write.id)),
    rowFrom(rows.read, figures.get(rows.read.id)),
    rowFrom(rows.mount, { outcome: "measured", perSubject }),
  ];
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
