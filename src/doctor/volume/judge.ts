// What measured storage is fit for, by the rules in fitness.ts.
import type {
  Ability,
  Answer,
  Fitness,
  Measurement,
  Reason,
  StorageJudge,
  Verdict,
} from "../../core/volume-report.ts";
import { type Rule, type Use, uses } from "./fitness.ts";
import { knownOf } from "./known-storage.ts";

export const storageJudge: StorageJudge = {
  fitness: (measurements) => {
    const found = new Map(measurements.map((each) => [each.ability, each]));
    return uses.map((use) => fitnessOf(use, found));
  },
  known: knownOf,
};

function fitnessOf(use: Use, found: ReadonlyMap<Ability, Measurement>): Fitness {
  const answers = use.rules.map((rule) => ({
    rule,
    answer: answerTo(rule, found.get(rule.ability)),
  }));
  // Storage of which nothing was found out, as its server is silent, is not fit for anything yet.
  const isKnown = answers.some(({ answer }) => answer !== "unknown");
  const broken = answers.filter(
    ({ rule, answer }) =>
      answer === "no" || (answer === "unknown" && (rule.kind === "need" || !isKnown)),
  );
  const weight = ({ rule, answer }: (typeof broken)[number]) =>
    answer === "unknown" ? 1 : rule.kind === "need" ? 0 : 2;
  broken.sort((one, other) => weight(one) - weight(other));
  const worst = broken[0];
  const verdict: Verdict =
    worst === undefined
      ? "fit"
      : ((["unfit", "unknown", "care"] as const)[weight(worst)] ?? "care");
  const reasons = broken.map(({ rule, answer }): Reason => {
    const { ability, because, change } = rule;
    return { ability, answer, because, change };
  });
  return { use: use.use, title: use.title, verdict, reasons };
}

function answerTo({ most }: Rule, measured: Measurement | undefined): Answer {
  if (measured === undefined) return "unknown";
  const { answer, figure } = measured;
  if (most === undefined || answer !== "yes" || figure === null) return answer;
  return figure <= most ? "yes" : "no";
}
