// Rows for an engine at rest with 10,000 volumes: its memory, and how fast it starts again.

import { setTimeout as pause } from "node:timers/promises";
import type { Engine, EngineKind } from "../engines.ts";
import { measureRounds } from "../measure.ts";
import { type Memory, memoryOf } from "../memory.ts";
import { type FigureTable, type Group, type RowPlan, rowFrom } from "../rows.ts";
import { summarise } from "../statistics.ts";
import { fillWithVolumes, type Ground, startPair, type Workbench } from "../workbench.ts";

const afterWork: RowPlan = {
  id: "memory-worked",
  work: "idle memory, 10,000 volumes, after creating and listing them",
  unit: "MiB",
  judged: "ratio",
  target: { bound: "at_most", value: 1 },
  against: "reference",
  how:
    "The daemon's resident set five seconds after it created 10,000 volumes and listed them " +
    "once. One figure per engine: there is one such moment. dockerd counts without its containerd.",
};

const afterStart: RowPlan = {
  id: "memory-started",
  work: "idle memory, 10,000 volumes, after a fresh start",
  unit: "MiB",
  judged: "ratio",
  target: { bound: "at_most", value: 1 },
  against: "reference",
  how: "The same five seconds after a start on those 10,000 volumes, one start per round.",
};

const start: RowPlan = {
  id: "start",
  work: "start with 10,000 volumes",
  unit: "ms",
  judged: "figure",
  target: { bound: "at_most", value: 1000 },
  against: "reference",
  how:
    "From starting the program to the first answer to `/_ping`, and for Holdfast also to its " +
    "line `ready`, with the page cache warm. The target is Holdfast's own time, not a ratio.",
};

/** A round takes two starts and two long rests, and its figures vary little. */
const ROUNDS_MAX = 5;

/** Every sample of an engine's memory, for the table beside the rows. */
interface Sample {
  readonly engine: string;
  readonly moment: string;
  readonly memory: Memory;
  readonly withChildren: Memory;
}

async function sampled(
  workbench: Workbench,
  engine: Engine,
  moment: string,
  samples: Sample[],
): Promise<number> {
  await pause(workbench.sizes.idleMs, undefined, { signal: workbench.signal });
  const memory = await memoryOf([engine.pid]);
  const withChildren = await memoryOf([engine.pid, ...(await engine.children())]);
  samples.push({ engine: engine.kind.name, moment, memory, withChildren });
  return memory.rssMib;
}

async function worked(
  workbench: Workbench,
  ground: Ground,
  samples: Sample[],
): Promise<readonly number[]> {
  const engines = await startPair(workbench, ground);
  const figures: number[] = [];
  const { remembered } = workbench.sizes;
  for (const engine of engines) {
    await fillWithVolumes(workbench, engine, { prefix: "known", count: remembered });
    await workbench.tools.burst({
      mode: "list",
      socket: engine.socket,
      connections: 1,
      amount: { count: 1 },
      prefix: "known",
      expect: remembered,
    });
    figures.push(await sampled(workbench, engine, "after work", samples));
  }
  for (const engine of engines) {
    await engine.stop();
  }
  return figures;
}

function memoryTable(samples: readonly Sample[]): FigureTable {
  const seen = [...new Set(samples.map(({ engine, moment }) => `${engine}, ${moment}`))];
  return {
    title: "Idle memory in detail",
    note:
      "Medians in MiB. RSS counts shared pages in full, PSS shares them out. «With children» " +
      "adds the processes that the daemon keeps: for dockerd that is its containerd.",
    columns: ["engine", "RSS", "PSS", "RSS with children", "PSS with children"],
    lines: seen.map((label) => {
      const own = samples.filter(({ engine, moment }) => `${engine}, ${moment}` === label);
      const median = (pick: (sample: Sample) => number): string =>
        summarise(own.map(pick)).median.toFixed(1);
      return [
        label,
        median(({ memory }) => memory.rssMib),
        median(({ memory }) => memory.pssMib),
        median(({ withChildren }) => withChildren.rssMib),
        median(({ withChildren }) => withChildren.pssMib),
      ];
    }),
  };
}

/** Memory and start, on the same 10,000 volumes. */
export const restGroup: Group = {
  name: "memory",
  rows: [afterWork, afterStart, start],
  async run(workbench) {
    await using ground = await workbench.ground();
    const samples: Sample[] = [];
    const [candidate = Number.NaN, reference = Number.NaN] = await worked(
      workbench,
      ground,
      samples,
    );
    const starts = new Map<string, number>();
    const restarted = async (kind: EngineKind, name: string): Promise<number> => {
      await using engine = await ground.start(kind, name);
      starts.set(name, engine.startedMs);
      // Without `await` the engine would be stopped before its memory is read.
      return await sampled(workbench, engine, "after a start", samples);
    };
    const subjects = [
      { kind: workbench.candidate, name: "a" },
      { kind: workbench.reference, name: "b" },
    ];
    const figures = await measureRounds({
      subjects,
      rounds: Math.min(workbench.sizes.rounds, ROUNDS_MAX),
      signal: workbench.signal,
      steps: [
        { name: afterStart.id, measure: ({ kind, name }) => restarted(kind, name) },
        // The start of this round's engine, which the step before has just timed.
        { name: start.id, measure: async ({ name }) => starts.get(name) ?? Number.NaN },
      ],
    });
    const work = { outcome: "measured", perSubject: [[candidate], [reference]] } as const;
    return {
      rows: [
        rowFrom(afterWork, work),
        rowFrom(afterStart, figures.get(afterStart.id)),
        rowFrom(start, figures.get(start.id)),
      ],
      tables: [memoryTable(samples)],
    };
  },
};
