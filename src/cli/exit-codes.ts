// Exit codes of Holdfast's own nouns (STYLE.md, section 6); Docker's verbs have Docker's.
import { type ErrorKind, errorTable } from "../core/error-table.ts";
import { CliFailure } from "./failure.ts";

/** A bug in this program. */
export const internalExit = 70;

export const exitOfKind: Readonly<Record<ErrorKind, number>> = {
  invalid: 2,
  not_found: 3,
  conflict: 4,
  denied: 5,
  unsupported: 6,
  exhausted: 7,
  unavailable: 8,
  corrupt: 9,
  cancelled: 130,
  internal: internalExit,
};

/** A refusal of the daemon to one of Holdfast's own commands: the exit code says its kind. */
export function ownFailure(failure: CliFailure): CliFailure {
  const { code, recovery, message } = failure;
  const entry = Object.entries(errorTable).find(([key]) => key === code)?.[1];
  if (entry === undefined) return failure;
  return new CliFailure(message, exitOfKind[entry.kind], { code, recovery });
}
