// Rows for what a container loses while a removed volume is purged beside it: Holdfast alone.
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { called } from "../calls.ts";
import { type ContainerBench, startContainerBench, VOLUME_PLACE } from "../container-bench.ts";
import { settle, settleJournal } from "../file-system.ts";
import { subjectOrder } from "../measure.ts";
import { run } from "../processes.ts";
import { type Group, type RowPlan, rowFrom } from "../rows.ts";
import type { Workbench } from "../workbench.ts";

const NAME = "writer";
const PROGRAM = "/write-load";
const DOOMED = "doomed";
/** A round fills a large volume and waits until it is purged. */
const ROUNDS_MAX = 5;
const PURGE_MS_MAX = 300_000;
const POLL_MS = 20;

const beside = {
  unit: "/s",
  judged: "ratio",
  against: "itself",
  target: { bound: "at_least", value: 0.9 },
} as const;

const sequential: RowPlan = {
  ...beside,
  id: "purge-sequential",
  work: "MiB written one after the other, during a purge against without",
  how:
    "A container writes on a volume of Holdfast, as in the rows of containers that write: pieces " +
    "of 1 MiB over what a file has, 4 KiB at random places each with fsync, and small files, one " +
    "after the other. A volume of 30,000 files of 1 KiB stands beside it, and once is purged " +
    "meanwhile: from before the first write until after the last, or the rows fail. The journal " +
    "of the file system is empty when either begins.",
};

const random: RowPlan = {
  ...beside,
  id: "purge-random",
  work: "4 KiB written at random places, each with fsync, during a purge against without",
  how: "The second of these.",
};

const files: RowPlan = {
  ...beside,
  id: "purge-files",
  work: "small files made in a container, during a purge against without",
  how: "The third of these; one sync of the file system at the end is part of the time.",
};

/** What is written, in this order. */
interface Work {
  readonly row: RowPlan;
  readonly mode: "sequential" | "random" | "files";
  readonly count: number;
}

/** Something that writes, beside something that can be purged. */
interface Stage {
  readonly workbench: Workbench;
  readonly bench: ContainerBench;
  readonly disk: string;
  readonly program: string;
  readonly works: readonly Work[];
}

/** One volume that purges at once what is removed: nothing of it stays in the trash. */
async function fillDoomed({ workbench, bench, disk, program }: Stage): Promise<void> {
  const { sizes, signal } = workbench;
  const { socket, root } = bench.holdfast;
  const body = { Name: DOOMED, DriverOpts: { trash: "off" } };
  await called({ socket, method: "POST", path: "/volumes/create", body });
  const directory = join(root, "volumes", DOOMED, "_data");
  await run({ command: [program, "tree", directory, String(sizes.trash.purged)], signal });
  await settle(disk, signal);
}

async function isPurging({ bench }: Stage): Promise<boolean> {
  const trash = join(bench.holdfast.root, "trash");
  return existsSync(trash) && (await readdir(trash)).length > 0;
}

async function purged(stage: Stage): Promise<void> {
  const { signal } = stage.workbench;
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(PURGE_MS_MAX)]);
  while (await isPurging(stage)) await pause(POLL_MS, undefined, { signal: deadline });
  await settle(stage.disk, signal);
}

/** Writes all there is to write and returns the rates, in the order of the rows. */
async function written({ bench, works }: Stage): Promise<readonly number[]> {
  const rates: number[] = [];
  for (const { mode, count } of works) {
    const seconds = Number(await bench.execute(NAME, PROGRAM, mode, VOLUME_PLACE, String(count)));
    rates.push(count / seconds);
  }
  return rates;
}

async function writtenBesidePurge(stage: Stage): Promise<readonly number[]> {
  const { socket } = stage.bench.holdfast;
  const startedMs = performance.now();
  await called({ socket, method: "DELETE", path: `/volumes/${DOOMED}` });
  const rates = await written(stage);
  if (!(await isPurging(stage))) throw new Error("the purge was over before all was written");
  const writtenMs = performance.now() - startedMs;
  await purged(stage);
  const purgedMs = performance.now() - startedMs;
  stage.workbench.say(`  written in ${writtenMs.toFixed(0)} ms, purged in ${purgedMs.toFixed(0)}`);
  return rates;
}

/** Rates per subject and row: with a purge, then without. */
async function measured(stage: Stage, rounds: number): Promise<readonly number[][][]> {
  const subjects = [writtenBesidePurge, written] as const;
  const figures = subjects.map(() => stage.works.map((): number[] => []));
  for (let round = -1; round < rounds; round++) {
    await fillDoomed(stage);
    for (const index of subjectOrder(subjects.length, round)) {
      await settleJournal(stage.disk, stage.workbench.signal);
      const rates = (await subjects[index]?.(stage)) ?? [];
      if (round < 0) continue;
      for (const [place, rate] of rates.entries()) figures[index]?.[place]?.push(rate);
    }
  }
  return figures;
}

/** Writing beside a purge. */
export const purgeGroup: Group = {
  name: "purge",
  rows: [sequential, random, files],
  async run(workbench) {
    const { rounds, beside: sizes } = workbench.sizes;
    await using ground = await workbench.ground();
    await using bench = await startContainerBench(workbench, ground);
    const program = await workbench.tools.compileStatic("write-load");
    await bench.createVolume(NAME, "holdfast");
    const binds = [`${program}:${PROGRAM}:ro`];
    await bench.start({ name: NAME, volumes: { [VOLUME_PLACE]: NAME }, binds });
    const works: readonly Work[] = [
      { row: sequential, mode: "sequential", count: sizes.sequentialMib },
      { row: random, mode: "random", count: sizes.randomWrites },
      { row: files, mode: "files", count: sizes.files },
    ];
    const stage = { workbench, bench, disk: ground.disk, program, works };
    const figures = await measured(stage, Math.min(rounds, ROUNDS_MAX));
    await bench.remove(NAME);
    const rows = works.map(({ row }, place) => {
      const perSubject = figures.map((perRow) => perRow[place] ?? []);
      return rowFrom(row, { outcome: "measured", perSubject });
    });
    return { rows, tables: [] };
  },
};
