// The rows of a driver for volumes on other machines, and the files that their reads need.
import { link, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileCount } from "./paired.ts";
import type { RowPlan } from "./rows.ts";

const MIB = 1024 ** 2;

export interface DriverRows {
  readonly write: RowPlan;
  readonly read: RowPlan;
  readonly mount: RowPlan;
  readonly container: RowPlan;
}

export interface TransferMib {
  readonly read: number;
  readonly write: number;
}

/** What differs between drivers. */
export interface DriverWords {
  readonly driver: string;
  /** "program": what is run by hand, in the words of the table. */
  readonly bare: "program" | "mount command";
  /** What is compared: one or more sentences. */
  readonly same: string;
  /** Of one transfer, which is to take some hundredths of a second. */
  readonly mib: TransferMib;
  /** What the time by hand is: "the time …". */
  readonly bareTime: string;
  /** Further sentences, if any. */
  readonly mountNote?: string;
  readonly whyMissed?: string;
}

const speed = {
  unit: "/s",
  judged: "ratio",
  target: { bound: "at_least", value: 0.97 },
  against: "bare",
} as const;

const beyond = {
  unit: "ms",
  judged: "figure",
  target: { bound: "at_most", value: 50 },
  against: "nothing",
} as const;

/** In the order in which they stand in the tables. */
export function driverRows(words: DriverWords): DriverRows {
  const { driver, bare, same, mib, bareTime, mountNote = "" } = words;
  const why = words.whyMissed === undefined ? {} : { whyMissed: words.whyMissed };
  return {
    write: {
      ...speed,
      id: `remote-write-${driver}`,
      work: `MiB written through ${driver}, with fsync`,
      how:
        `${same} Both are there at the same time, and are written to by turns (A B, B A, …; ` +
        `\`bench/pair-load.c\`): ${mib.write} MiB over what a file has, and one fsync, which is ` +
        "part of the time. A round's ratio is the median of its pairs' ratios. The servers' " +
        "directories are in memory.",
    },
    read: {
      ...speed,
      id: `remote-read-${driver}`,
      work: `MiB read through ${driver}`,
      how:
        `The same by turns: files of ${mib.read} MiB, each read once on either mount, and no ` +
        "page of it is in the client's memory before, which is looked at.",
    },
    mount: {
      ...beyond,
      ...why,
      id: `remote-mount-${driver}`,
      work: `a mount through ${driver}, time beyond the bare ${bare}'s`,
      how:
        "`PUT` of a holder of a volume that nobody has, which is on disk before it answers, less " +
        `${bareTime}.${mountNote}`,
    },
    container: {
      ...beyond,
      ...why,
      id: `remote-container-${driver}`,
      work: `a container's mount through ${driver}, time beyond the bare ${bare}'s`,
      how:
        "The same with `Mount` at the volume driver socket, as a container engine asks for the " +
        "start of a container: the hold's own mount, and the proof that the engine sees it.",
    },
  };
}

/**
 * Makes what reads by turns need in directories of a server, which it makes: the same bytes by as
 * many names, as a client that does not know files by their numbers fetches them anew by each.
 */
export async function fillServer(
  folder: string,
  names: readonly string[],
  sizes: { readonly rounds: number; readonly pairs: number; readonly mib: number },
): Promise<void> {
  const data = join(folder, "data");
  await mkdir(folder, { recursive: true });
  await writeFile(
    data,
    new Uint8Array(sizes.mib * MIB).map((_, index) => index * 31 + (index >> 8)),
  );
  for (const name of names) {
    await mkdir(join(folder, name));
    for (let file = 0; file < fileCount(sizes); file++) {
      await link(data, join(folder, name, String(file)));
    }
  }
}
