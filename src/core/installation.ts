// What `holdfast install` and `holdfast uninstall` are asked for, and what they tell of each step.

/** One of a shell's or a manual's files, made by the command line from its table of commands. */
export interface InstalledTexts {
  /** Completion scripts. */
  readonly bash: string;
  readonly zsh: string;
  readonly fish: string;
  /** holdfast(1), as roff. */
  readonly manPage: string;
}

export interface InstallRequest {
  readonly texts: InstalledTexts;
  /**
   * Everything is written below this absolute directory, and nothing is started: for packages and
   * tests. undefined: this machine.
   */
  readonly destdir: string | undefined;
  /** Only tells what would be done. */
  readonly isDryRun: boolean;
  /** Replaces files that somebody changed or put there by hand. */
  readonly isForced: boolean;
}

export interface UninstallRequest {
  readonly destdir: string | undefined;
  readonly isDryRun: boolean;
  /** Goes on while volumes are mounted. */
  readonly isForced: boolean;
}

/**
 * "planned": would be done, and is not, because it is a dry run. "kept": left as it is, for the
 * reason that is given. "warning": nothing was done, and a person should know.
 */
export type StepState = "done" | "unchanged" | "planned" | "kept" | "warning";

export interface StepReport {
  readonly state: StepState;
  /** A path, or the words of a command. */
  readonly what: string;
  /** In a sentence, where the state does not say it all. */
  readonly why?: string | undefined;
}

/** What can be told to the daemon, for the manual. */
export interface DaemonOption {
  /** `--root DIR`. */
  readonly option: string;
  /** `HOLDFAST_ROOT`. */
  readonly variable: string;
  readonly about: string;
  readonly default: string;
}

/**
 * Both are repeatable, and go on where they were interrupted. They throw `install.impossible`,
 * `install.held` or `install.failed`; the steps that were told before are done.
 */
export interface Installer {
  readonly daemonOptions: readonly DaemonOption[];
  install(request: InstallRequest): AsyncIterable<StepReport>;
  uninstall(request: UninstallRequest): AsyncIterable<StepReport>;
}
