// Has a container write by `bench/write-load.c`, as often as it takes to see how fast it can be.
import type { ContainerBench } from "./container-bench.ts";
import { settle } from "./file-system.ts";
import type { Step } from "./measure.ts";
import type { RowPlan } from "./rows.ts";
import type { Workbench } from "./workbench.ts";

/** Where the program has to be in the container. */
export const WRITE_LOAD = "/write-load";

interface Writing {
  readonly container: string;
  /** What and how much, as the program takes it. */
  readonly mode: string;
  readonly count: number;
  /** In the container. */
  readonly directory: string;
  /** What else is written to the disk below makes single tries differ by a factor of ten. */
  readonly tries: number;
  /** The disk below, which is left in peace before each try. */
  readonly disk: string;
}

/** What a row has a container write, and how much of it: as the program takes both. */
export interface WritingStep {
  readonly row: RowPlan;
  readonly mode: string;
  readonly count: number;
}

/** A step of `measureRounds`: `figureOf` makes of the fastest try's seconds what the row shows. */
export function writingStep<Subject extends string>(
  workbench: Workbench,
  bench: ContainerBench,
  { row, mode, count }: WritingStep,
  how: Pick<Writing, "container" | "tries" | "disk"> & {
    readonly placeOf: (subject: Subject) => string;
    readonly figureOf: (seconds: number, count: number) => number;
  },
): Step<Subject> {
  const { placeOf, figureOf, ...where } = how;
  return {
    name: row.id,
    async measure(subject) {
      const writing = { ...where, mode, count, directory: placeOf(subject) };
      return figureOf(await fastestSeconds(workbench, bench, writing), count);
    },
  };
}

/** Of the fastest try. */
async function fastestSeconds(
  workbench: Workbench,
  bench: ContainerBench,
  { container, mode, count, directory, tries, disk }: Writing,
): Promise<number> {
  let fastest = Number.POSITIVE_INFINITY;
  for (let left = tries; left > 0; left--) {
    await settle(disk, workbench.signal);
    const printed = await bench.execute(container, WRITE_LOAD, mode, directory, String(count));
    fastest = Math.min(fastest, Number(printed));
  }
  return fastest;
}
