// Rows for what a container writes: on a volume of Holdfast, and on one of Docker's own.
import { startContainerBench, type VolumeDriverName, volumeDrivers } from "../container-bench.ts";
import { WRITE_LOAD, writingStep } from "../container-writing.ts";
import { measureRounds } from "../measure.ts";
import { type Group, type RowPlan, rowFrom } from "../rows.ts";

const NAME = "writer";
const TRIES = 3;

const written = {
  unit: "/s",
  judged: "ratio",
  against: "reference",
  target: { bound: "at_least", value: 0.97 },
} as const;

const sequential: RowPlan = {
  ...written,
  id: "writing-sequential",
  work: "MiB written one after the other, in a container",
  how:
    "One container has a volume of Holdfast and one of Docker's driver `local`, on the same file " +
    "system, and writes by turns (`bench/write-load.c`): 256 MiB in pieces of 1 MiB over what a " +
    "file has, and one fsync at the end, which is part of the time. The fastest of three tries " +
    "is the figure, here and in the next two rows.",
};

const random: RowPlan = {
  ...written,
  id: "writing-random",
  work: "4 KiB written at random places, each with fsync, in a container",
  how: "The same container; the places are in a file of 64 MiB that has been written before.",
};

const files: RowPlan = {
  ...written,
  id: "writing-files",
  work: "10,000 small files made, in a container",
  how:
    "The same container; files of 1 KiB in directories of 1,000, and one sync of the file system " +
    "at the end, which is part of the time.",
};

function placeOf(driver: VolumeDriverName): string {
  return `/${driver}`;
}

/** What is written in a container. */
export const writingGroup: Group = {
  name: "writing",
  rows: [sequential, random, files],
  async run(workbench) {
    const { rounds, writing: sizes } = workbench.sizes;
    await using ground = await workbench.ground();
    await using bench = await startContainerBench(workbench, ground);
    const program = await workbench.tools.compileStatic("write-load");
    for (const driver of volumeDrivers) await bench.createVolume(driver, driver);
    await bench.start({
      name: NAME,
      volumes: Object.fromEntries(volumeDrivers.map((driver) => [placeOf(driver), driver])),
      binds: [`${program}:${WRITE_LOAD}:ro`],
    });
    const steps = [
      { row: sequential, mode: "sequential", count: sizes.sequentialMib },
      { row: random, mode: "random", count: sizes.randomWrites },
      { row: files, mode: "files", count: sizes.files },
    ];
    const figureOf = (seconds: number, count: number) => count / seconds;
    const how = { container: NAME, tries: TRIES, disk: ground.disk, placeOf, figureOf };
    const figures = await measureRounds({
      subjects: volumeDrivers,
      rounds,
      signal: workbench.signal,
      steps: steps.map((step) => writingStep(workbench, bench, step, how)),
    });
    await bench.remove(NAME);
    return { rows: this.rows.map((plan) => rowFrom(plan, figures.get(plan.id))), tables: [] };
  },
};
