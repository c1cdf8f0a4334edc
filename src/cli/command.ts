// The shape of a command as data: the parser, the help, completion and the reference read it.
import type { Doctor } from "../core/doctor.ts";
import type { Foreground } from "../core/foreground.ts";
import type { Installer } from "../core/installation.ts";
import type { DaemonClient } from "./client.ts";
import type { Options } from "./options.ts";
import type { Terminal } from "./terminal.ts";
import type { VerifyDriver, VerifyPlugin } from "./verify.ts";

/** What an option takes. `flag` takes nothing; `list`, `map` and `filter` may be repeated. */
export type OptionKind = "flag" | "int" | "string" | "list" | "map" | "filter" | "bytes";

export interface OptionSpec {
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  readonly kind: OptionKind;
  readonly summary: string;
  /** The value when the option is not given. */
  readonly default?: string;
  /** Understood, and left out of help and completion. */
  readonly hidden?: boolean;
  /** The oldest API version that knows it: "1.42". */
  readonly apiVersionMin?: string;
  /** What is wrong with a value, as a sentence, or undefined. */
  readonly check?: (value: string) => string | undefined;
  /** Values that completion offers. */
  readonly values?: readonly string[];
  /** The daemon is asked for them: names of drivers, or options of the driver that is given. */
  readonly completes?: "drivers" | "driver options" | "volumes";
}

export interface Example {
  readonly line: string;
  readonly about: string;
}

/** All that a command needs. Six members, by name. */
export interface Invocation {
  readonly options: Options;
  readonly positional: readonly string[];
  readonly client: DaemonClient;
  readonly terminal: Terminal;
  readonly parts: CliParts;
}

/** What only the program that assembles everything can give to the command line. */
export interface CliParts {
  /** Of this program; asked for when it is needed. */
  readonly version: () => Promise<string>;
  readonly verifyDriver?: VerifyDriver;
  readonly verifyPlugin?: VerifyPlugin;
  /** To be asked for before anything is opened. */
  readonly foreground?: () => Promise<Foreground>;
  readonly installer?: () => Promise<Installer>;
  readonly doctor?: Doctor;
}

/** Returns the exit code. */
export type RunCommand = (invocation: Invocation) => Promise<number>;

export interface Command {
  /** `["volume", "ls"]`. */
  readonly words: readonly string[];
  /** Other spellings of the last word. */
  readonly aliases?: readonly string[];
  readonly summary: string;
  /** What a line has no room for: lines of at most 80 columns, without an end of line. */
  readonly details?: string;
  /** What stands behind the words: "[OPTIONS] VOLUME [VOLUME...]". */
  readonly usage: string;
  readonly argumentCount: { readonly min: number; readonly max: number };
  /** How it ends with another count of arguments; Docker's 1 unless given. */
  readonly countExit?: number;
  readonly options: readonly OptionSpec[];
  readonly examples: readonly Example[];
  /** What completion offers for arguments. */
  readonly completes?:
    | "volumes"
    | "volume paths"
    | "trash"
    | "plugins"
    | "engines"
    | "drivers"
    | "secrets"
    | "locks"
    | "commands"
    | "nothing";
  readonly apiVersionMin?: string;
  readonly hidden?: boolean;
}

/** A word that only leads to others: `holdfast volume`. */
export interface CommandGroup {
  readonly word: string;
  readonly summary: string;
}
