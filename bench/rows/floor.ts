// What the file system itself allows, without any engine: the floor under the durable figures.
import { closeSync, fdatasyncSync, fsyncSync, mkdirSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { settle } from "../file-system.ts";
import { measureRounds } from "../measure.ts";
import type { Group } from "../rows.ts";
import { summarise } from "../statistics.ts";

const DIRECTORIES = 2000;
const WRITES = 200;
const BLOCK = Buffer.alloc(4096, 0x68);

/** Something done `count` times, the work of one time as a function. */
interface Floor {
  readonly name: string;
  readonly count: number;
  /** Prepares `directory`, which is fresh and empty, and returns the work. */
  prepare(directory: string): { readonly once: (index: number) => void; close?: () => void };
}

const floors: readonly Floor[] = [
  {
    name: "mkdir of a directory and one in it, not synced",
    count: DIRECTORIES,
    prepare: (directory) => ({ once: (index) => madeTwo(directory, index) }),
  },
  {
    name: "the same, and fsync of the parent directory",
    count: WRITES,
    prepare(directory) {
      const parent = openSync(directory, "r");
      return {
        once(index) {
          madeTwo(directory, index);
          fsyncSync(parent);
        },
        close: () => closeSync(parent),
      };
    },
  },
  {
    name: "append 4 KiB to a file that grows, fdatasync",
    count: WRITES,
    prepare(directory) {
      const file = openSync(join(directory, "log"), "w");
      return { once: () => written(file, null), close: () => closeSync(file) };
    },
  },
  {
    name: "write 4 KiB into a file that has its size already, fdatasync",
    count: WRITES,
    prepare(directory) {
      const file = openSync(join(directory, "log"), "w");
      for (let index = 0; index < WRITES; index++) {
        writeSync(file, BLOCK);
      }
      fsyncSync(file);
      return {
        once: (index) => written(file, index * BLOCK.length),
        close: () => closeSync(file),
      };
    },
  },
];

function madeTwo(directory: string, index: number): void {
  const outer = join(directory, `volume-${index}`);
  mkdirSync(outer);
  mkdirSync(join(outer, "_data"));
}

function written(file: number, position: number | null): void {
  writeSync(file, BLOCK, 0, BLOCK.length, position);
  fdatasyncSync(file);
}

function perSecond(floor: Floor, directory: string): number {
  mkdirSync(directory);
  const { once, close } = floor.prepare(directory);
  const began = performance.now();
  for (let index = 0; index < floor.count; index++) {
    once(index);
  }
  const seconds = (performance.now() - began) / 1000;
  close?.();
  return floor.count / seconds;
}

/** The floor: no rows, only a table. */
export const floorGroup: Group = {
  name: "floor",
  rows: [],
  async run(workbench) {
    await using ground = await workbench.ground();
    const figures = await measureRounds({
      subjects: [ground.disk],
      rounds: workbench.sizes.rounds,
      signal: workbench.signal,
      steps: floors.map((floor, index) => ({
        name: floor.name,
        async measure(disk: string, round: number) {
          await settle(disk, workbench.signal);
          return perSecond(floor, join(disk, `floor-${index}-${round + 1}`));
        },
      })),
    });
    const lines = floors.map(({ name }) => {
      const step = figures.get(name);
      const series = step?.outcome === "measured" ? step.perSubject[0] : undefined;
      if (series === undefined) {
        return [name, "failed", ""];
      }
      const { median, min, max } = summarise(series);
      return [name, `${Math.round(median)} /s`, `${Math.round(min)}–${Math.round(max)} /s`];
    });
    return {
      rows: [],
      tables: [
        {
          title: "What the file system itself allows",
          note:
            "One thread, no engine, on a fresh file system like those of the rows. An engine " +
            "that makes every change durable by itself cannot be faster than the matching line.",
          columns: ["work", "median", "min–max"],
          lines,
        },
      ],
    };
  },
};
