// How a command ends when it cannot do its work: a text for stderr and an exit code.

/**
 * Ends the command. `message` is printed on stderr as it stands, with one newline after it. The exit
 * codes of Docker's own verbs are Docker's: 1, and 125 for a flag that cannot be read.
 */
export class CliFailure extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode = 1) {
    super(message);
    this.name = "CliFailure";
    this.exitCode = exitCode;
  }
}

/** The daemon answered, and said no. */
export class DaemonRefusal extends CliFailure {
  readonly status: number;
  /** The precise code of the failure, where the daemon is ours and gave one. */
  readonly code: string | undefined;
  /** The way out, in a sentence, where the daemon gave one. */
  readonly recovery: string | undefined;
  constructor(
    status: number,
    message: string,
    details: { readonly code?: string | undefined; readonly recovery?: string | undefined } = {},
  ) {
    super(`Error response from daemon: ${message}`);
    this.name = "DaemonRefusal";
    this.status = status;
    this.code = details.code;
    this.recovery = details.recovery;
  }
}

/** The daemon could not be reached, or stopped answering: nothing was done that we know of. */
export class DaemonUnreachable extends CliFailure {
  constructor(message: string) {
    super(message);
    this.name = "DaemonUnreachable";
  }
}
