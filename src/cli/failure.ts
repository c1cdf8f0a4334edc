// How a command ends when it cannot do its work: a text for stderr and an exit code.

/**
 * Ends the command. `message` is printed on stderr as it stands, with one newline after it. Exit
 * codes of Docker's own verbs are Docker's: 1, and 125 for a flag that cannot be read.
 */
export class CliFailure extends Error {
  readonly exitCode: number;
  /** The precise code of the failure, where there is one. */
  readonly code: string | undefined;
  /** The way out, in a sentence, where whoever failed gave one. */
  readonly recovery: string | undefined;

  constructor(message: string, exitCode = 1, details: FailureDetails = {}) {
    super(message);
    this.name = "CliFailure";
    this.exitCode = exitCode;
    this.code = details.code;
    this.recovery = details.recovery;
  }
}

interface FailureDetails {
  readonly code?: string | undefined;
  readonly recovery?: string | undefined;
}

/** The daemon answered, and said no. */
export class DaemonRefusal extends CliFailure {
  readonly status: number;
  /** The daemon's own words. */
  readonly reason: string;

  constructor(status: number, message: string, details: FailureDetails = {}) {
    super(`Error response from daemon: ${message}`, 1, details);
    this.name = "DaemonRefusal";
    this.status = status;
    this.reason = message;
  }
}

/** The daemon could not be reached, or stopped answering: nothing was done that we know of. */
export class DaemonUnreachable extends CliFailure {
  /** It was reached, and may have done what it was asked for. */
  readonly wasReached: boolean;

  constructor(message: string, { wasReached }: { readonly wasReached: boolean }) {
    super(message);
    this.wasReached = wasReached;
    this.name = "DaemonUnreachable";
  }
}
