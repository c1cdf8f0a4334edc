// Takes figures in rounds, alternating the order of the subjects, so that noise hits all alike.

/** One thing to measure of a subject; steps run in the order in which they are given. */
export interface Step<Subject> {
  readonly name: string;
  measure(subject: Subject, round: number): Promise<number>;
}

/** The figures of one step: per subject, round by round. Or why there are none. */
export type StepFigures =
  | {
      readonly outcome: "measured";
      readonly perSubject: readonly (readonly number[])[];
      /** Of the first subject over the second, where a round's is not that of its two figures. */
      readonly ratios?: readonly number[];
    }
  | { readonly outcome: "failed"; readonly reason: string };

/** What to measure, of whom, how often. */
export interface MeasurePlan<Subject> {
  readonly subjects: readonly Subject[];
  /** Rounds that count; one round before them warms everything up and does not. */
  readonly rounds: number;
  readonly steps: readonly Step<Subject>[];
  readonly signal: AbortSignal;
}

/**
 * Each round does every step for every subject, subjects forwards in even rounds and backwards in
 * odd ones. A step that fails is not tried again and hides no other step. Throws only when the
 * signal fires.
 */
export async function measureRounds<Subject>(
  plan: MeasurePlan<Subject>,
): Promise<ReadonlyMap<string, StepFigures>> {
  const figures = new Map(
    plan.steps.map((step) => [step.name, plan.subjects.map(() => noFigures())]),
  );
  const failures = new Map<string, string>();
  for (let round = -1; round < plan.rounds; round++) {
    for (const step of plan.steps) {
      for (const index of subjectOrder(plan.subjects.length, round)) {
        const subject = plan.subjects[index];
        if (subject === undefined || failures.has(step.name)) {
          continue;
        }
        try {
          const figure = await step.measure(subject, round);
          if (round >= 0) {
            figures.get(step.name)?.[index]?.push(figure);
          }
        } catch (error) {
          plan.signal.throwIfAborted();
          failures.set(step.name, error instanceof Error ? error.message : String(error));
        }
      }
    }
  }
  return new Map(
    plan.steps.map(({ name }): [string, StepFigures] => {
      const reason = failures.get(name);
      return reason === undefined
        ? [name, { outcome: "measured", perSubject: figures.get(name) ?? [] }]
        : [name, { outcome: "failed", reason }];
    }),
  );
}

function noFigures(): number[] {
  return [];
}

/** The order of the subjects in a round: forwards when it is even, backwards when it is odd. */
export function subjectOrder(count: number, round: number): readonly number[] {
  const forwards = Array.from({ length: count }, (_, index) => index);
  return round % 2 === 0 ? forwards : forwards.toReversed();
}
