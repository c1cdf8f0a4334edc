// Rows for the cost per volume while their number grows from 1,000 to 100,000: Holdfast alone.
import type { Engine } from "../engines.ts";
import { settle } from "../file-system.ts";
import { measureRounds, type Step, type StepFigures } from "../measure.ts";
import { memoryOf } from "../memory.ts";
import { type FigureTable, type Group, type RowPlan, rowFrom } from "../rows.ts";
import { summarise } from "../statistics.ts";
import { fillWithVolumes, type Ground, type Workbench } from "../workbench.ts";

/** A rate at the largest size that is at least this share of the rate at the smallest is flat. */
const FLAT_SHARE = 0.8;
/** A cost per volume at the largest size that is at most this much of the smallest's is linear. */
const LINEAR_SHARE = 1.25;
const CHANGED = 500;
/** Volumes that the lists of one burst hold together. */
const LISTED_TOGETHER = 200_000;
const LISTS_MIN = 8;

const grown = { judged: "ratio", against: "itself" } as const;

const create: RowPlan = {
  ...grown,
  id: "growth-create",
  work: "create, 8 connections, 100,000 volumes against 1,000",
  unit: "/s",
  target: { bound: "at_least", value: FLAT_SHARE },
  how:
    "Three daemons with 1,000, 10,000 and 100,000 volumes run side by side and are measured in " +
    `turn; ${CHANGED} volumes more are created in each. «Flat» means a rate of at least ` +
    `${FLAT_SHARE} of that with 1,000.`,
};

const inspect: RowPlan = {
  ...grown,
  id: "growth-inspect",
  work: "inspect, 8 connections, 100,000 volumes against 1,000",
  unit: "/s",
  target: { bound: "at_least", value: FLAT_SHARE },
  how: "The same daemons; a volume chosen at random among all of them is inspected.",
  whyMissed:
    "Each inspect of another one of 100,000 volumes probably finds its text outside of the " +
    "processor's cache (inferred, not counted). The whole run before gave 0.84; at 0.8 the " +
    "noise decides.",
};

const remove: RowPlan = {
  ...grown,
  id: "growth-remove",
  work: "remove, 8 connections, 100,000 volumes against 1,000",
  unit: "/s",
  target: { bound: "at_least", value: FLAT_SHARE },
  how: "The same daemons; the volumes that were created in this round are removed.",
};

const list: RowPlan = {
  ...grown,
  id: "growth-list",
  work: "list, time per volume, 100,000 volumes against 1,000",
  unit: "µs",
  target: { bound: "at_most", value: LINEAR_SHARE },
  how:
    "The time of an unfiltered list divided by the number of its volumes. «Linear» means at most " +
    `${LINEAR_SHARE} times the time per volume with 1,000.`,
  whyMissed:
    "The work is the same for each volume (profile: 0.12 µs to gather and join its text, the " +
    "rest to send it), but the texts of volumes that were created in this life of the daemon lie " +
    "scattered over the heap, and 100,000 of them exceed the processor's cache while 1,000 do " +
    "not. That it is this was inferred, not counted: after a restart, which lays them side by " +
    "side, the same 100,000 took 0.47 µs each, as 1,000 do. A cached whole list would hide it, " +
    "and cost its size in memory.",
};

interface Sized {
  readonly engine: Engine;
  readonly count: number;
}

function changing(
  workbench: Workbench,
  disk: string,
  plan: { readonly row: RowPlan; readonly mode: "create" | "remove" },
): Step<Sized> {
  return {
    name: plan.row.id,
    async measure({ engine }, round) {
      await settle(disk, workbench.signal);
      const load = await workbench.tools.burst({
        mode: plan.mode,
        socket: engine.socket,
        connections: 8,
        amount: { count: CHANGED },
        prefix: `change-${round + 1}`,
      });
      return load.operations / load.seconds;
    },
  };
}

function inspecting(workbench: Workbench): Step<Sized> {
  return {
    name: inspect.id,
    async measure({ engine, count }) {
      const load = await workbench.tools.burst({
        mode: "inspect",
        socket: engine.socket,
        connections: 8,
        amount: { seconds: workbench.sizes.burstSeconds },
        prefix: "known",
        names: count,
      });
      return load.operations / load.seconds;
    },
  };
}

function listing(workbench: Workbench): Step<Sized> {
  return {
    name: list.id,
    async measure({ engine, count }) {
      const load = await workbench.tools.burst({
        mode: "list",
        socket: engine.socket,
        connections: 1,
        amount: { count: Math.max(LISTS_MIN, Math.round(LISTED_TOGETHER / count)) },
        prefix: "known",
        expect: count,
      });
      return ((load.seconds / load.operations) * 1e6) / count;
    },
  };
}

async function started(workbench: Workbench, ground: Ground): Promise<readonly Sized[]> {
  const sized: Sized[] = [];
  for (const count of workbench.sizes.growth) {
    workbench.say(`  filling an engine with ${count} volumes`);
    const engine = await ground.start(workbench.candidate, `n${count}`);
    await fillWithVolumes(workbench, engine, { prefix: "known", count });
    sized.push({ engine, count });
  }
  return sized;
}

async function growthTable(
  subjects: readonly Sized[],
  figures: ReadonlyMap<string, StepFigures>,
): Promise<FigureTable> {
  const cell = (plan: RowPlan, index: number): string => {
    const step = figures.get(plan.id);
    const series = step?.outcome === "measured" ? step.perSubject[index] : undefined;
    if (series === undefined) {
      return "failed";
    }
    const { median } = summarise(series);
    return plan.unit === "µs" ? `${median.toFixed(2)} µs` : `${Math.round(median)} /s`;
  };
  return {
    title: "Cost per volume as their number grows",
    note: "Medians. The last column is the resident set of that daemon at the end.",
    columns: ["volumes", "create", "inspect", "remove", "list, per volume", "memory"],
    lines: await Promise.all(
      subjects.map(async ({ engine, count }, index) => [
        count.toLocaleString("en-US"),
        cell(create, index),
        cell(inspect, index),
        cell(remove, index),
        cell(list, index),
        `${(await memoryOf([engine.pid])).rssMib.toFixed(0)} MiB`,
      ]),
    ),
  };
}

/** The cost per volume. */
export const growthGroup: Group = {
  name: "growth",
  rows: [create, inspect, remove, list],
  async run(workbench) {
    await using ground = await workbench.ground();
    const subjects = await started(workbench, ground);
    const figures = await measureRounds({
      subjects,
      rounds: workbench.sizes.rounds,
      signal: workbench.signal,
      steps: [
        changing(workbench, ground.disk, { row: create, mode: "create" }),
        inspecting(workbench),
        changing(workbench, ground.disk, { row: remove, mode: "remove" }),
        listing(workbench),
      ],
    });
    const places = { candidate: subjects.length - 1, reference: 0 };
    return {
      rows: this.rows.map((plan) => rowFrom(plan, figures.get(plan.id), places)),
      tables: [await growthTable(subjects, figures)],
    };
  },
};
