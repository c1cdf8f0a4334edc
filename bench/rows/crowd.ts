// Rows for an engine with 10,000 volumes: a plan of a prune, and lists beside a full trash.
import { called } from "../calls.ts";
import { type Engine, holdfastKind } from "../engines.ts";
import { measureRounds } from "../measure.ts";
import { quiet } from "../quiet.ts";
import { type Group, type RowPlan, rowFrom } from "../rows.ts";
import { fillWithVolumes, type Ground, rateOf, type Workbench } from "../workbench.ts";

const plan: RowPlan = {
  id: "prune-plan",
  work: "a plan of a prune, 10,000 volumes",
  unit: "ms",
  judged: "figure",
  target: { bound: "at_most", value: 500 },
  against: "nothing",
  how:
    "`POST /holdfast/v1/prune-plans` of all volumes that nothing uses, which all 10,000 are; " +
    "from the request to the end of the reply, which names each. 10,000 others lie in the trash.",
};

const list: RowPlan = {
  id: "crowd-list",
  work: "list of 10,000, with 10,000 in the trash against none",
  unit: "/s",
  judged: "ratio",
  target: { bound: "at_least", value: 0.95 },
  against: "itself",
  how:
    "Two daemons with 10,000 volumes each answer `GET /volumes` by turns. In both 10,000 more " +
    "were made and removed; one of them has `trash=off`. It is waited for until both are " +
    "quiet: sizes of what is in the trash are measured in the background.",
};

const KNOWN = "known";

/** Volumes that are there, and as many that were. */
async function crowded(workbench: Workbench, engine: Engine): Promise<void> {
  const { crowd: count } = workbench.sizes;
  await fillWithVolumes(workbench, engine, { prefix: KNOWN, count });
  await fillWithVolumes(workbench, engine, { prefix: "gone", count });
  const all = { connections: 8, amount: { count }, prefix: "gone" };
  await workbench.tools.burst({ ...all, mode: "remove", socket: engine.socket });
  await quiet(engine.pid, workbench.signal);
}

async function planMs({ socket }: Engine, count: number): Promise<number> {
  const path = "/holdfast/v1/prune-plans";
  const { ms, text } = await called({ socket, method: "POST", path, body: { all: true } });
  const named = text.split(`"${KNOWN}-`).length - 1;
  if (named !== count) throw new Error(`the plan names ${named} volumes and not ${count}`);
  return ms;
}

async function startBoth(workbench: Workbench, ground: Ground): Promise<readonly Engine[]> {
  const { executable } = workbench;
  if (executable === undefined) throw new Error("these rows need Holdfast as the candidate");
  const engines = [
    await ground.start(holdfastKind(executable), "with"),
    await ground.start(holdfastKind(executable, ["--trash", "off"]), "without"),
  ];
  for (const engine of engines) await crowded(workbench, engine);
  return engines;
}

/** Many volumes. */
export const crowdGroup: Group = {
  name: "crowd",
  rows: [plan, list],
  async run(workbench) {
    const { crowd: count, burstSeconds, rounds } = workbench.sizes;
    await using ground = await workbench.ground();
    const engines = await startBoth(workbench, ground);
    const all = { connections: 1, amount: { seconds: burstSeconds }, prefix: KNOWN } as const;
    const what = { ...all, mode: "list", path: "/v1.41/volumes", expect: count } as const;
    const steps = [
      {
        name: list.id,
        measure: (engine: Engine, round: number) =>
          rateOf(workbench, engine, what, { work: list.work, round }),
      },
      { name: plan.id, measure: (engine: Engine) => planMs(engine, count) },
    ];
    const measuring = { subjects: engines, rounds, signal: workbench.signal, steps };
    const figures = await measureRounds(measuring);
    return { rows: this.rows.map((row) => rowFrom(row, figures.get(row.id))), tables: [] };
  },
};
