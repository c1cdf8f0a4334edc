// What a built-in driver takes, as data: for help, completion and the driver's page.

/** One option of a driver. */
export interface OptionManual {
  readonly name: string;
  /** A word for its value: `HOST`, `PATH`, `on|off`. */
  readonly value: string;
  /** What it is for: a sentence without its full stop. */
  readonly help: string;
  readonly isRequired: boolean;
  /** As a user would write it; null: none. */
  readonly defaultValue: string | null;
  /** What its value must be, in words; null: any text. */
  readonly rule: string | null;
}

export interface DriverManual {
  readonly driver: string;
  /** What it is for: a sentence without its full stop. */
  readonly summary: string;
  /** In the order of their importance. */
  readonly options: readonly OptionManual[];
}
