// Has a container write by `bench/write-load.c`, as often as it takes to see how fast it can be.
import type { ContainerBench } from "./container-bench.ts";
import { settle } from "./file-system.ts";
import type { Workbench } from "./workbench.ts";

/** Where the program has to be in the container. */
export const WRITE_LOAD = "/write-load";

export interface Writing {
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

/** Of the fastest try. */
export async function fastestSeconds(
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
