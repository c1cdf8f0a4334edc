// The row for the life of a container: with a volume of Holdfast, and with one of Docker's own.
import {
  type ContainerBench,
  startContainerBench,
  VOLUME_PLACE,
  type VolumeDriverName,
  volumeDrivers,
} from "../container-bench.ts";
import { settle } from "../file-system.ts";
import { measureRounds } from "../measure.ts";
import { type Group, type RowPlan, rowFrom } from "../rows.ts";

const life: RowPlan = {
  id: "container-life",
  work: "container create, start and remove, with a volume",
  unit: "ms",
  judged: "ratio",
  target: { bound: "at_most", value: 1.05 },
  against: "reference",
  how:
    "One dockerd makes, starts and removes containers by its API, each with one volume that is " +
    "there already: of Holdfast, or of Docker's driver `local`, on the same file system. The " +
    "figure is the time of one container, the mean of some in a row.",
  whyMissed:
    "Of some 210 ms a Mount with its own commit, its mount and the look at dockerd's " +
    "namespace take a few; with 1.05 the spread decides: rounds fell on both sides.",
};

async function lifeMs(
  bench: ContainerBench,
  driver: VolumeDriverName,
  count: number,
): Promise<number> {
  const name = `life-${driver}`;
  const startedMs = performance.now();
  for (let left = count; left > 0; left--) {
    await bench.start({ name, volumes: { [VOLUME_PLACE]: driver } });
    await bench.remove(name);
  }
  return (performance.now() - startedMs) / count;
}

/** Containers, in one dockerd. */
export const containerGroup: Group = {
  name: "container",
  rows: [life],
  async run(workbench) {
    const { sizes, signal } = workbench;
    await using ground = await workbench.ground();
    await using bench = await startContainerBench(workbench, ground);
    for (const driver of volumeDrivers) await bench.createVolume(driver, driver);
    const figures = await measureRounds({
      subjects: volumeDrivers,
      rounds: sizes.rounds,
      signal,
      steps: [
        {
          name: life.id,
          async measure(driver) {
            await settle(ground.disk, signal);
            return lifeMs(bench, driver, sizes.containers);
          },
        },
      ],
    });
    return { rows: [rowFrom(life, figures.get(life.id))], tables: [] };
  },
};
