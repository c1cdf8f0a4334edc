// Promises as data: one check for each promise of a contract, and the function that runs them.
//
// A check proves one sentence of a contract against a bench: the thing under test with what is
// needed to look at it from outside. Checks are chosen by what the thing declares, never by its
// name; each gets a fresh bench; none relies on another, on the order, or on being cleaned up by
// the thing under test. The runners are the tests, `holdfast verify` and the README's table.
import { EngineError } from "../core/errors.ts";

export interface Check<Bench> {
  /** The promise under test, as a sentence taken from the contract. One check for each. */
  readonly promise: string;
  /** Missing means that it applies to everything. */
  readonly applies?: (bench: Bench) => boolean;
  /** Resolves when the promise is kept, rejects when it is broken. */
  run(bench: Bench): Promise<void>;
}

export type CheckOutcome =
  | { readonly promise: string; readonly outcome: "kept" }
  | { readonly promise: string; readonly outcome: "not_applicable" }
  | { readonly promise: string; readonly outcome: "broken"; readonly error: unknown };

/** How long a check may usually take, its bench included, before it is broken: milliseconds. */
export const CHECK_TIMEOUT_MS = 60_000;

export interface RunOptions {
  /** Per check, in milliseconds; by default `CHECK_TIMEOUT_MS`. More is for emulated machines. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Runs every check, one after another, each on a bench of its own, and never rejects: a bench that
 * cannot be opened or closed, and a check that hangs, count as a broken promise with their error.
 */
export async function runChecks<Bench extends AsyncDisposable>(
  checks: readonly Check<Bench>[],
  openBench: () => Bench | Promise<Bench>,
  options: RunOptions = {},
): Promise<readonly CheckOutcome[]> {
  const outcomes: CheckOutcome[] = [];
  for (const check of checks) outcomes.push(await runCheck(check, openBench, options));
  return outcomes;
}

/** Runs one check on a bench of its own; never rejects (see `runChecks`). */
export async function runCheck<Bench extends AsyncDisposable>(
  check: Check<Bench>,
  openBench: () => Bench | Promise<Bench>,
  options: RunOptions = {},
): Promise<CheckOutcome> {
  const { promise } = check;
  const { timeoutMs = CHECK_TIMEOUT_MS } = options;
  try {
    const outcome = await withinTime(attempt(check, openBench), timeoutMs);
    return { promise, outcome };
  } catch (error) {
    return { promise, outcome: "broken", error };
  }
}

/** Those that broke, for a test to show. */
export function brokenOnes(outcomes: readonly CheckOutcome[]): readonly BrokenOutcome[] {
  return outcomes.filter((outcome) => outcome.outcome === "broken");
}

/** A promise that was not kept, and how that was noticed. */
export type BrokenOutcome = Extract<CheckOutcome, { readonly outcome: "broken" }>;

async function attempt<Bench extends AsyncDisposable>(
  check: Check<Bench>,
  openBench: () => Bench | Promise<Bench>,
): Promise<"kept" | "not_applicable"> {
  await using bench = await openBench();
  if (check.applies !== undefined && !check.applies(bench)) return "not_applicable";
  await check.run(bench);
  return "kept";
}

async function withinTime<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new EngineError("operation.timed_out", `the check did not end in ${timeoutMs} ms`));
  }, timeoutMs);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
