// What the helper `storage-step` (src/host/storage-step.ts) is asked for, and what it answers.
import type { Host } from "../core/host.ts";
import type { Operation } from "../core/operation.ts";

/** See `StorageStep` there. */
export type Step =
  | { readonly do: "make"; readonly path: string; readonly mark: string | null }
  | { readonly do: "unmake"; readonly made: readonly string[]; readonly mark: string }
  | {
      readonly do: "probe";
      readonly path: string;
      readonly name: string;
      readonly stays?: true;
    }
  | { readonly do: "unprobe"; readonly path: string; readonly name: string }
  | { readonly do: "check-mark"; readonly path: string; readonly mark: string }
  | { readonly do: "take-mark"; readonly path: string }
  | { readonly do: "remove"; readonly path: string; readonly mark: string };

export interface Outcome {
  /** The directories that were made, those above first. */
  readonly made: readonly string[];
  /** Whether the mark was the one that was given. */
  readonly isOurs: boolean;
}

/** Takes one step on the storage that is mounted at `directory`. Throws what the helper threw. */
export async function takeStep(
  host: Pick<Host, "assist">,
  directory: string,
  step: Step,
  operation: Operation,
): Promise<Outcome> {
  const request = { command: "storage-step", directory, input: { steps: [step] } } as const;
  return readOutcome(await host.assist(request, operation));
}

function readOutcome(answer: unknown): Outcome {
  const outcomes = objectOf(answer)["outcomes"];
  const { made, isOurs } = objectOf(Array.isArray(outcomes) ? outcomes[0] : undefined);
  return { made: Array.isArray(made) ? made.map(String) : [], isOurs: isOurs === true };
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
