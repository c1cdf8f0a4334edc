// Failures of a command that goes through several names and does what it can.
import { CliFailure } from "./failure.ts";

/** One line per failure; the exit code is that of the first. */
export class SeveralFailures extends CliFailure {
  readonly failures: readonly CliFailure[];
  constructor(failures: readonly CliFailure[]) {
    super(failures.map((failure) => failure.message).join("\n"), failures[0]?.exitCode ?? 1);
    this.failures = failures;
  }
}
