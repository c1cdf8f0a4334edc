// Rows for what changes state: creating and removing volumes, one connection and eight.
import type { Engine } from "../engines.ts";
import { settle } from "../file-system.ts";
import { measureRounds, type Step } from "../measure.ts";
import { quiet } from "../quiet.ts";
import { type Group, type RowPlan, rowFrom } from "../rows.ts";
import { rateOf, startPair, type Workbench } from "../workbench.ts";

const both = { unit: "/s", judged: "ratio", against: "reference" } as const;

const create1: RowPlan = {
  ...both,
  id: "create-1",
  work: "create, durable, 1 connection",
  target: { bound: "at_least", value: 1.5 },
  how:
    "Volumes with names of their own are created with `POST /volumes/create`, one request after " +
    "the other; what was written before is synced to the disk first. Aim: 2.",
};

const create8: RowPlan = {
  ...both,
  id: "create-8",
  work: "create, durable, 8 connections",
  target: { bound: "at_least", value: 2.5 },
  how: "The same from eight connections, each with one request in flight. Aim: 4.",
};

const remove1: RowPlan = {
  ...both,
  id: "remove-1",
  work: "remove, 1 connection",
  how:
    "The volumes that `create, 1 connection` made in this round are removed again. dockerd " +
    "deletes their directories; Holdfast moves them into its trash, where they stay. What it " +
    "does with them in the background (measuring, describing) is waited for before anything " +
    "else is measured.",
};

const remove8: RowPlan = {
  ...both,
  id: "remove-8",
  work: "remove, 8 connections",
  target: { bound: "at_least", value: 2 },
  how: "The same for the volumes that `create, 8 connections` made.",
};

function changeStep(
  workbench: Workbench,
  disk: string,
  plan: { readonly row: RowPlan; readonly mode: "create" | "remove"; readonly connections: 1 | 8 },
): Step<Engine> {
  const { changes } = workbench.sizes;
  return {
    name: plan.row.id,
    async measure(engine, round) {
      // What follows a removal is done, and written out, in both engines.
      await quiet(engine.pid, workbench.signal);
      await settle(disk, workbench.signal);
      const burst = {
        mode: plan.mode,
        connections: plan.connections,
        amount: { count: plan.connections === 1 ? changes.one : changes.eight },
        prefix: `change-${plan.connections}-${round + 1}`,
      };
      return rateOf(workbench, engine, burst, { work: plan.row.work, round });
    },
  };
}

/** Creating and removing, in one group: each round removes what it created. */
export const changeGroup: Group = {
  name: "change",
  rows: [create1, create8, remove1, remove8],
  async run(workbench) {
    await using ground = await workbench.ground();
    const figures = await measureRounds({
      subjects: await startPair(workbench, ground),
      rounds: workbench.sizes.rounds,
      signal: workbench.signal,
      steps: [
        changeStep(workbench, ground.disk, { row: create1, mode: "create", connections: 1 }),
        changeStep(workbench, ground.disk, { row: remove1, mode: "remove", connections: 1 }),
        changeStep(workbench, ground.disk, { row: create8, mode: "create", connections: 8 }),
        changeStep(workbench, ground.disk, { row: remove8, mode: "remove", connections: 8 }),
      ],
    });
    return { rows: this.rows.map((plan) => rowFrom(plan, figures.get(plan.id))), tables: [] };
  },
};
