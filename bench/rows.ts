// What a row of the table is: its target, its figures, and whether the target is met.
import type { StepFigures } from "./measure.ts";
import { ratios, type Summary, summarise } from "./statistics.ts";
import type { Workbench } from "./workbench.ts";

/** What a row must reach. */
export interface Target {
  readonly bound: "at_least" | "at_most";
  readonly value: number;
}

/** What the figures of a row are. */
export type Unit = "/s" | "ms" | "MiB" | "µs";

/** A row, before it is measured. */
export interface RowPlan {
  readonly id: string;
  /** What is done, as the table says it. */
  readonly work: string;
  readonly unit: Unit;
  /**
   * What is judged: the candidate's figure over the reference's ("ratio"), or the candidate's own
   * ("figure"), in the row's unit.
   */
  readonly judged: "ratio" | "figure";
  /** Missing: a figure that is only reported. */
  readonly target?: Target;
  /**
   * What the candidate is compared with; a row "itself" compares two sizes of the candidate. A
   * figure of a row "nothing" stands alone: nobody else does such work. A row "bare" compares the
   * candidate with the program that it uses, run by hand.
   */
  readonly against: "reference" | "itself" | "nothing" | "bare";
  /** One or two sentences: how the figure comes about. */
  readonly how: string;
  /** Where the time goes, for a target that is known to be missed: shown when it is. */
  readonly whyMissed?: string;
}

/** A row that was measured, or the reason why it was not. */
export type Row =
  | {
      readonly outcome: "measured";
      readonly plan: RowPlan;
      /** Of what is judged. */
      readonly judged: Summary;
      readonly candidate: Summary;
      readonly reference: Summary;
    }
  | { readonly outcome: "failed"; readonly plan: RowPlan; readonly reason: string };

/** A table of figures beside the rows: what helps to judge them. */
export interface FigureTable {
  readonly title: string;
  readonly note: string;
  readonly columns: readonly string[];
  readonly lines: readonly (readonly string[])[];
}

/** What measuring a group gave. */
export interface GroupOutcome {
  readonly rows: readonly Row[];
  readonly tables: readonly FigureTable[];
}

/** Rows that share their preparation. */
export interface Group {
  readonly name: string;
  readonly rows: readonly RowPlan[];
  run(workbench: Workbench): Promise<GroupOutcome>;
}

/**
 * Makes a row from the figures of a step. The candidate is the first subject unless `places` says
 * otherwise. Figures that cannot be summarised make a failed row.
 */
export function rowFrom(
  plan: RowPlan,
  figures: StepFigures | undefined,
  places = { candidate: 0, reference: 1 },
): Row {
  if (figures === undefined || figures.outcome === "failed") {
    return { outcome: "failed", plan, reason: figures?.reason ?? "it was not measured" };
  }
  const candidate = figures.perSubject[places.candidate] ?? [];
  const isAlone = plan.against === "nothing";
  const reference = isAlone ? candidate : (figures.perSubject[places.reference] ?? []);
  try {
    return {
      outcome: "measured",
      plan,
      judged: summarise(
        plan.judged === "ratio" ? (figures.ratios ?? ratios(candidate, reference)) : candidate,
      ),
      candidate: summarise(candidate),
      reference: summarise(reference),
    };
  } catch (error) {
    return { outcome: "failed", plan, reason: String(error) };
  }
}

/** Whether a row reaches its target: by its median. */
export function verdict(row: Row): "met" | "missed" | "failed" | "figure" {
  if (row.outcome === "failed") {
    return "failed";
  }
  const { target } = row.plan;
  if (target === undefined) {
    return "figure";
  }
  const { median } = row.judged;
  const isMet = target.bound === "at_least" ? median >= target.value : median <= target.value;
  return isMet ? "met" : "missed";
}
