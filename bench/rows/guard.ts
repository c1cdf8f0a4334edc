// Rows for what the guard costs a container that writes: a watched volume, and one that is not.
import { setTimeout as pause } from "node:timers/promises";

import { called } from "../calls.ts";
import { type ContainerBench, startContainerBench } from "../container-bench.ts";
import { WRITE_LOAD, writingStep } from "../container-writing.ts";
import { measureRounds } from "../measure.ts";
import { type Group, type RowPlan, rowFrom } from "../rows.ts";
import type { Workbench } from "../workbench.ts";

const NAME = "writer";
/** A second one that may write: without it nothing is watched. */
const OTHER = "idle";
const TRIES = 5;
/** How long the guard may take until it watches. */
const WATCHED_MS_MAX = 30_000;
const LOOK_MS = 50;
/** The engine option of each volume, the watched one first. */
const guards = ["warn", "off"] as const;

type GuardWord = (typeof guards)[number];

const watched = { unit: "ms", judged: "ratio", against: "itself" } as const;

const files: RowPlan = {
  ...watched,
  id: "guard-files",
  work: "10,000 small files made in a container, watched by the guard against not",
  target: { bound: "at_most", value: 1.05 },
  how:
    "Two containers have two volumes read-write, one with `guard=warn` and one with `guard=off`. " +
    "One container is idle, the other writes by turns (`bench/write-load.c`): files of 1 KiB in " +
    "directories of 1,000, and one sync of the file system at the end, which is part of the " +
    "time. The fastest of five tries is the figure.",
};

const streaming: RowPlan = {
  ...watched,
  id: "guard-streaming",
  work: "a file written from front to back in a container, watched by the guard against not",
  target: { bound: "at_most", value: 1.01 },
  how:
    "The same containers; pieces of 1 MiB over what a file has, and one fsync at the end. " +
    "Nothing is measured before the guard says that it watches the one and not the other.",
};

function placeOf(guard: GuardWord): string {
  return `/${guard}`;
}

async function startWriters(workbench: Workbench, bench: ContainerBench): Promise<void> {
  const program = await workbench.tools.compileStatic("write-load");
  const { socket } = bench.holdfast;
  for (const guard of guards) {
    const body = { Name: guard, DriverOpts: { guard } };
    await called({ socket, method: "POST", path: "/volumes/create", body });
  }
  const volumes = Object.fromEntries(guards.map((guard) => [placeOf(guard), guard]));
  for (const name of [NAME, OTHER]) {
    await bench.start({ name, volumes, binds: [`${program}:${WRITE_LOAD}:ro`] });
  }
}

/** What the API says of it; resolves when it is so. */
async function untilWatched(workbench: Workbench, bench: ContainerBench): Promise<void> {
  const signal = AbortSignal.any([workbench.signal, AbortSignal.timeout(WATCHED_MS_MAX)]);
  const wanted = { warn: "yes", off: "no" } as const;
  const { socket } = bench.holdfast;
  for (const guard of guards) {
    const path = `/holdfast/v1/volumes/${guard}/conflicts`;
    for (;;) {
      const { text } = await called({ socket, method: "GET", path });
      if (JSON.parse(text).watching.state === wanted[guard]) break;
      await pause(LOOK_MS, undefined, { signal });
    }
  }
}

/** The guard's cost. */
export const guardGroup: Group = {
  name: "guard",
  rows: [files, streaming],
  async run(workbench) {
    const { rounds, writing: sizes } = workbench.sizes;
    await using ground = await workbench.ground();
    await using bench = await startContainerBench(workbench, ground);
    await startWriters(workbench, bench);
    await untilWatched(workbench, bench);
    const steps = [
      { row: files, mode: "files", count: sizes.files },
      { row: streaming, mode: "sequential", count: sizes.sequentialMib },
    ];
    const figureOf = (seconds: number) => seconds * 1000;
    const how = { container: NAME, tries: TRIES, disk: ground.disk, placeOf, figureOf };
    const figures = await measureRounds({
      subjects: guards,
      rounds,
      signal: workbench.signal,
      steps: steps.map((step) => writingStep(workbench, bench, step, how)),
    });
    for (const name of [NAME, OTHER]) await bench.remove(name);
    return { rows: this.rows.map((plan) => rowFrom(plan, figures.get(plan.id))), tables: [] };
  },
};
