// The row for the command line: `volume ls` as a whole process, each against its own daemon.
import type { Engine } from "../engines.ts";
import { measureRounds } from "../measure.ts";
import { type FigureTable, type Group, type RowPlan, rowFrom } from "../rows.ts";
import { quantile, summarise } from "../statistics.ts";
import { fillWithVolumes, startPair, type Workbench } from "../workbench.ts";

const VOLUMES = 20;

const volumeLs: RowPlan = {
  id: "volume-ls",
  work: "`volume ls` as a whole process, warm",
  unit: "ms",
  judged: "ratio",
  target: { bound: "at_most", value: 0.75 },
  against: "reference",
  how:
    `\`holdfast volume ls\` and \`docker volume ls\` take turns, each asking its own daemon with ` +
    `${VOLUMES} volumes, output into a pipe; from starting the process to having reaped it. A ` +
    "round's figure is the median of its runs.",
};

/** Where the processes' own costs are gathered, by engine. */
type Costs = Map<Engine, { processorMs: number[]; rssMib: number[] }>;

async function measuredOnce(workbench: Workbench, engine: Engine, costs: Costs): Promise<number> {
  const times = await workbench.tools.timeProcess({
    command: engine.kind.listCommand,
    environment: engine.kind.listEnvironment(engine),
    linesMin: VOLUMES + 1,
  });
  const cost = costs.get(engine);
  cost?.processorMs.push(times.processorMs);
  cost?.rssMib.push(times.rssKib / 1024);
  return times.wallMs;
}

function costTable(costs: Costs): FigureTable {
  return {
    title: "What one `volume ls` costs",
    note: "Medians over all runs: processor time, user and kernel, and the largest resident set.",
    columns: ["client of", "processor time", "memory"],
    lines: [...costs].map(([engine, cost]) => [
      engine.kind.name,
      `${summarise(cost.processorMs).median.toFixed(1)} ms`,
      `${summarise(cost.rssMib).median.toFixed(1)} MiB`,
    ]),
  };
}

/** The command line's row. */
export const commandGroup: Group = {
  name: "ls",
  rows: [volumeLs],
  async run(workbench) {
    const { rounds, processes } = workbench.sizes;
    await using ground = await workbench.ground();
    const subjects = await startPair(workbench, ground);
    for (const engine of subjects) {
      await fillWithVolumes(workbench, engine, { prefix: "known", count: VOLUMES });
    }
    const costs: Costs = new Map(
      subjects.map((engine) => [engine, { processorMs: [], rssMib: [] }]),
    );
    // Single processes take turns; the runs of one round are then summed up in its median.
    const perRun = await measureRounds({
      subjects,
      rounds: rounds * processes,
      signal: workbench.signal,
      steps: [{ name: volumeLs.id, measure: (engine) => measuredOnce(workbench, engine, costs) }],
    });
    const figures = perRun.get(volumeLs.id);
    if (figures?.outcome !== "measured") {
      return { rows: [rowFrom(volumeLs, figures)], tables: [] };
    }
    const perSubject = figures.perSubject.map((runs) => medians(runs, processes));
    return {
      rows: [rowFrom(volumeLs, { outcome: "measured", perSubject })],
      tables: [costTable(costs)],
    };
  },
};

/** The median of each `size` figures in a row. */
export function medians(figures: readonly number[], size: number): readonly number[] {
  return Array.from({ length: Math.floor(figures.length / size) }, (_, index) => {
    const part = figures.slice(index * size, (index + 1) * size);
    return quantile(
      part.toSorted((left, right) => left - right),
      0.5,
    );
  });
}
