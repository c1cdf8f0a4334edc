// How long single requests took, and how much the client itself used: the table behind the rates.
import type { Load } from "./load.ts";
import type { FigureTable } from "./rows.ts";
import { summarise } from "./statistics.ts";

/** One burst of a round that counts. */
export interface LoadNote {
  readonly work: string;
  readonly engine: string;
  readonly load: Load;
}

/** A line for each work and engine: the medians of what the bursts of all rounds saw. */
export function latencyTable(notes: readonly LoadNote[]): FigureTable {
  const lines = Map.groupBy(notes, ({ work, engine }) => JSON.stringify([work, engine]));
  return {
    title: "Latency, and what the client used",
    note:
      "Milliseconds from sending a request to having read its whole reply: medians of the " +
      "rounds' percentiles, and the longest of all. The last column is the load generator's own " +
      "processor time, as a share of the time; what it takes is missing to the engine.",
    columns: ["work", "engine", "p50", "p90", "p99", "longest", "client's share"],
    lines: [...lines.values()].map((own) => {
      const figures = (pick: (load: Load) => number): readonly number[] =>
        own.map(({ load }) => pick(load));
      const median = (pick: (load: Load) => number): number => summarise(figures(pick)).median;
      return [
        own[0]?.work ?? "",
        own[0]?.engine ?? "",
        median(({ latencyMs }) => latencyMs.p50).toFixed(2),
        median(({ latencyMs }) => latencyMs.p90).toFixed(2),
        median(({ latencyMs }) => latencyMs.p99).toFixed(2),
        summarise(figures(({ latencyMs }) => latencyMs.max)).max.toFixed(1),
        `${Math.round(median((load) => load.processorSeconds / load.seconds) * 100)} %`,
      ];
    }),
  };
}
