// Rows for what only reads: inspecting one volume, and listing 5,000 of them.
import type { Engine } from "../engines.ts";
import { measureRounds, type Step } from "../measure.ts";
import { type Group, type RowPlan, rowFrom } from "../rows.ts";
import { fillWithVolumes, rateOf, startPair, type Workbench } from "../workbench.ts";

const INSPECTED = 1000;
/** One volume in this many carries the label that the filtered list asks for. */
const LABEL_GROUPS = 10;

const both = { unit: "/s", judged: "ratio", against: "reference" } as const;

const inspect1: RowPlan = {
  ...both,
  id: "inspect-1",
  work: "inspect, 1 connection",
  target: { bound: "at_least", value: 1.5 },
  how:
    `One of ${INSPECTED} volumes, chosen at random, is asked for by \`GET /volumes/<name>\`. ` +
    "Aim: 3.",
};

const inspect8: RowPlan = {
  ...both,
  id: "inspect-8",
  work: "inspect, 8 connections",
  target: { bound: "at_least", value: 1.5 },
  how: "The same from eight connections. Aim: 3.",
};

const listAll: RowPlan = {
  ...both,
  id: "list-all",
  work: "list of 5,000, unfiltered",
  target: { bound: "at_least", value: 10 },
  how:
    "`GET /volumes` from one connection, the whole body read. The first list of each burst is " +
    "checked to hold every volume.",
};

const listByLabel: RowPlan = {
  ...both,
  id: "list-label",
  work: "list of 5,000, by label",
  target: { bound: "at_least", value: 10 },
  how: `The same with the filter \`label=group=3\`, which one volume in ${LABEL_GROUPS} carries.`,
};

function inspectStep(workbench: Workbench, row: RowPlan, connections: number): Step<Engine> {
  return {
    name: row.id,
    measure(engine, round) {
      const burst = {
        mode: "inspect",
        connections,
        amount: { seconds: workbench.sizes.burstSeconds },
        prefix: "known",
        names: INSPECTED,
      } as const;
      return rateOf(workbench, engine, burst, { work: row.work, round });
    },
  };
}

/** Inspecting, with one connection and eight. */
export const inspectGroup: Group = {
  name: "inspect",
  rows: [inspect1, inspect8],
  async run(workbench) {
    await using ground = await workbench.ground();
    const subjects = await startPair(workbench, ground);
    for (const engine of subjects) {
      await fillWithVolumes(workbench, engine, { prefix: "known", count: INSPECTED });
    }
    const figures = await measureRounds({
      subjects,
      rounds: workbench.sizes.rounds,
      signal: workbench.signal,
      steps: [inspectStep(workbench, inspect1, 1), inspectStep(workbench, inspect8, 8)],
    });
    return { rows: this.rows.map((plan) => rowFrom(plan, figures.get(plan.id))), tables: [] };
  },
};

function listStep(
  workbench: Workbench,
  row: RowPlan,
  list: { readonly path: string; readonly expect: number },
): Step<Engine> {
  return {
    name: row.id,
    measure(engine, round) {
      const burst = {
        mode: "list",
        connections: 1,
        amount: { seconds: workbench.sizes.burstSeconds },
        prefix: "known",
        ...list,
      } as const;
      return rateOf(workbench, engine, burst, { work: row.work, round });
    },
  };
}

/** Listing, unfiltered and by label. */
export const listGroup: Group = {
  name: "list",
  rows: [listAll, listByLabel],
  async run(workbench) {
    const { listed, rounds } = workbench.sizes;
    await using ground = await workbench.ground();
    const subjects = await startPair(workbench, ground);
    for (const engine of subjects) {
      const volumes = { prefix: "known", count: listed, groups: LABEL_GROUPS };
      await fillWithVolumes(workbench, engine, volumes);
    }
    const filters = encodeURIComponent(JSON.stringify({ label: { "group=3": true } }));
    const byLabel = { path: `/v1.41/volumes?filters=${filters}`, expect: listed / LABEL_GROUPS };
    const figures = await measureRounds({
      subjects,
      rounds,
      signal: workbench.signal,
      steps: [
        listStep(workbench, listAll, { path: "/v1.41/volumes", expect: listed }),
        listStep(workbench, listByLabel, byLabel),
      ],
    });
    return { rows: this.rows.map((plan) => rowFrom(plan, figures.get(plan.id))), tables: [] };
  },
};
