// Steps on mounted storage, taken by the helper `storage-step` (src/host/storage-step.ts).
import type { Host } from "../core/host.ts";
import type { Operation } from "../core/operation.ts";
import type { StorageStep } from "../core/storage-step.ts";

/** A `StepOutcome`, whole. */
interface Outcome {
  /** The directories that were made, those above first. */
  readonly made: readonly string[];
  /** Whether the mark was the one that was given. */
  readonly isOurs: boolean;
}

/** Takes one step on the storage that is mounted at `directory`. Throws what the helper threw. */
export async function takeStep(
  host: Pick<Host, "assist">,
  directory: string,
  step: StorageStep,
  operation: Operation,
): Promise<Outcome> {
  const request = { command: "storage-step", directory, input: step } as const;
  return readOutcome(await host.assist(request, operation));
}

function readOutcome(answer: unknown): Outcome {
  const given = typeof answer === "object" && answer !== null ? answer : {};
  const made = "made" in given && Array.isArray(given.made) ? given.made.map(String) : [];
  return { made, isOurs: "isOurs" in given && given.isOurs === true };
}
