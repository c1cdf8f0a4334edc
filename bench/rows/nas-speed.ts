// Rows for NFS and SMB: what a mount and its data cost beside mount(8), in user-mode Linux.
import { type NasDriver, type NasStage, shareDirectory, startNasStage } from "../nas-stage.ts";
import { type PairedRound, pairedFigures, pairedRound, pairWords } from "../paired.ts";
import { type DriverRows, driverRows, fillServer } from "../remote-rows.ts";
import { type Group, type GroupOutcome, type Row, rowFrom } from "../rows.ts";
import type { Workbench } from "../workbench.ts";

const drivers: readonly NasDriver[] = ["nfs", "smb"];
const servers = { nfs: "nfs-ganesha", smb: "samba" } as const;
/** Writes through Samba are three times as slow. */
const transferMib = {
  nfs: { read: 16, write: 16 },
  smb: { read: 16, write: 4 },
} as const;
const machine =
  "In user-mode Linux, whose kernel has the client; the server is a process of this machine, " +
  "behind a network of their own.";
const compared = {
  nfs:
    "Both have the word `nosharecache`: without it the kernel has one file system for both, and " +
    "nothing would be compared. The connection is one.",
  smb: "The kernel has two file systems for them, and one connection.",
} as const;

function rowsOf(driver: NasDriver): DriverRows {
  return driverRows({
    driver,
    bare: "mount command",
    same:
      `A volume of \`${driver}\` on ${servers[driver]}, and mount(8) by hand with its words, ` +
      `which the mount table must show alike. ${machine} ${compared[driver]}`,
    mib: transferMib[driver],
    bareTime: "the time of the process `mount` by hand with the same words",
    mountNote: ` ${machine}`,
    whyMissed:
      "A system call takes eighty times as long there as on this machine, and a start of " +
      "Holdfast's own program, which makes the hold's mount where storage may hang, 190 ms, not " +
      "7 ms.",
  });
}

/** A round of reads, and one of writes. */
async function transferred(
  { stage, driver }: { readonly stage: NasStage; readonly driver: NasDriver },
  places: readonly [volume: string, hand: string],
  { pairs, round }: { readonly pairs: number; readonly round: number },
): Promise<Readonly<Record<"read" | "write", PairedRound>>> {
  const transfer = async (mode: "read" | "write") => {
    const transfers = { mode, places, mib: transferMib[driver][mode], pairs, round };
    return pairedRound(await stage.run(stage.pairLoad, ...pairWords(transfers)), transfers);
  };
  return { read: await transfer("read"), write: await transfer("write") };
}

async function speedRows(
  { sizes }: Workbench,
  stage: NasStage,
  driver: NasDriver,
): Promise<readonly Row[]> {
  const { rounds, pairs } = sizes.remote;
  const [volume, hand] = [`volume-${driver}`, `hand-${driver}`];
  await fillServer(stage.folder(driver), [volume, hand], {
    ...sizes.remote,
    mib: transferMib[driver].read,
  });
  await stage.create(driver, volume);
  const { path } = await stage.hold(volume);
  const figures: Readonly<Record<"read" | "write", PairedRound>>[] = [];
  {
    await using bare = await stage.mountByHand(driver, hand);
    const [own, other] = [await stage.optionsAt(path), await stage.optionsAt(bare.target)];
    if (own !== other) throw new Error(`not mounted alike: ${own}; by hand ${other}`);
    for (let round = -1; round < rounds; round++) {
      const figure = await transferred({ stage, driver }, [path, bare.target], { pairs, round });
      if (round >= 0) figures.push(figure);
    }
  }
  await stage.letGo(volume, path);
  const { write, read } = rowsOf(driver);
  return [
    rowFrom(write, pairedFigures(figures.map((round) => round.write))),
    rowFrom(read, pairedFigures(figures.map((round) => round.read))),
  ];
}

async function mountRows(
  { sizes }: Workbench,
  stage: NasStage,
  driver: NasDriver,
): Promise<readonly Row[]> {
  const volume = `mounts-${driver}`;
  await shareDirectory(stage, driver, volume);
  await stage.create(driver, volume);
  const mounts: number[] = [];
  const containers: number[] = [];
  for (let round = -1; round < sizes.rounds; round++) {
    let bareMs: number;
    {
      await using bare = await stage.mountByHand(driver, volume);
      bareMs = bare.tookMs;
    }
    const { path, tookMs } = await stage.hold(volume);
    await stage.letGo(volume, path);
    const engineMs = await stage.engineMount(volume);
    await stage.engineUnmount(volume, path);
    if (round < 0) continue;
    mounts.push(tookMs - bareMs);
    containers.push(engineMs - bareMs);
  }
  const { mount, container } = rowsOf(driver);
  return [
    rowFrom(mount, { outcome: "measured", perSubject: [mounts] }),
    rowFrom(container, { outcome: "measured", perSubject: [containers] }),
  ];
}

/** NAS, by the kernel's own clients. */
export const nasSpeedGroup: Group = {
  name: "nas-speed",
  rows: drivers.flatMap((driver) => Object.values(rowsOf(driver))),
  async run(workbench): Promise<GroupOutcome> {
    await using stage = await startNasStage(workbench);
    const rows: Row[] = [];
    for (const driver of drivers) {
      try {
        const speed = await speedRows(workbench, stage, driver);
        rows.push(...speed, ...(await mountRows(workbench, stage, driver)));
      } catch (error) {
        workbench.signal.throwIfAborted();
        const failed = { outcome: "failed", reason: String(error) } as const;
        rows.push(...Object.values(rowsOf(driver)).map((row) => rowFrom(row, failed)));
      }
    }
    return { rows, tables: [] };
  },
};
