// An option that cannot be read, together with the command it was given to.
import type { Command } from "./command.ts";
import { CliFailure } from "./failure.ts";
import type { OptionError } from "./options.ts";

/** An option that cannot be read: Docker's exit code for it is 125. */
export class UsageFailure extends CliFailure {
  readonly option: OptionError;
  readonly command: Command | undefined;
  constructor(option: OptionError, command: Command | undefined) {
    super(option.message, 125);
    this.option = option;
    this.command = command;
  }
}
