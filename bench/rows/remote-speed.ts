// Rows for volumes on other machines: what a mount and its data cost beside the bare program.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { called } from "../calls.ts";
import { type PairedRound, pairedFigures, pairedRound, pairWords } from "../paired.ts";
import { run } from "../processes.ts";
import { type DriverRows, driverRows, fillServer } from "../remote-rows.ts";
import {
  byHand,
  type DriverOfRows,
  type RemoteStage,
  remoteFolders,
  startRemoteStage,
  untilLookedAt,
} from "../remote-stage.ts";
import { type Group, type GroupOutcome, type Row, rowFrom } from "../rows.ts";
import type { Workbench } from "../workbench.ts";

const drivers: readonly DriverOfRows[] = ["sshfs", "rclone"];
const servers = { sshfs: "an sshd", rclone: "`rclone serve webdav`" } as const;
const HOLDER = "bench";
/** rclone writes to its cache, four times as fast; it sends what is there when files are closed. */
const transferMib = {
  sshfs: { read: 4, write: 4 },
  rclone: { read: 4, write: 16 },
} as const;
/** Of the volume and of the mount by hand, in what both show. */
const OWN_DIRECTORIES = ["0", "1"] as const;

/** How long a hold that is over may take to be ended. */
const END_MS_MAX = 60_000;
const LOOK_MS = 5;

function rowsOf(driver: DriverOfRows): DriverRows {
  return driverRows({
    driver,
    bare: "program",
    same:
      `A volume of \`${driver}\` on ${servers[driver]} of this machine, and the command line ` +
      "that serves its mount, run once more by hand with places of its own; both are mounted " +
      "anew for each round, which begins when Holdfast has looked whose files are in the volume.",
    mib: transferMib[driver],
    bareTime:
      "the time from the start of the bare program until its mount shows a list of its files",
    mountNote: empty[driver],
  });
}

/** `rclone mount` shows a directory that is not there as an empty one. */
const empty = {
  sshfs: "",
  rclone:
    " The volume has files: an empty one takes one process of `rclone lsf` longer, which tells " +
    "it from a path that is not there.",
} as const;

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

/** In a directory of the same name on the server. */
async function createVolume(stage: RemoteStage, driver: DriverOfRows, Name: string): Promise<void> {
  const DriverOpts = await stage.options(driver, Name);
  const body = { Name, Driver: driver, DriverOpts };
  await called({ socket: stage.daemon.socketPath, method: "POST", path: "/volumes/create", body });
}

interface Transfers {
  readonly workbench: Workbench;
  readonly driver: DriverOfRows;
  /** `bench/pair-load.c`. */
  readonly program: string;
  /** What is mounted may keep a cache there. */
  readonly disk: string;
}

/** A round of reads, and one of writes. */
async function transferred(
  { workbench, driver, program, disk }: Transfers,
  [volume, hand]: readonly [volume: string, hand: string],
  round: number,
): Promise<Readonly<Record<"read" | "write", PairedRound>>> {
  const { pairs } = workbench.sizes.remote;
  const places = [join(volume, OWN_DIRECTORIES[0]), join(hand, OWN_DIRECTORIES[1])] as const;
  const transfer = async (mode: "read" | "write") => {
    const mib = transferMib[driver][mode];
    const transfers = { mode, places, mib, pairs, round, disk };
    const command = [program, ...pairWords(transfers)];
    return pairedRound(await run({ command, signal: workbench.signal }), transfers);
  };
  // What was written is sent when the files are closed, and in nobody's way then.
  const read = await transfer("read");
  return { read, write: await transfer("write") };
}

/** Both are mounted anew for each round: no two processes of one program are equally fast. */
async function speedRows(transfers: Transfers, stage: RemoteStage): Promise<readonly Row[]> {
  const { workbench, driver, disk } = transfers;
  const { remote } = workbench.sizes;
  const volume = remoteFolders[driver].transfers;
  await fillServer(join(stage.served, volume), OWN_DIRECTORIES, {
    ...remote,
    mib: transferMib[driver].read,
  });
  await createVolume(stage, driver, volume);
  let { path } = await hold(stage, volume, "PUT");
  const mountByHand = await byHand(path, join(disk, `${volume}-by-hand`));
  const rounds: Readonly<Record<"read" | "write", PairedRound>>[] = [];
  for (let round = -1; round < remote.rounds; round++) {
    ({ path } = await hold(stage, volume, "PUT"));
    {
      await using bare = await mountByHand();
      await untilLookedAt(stage, workbench.signal);
      const figures = await transferred(transfers, [path, bare.target], round);
      if (round >= 0) rounds.push(figures);
      // It waits until what was written is sent; the one by hand has sent it by then, too.
      await hold(stage, volume, "DELETE");
      await untilUnmounted(path, workbench.signal);
    }
  }
  const { write, read } = rowsOf(driver);
  return [
    rowFrom(write, pairedFigures(rounds.map((round) => round.write))),
    rowFrom(read, pairedFigures(rounds.map((round) => round.read))),
  ];
}

/** Of another volume: a cache with much in it takes the programs time when they start. */
async function mountRows(
  { workbench, driver, disk }: Transfers,
  stage: RemoteStage,
): Promise<readonly Row[]> {
  const volume = remoteFolders[driver].mounts;
  await writeFile(join(stage.served, volume, "file"), "");
  await createVolume(stage, driver, volume);
  const { path } = await hold(stage, volume, "PUT");
  const mountByHand = await byHand(path, join(disk, `${volume}-by-hand`));
  await hold(stage, volume, "DELETE");
  const mounts: number[] = [];
  const containers: number[] = [];
  for (let round = -1; round < workbench.sizes.rounds; round++) {
    await untilUnmounted(path, workbench.signal);
    let bareMs: number;
    {
      await using bare = await mountByHand();
      bareMs = bare.tookMs;
    }
    const { ms } = await hold(stage, volume, "PUT");
    await hold(stage, volume, "DELETE");
    await untilUnmounted(path, workbench.signal);
    const engineMs = await engineCall(stage, "Mount", volume);
    await engineCall(stage, "Unmount", volume);
    if (round < 0) continue;
    mounts.push(ms - bareMs);
    containers.push(engineMs - bareMs);
  }
  const { mount, container } = rowsOf(driver);
  return [
    rowFrom(mount, { outcome: "measured", perSubject: [mounts] }),
    rowFrom(container, { outcome: "measured", perSubject: [containers] }),
  ];
}

/** Volumes on servers that answer. */
export const remoteSpeedGroup: Group = {
  name: "remote-speed",
  rows: drivers.flatMap((driver) => Object.values(rowsOf(driver))),
  async run(workbench): Promise<GroupOutcome> {
    await using ground = await workbench.ground();
    await using stage = await startRemoteStage(workbench, ground);
    const program = await workbench.tools.compileStatic("pair-load");
    const rows: Row[] = [];
    for (const driver of drivers) {
      const transfers = { workbench, driver, program, disk: ground.disk };
      try {
        const speed = await speedRows(transfers, stage);
        rows.push(...speed, ...(await mountRows(transfers, stage)));
      } catch (error) {
        workbench.signal.throwIfAborted();
        const failed = { outcome: "failed", reason: String(error) } as const;
        rows.push(...Object.values(rowsOf(driver)).map((row) => rowFrom(row, failed)));
      }
    }
    return { rows, tables: [] };
  },
};
