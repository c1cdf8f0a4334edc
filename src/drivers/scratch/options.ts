// The options of the scratch driver: one, which means nothing.
import type { DriverOptions } from "../../core/driver.ts";
import { EngineError } from "../../core/errors.ts";
import { goQuote } from "../../core/names.ts";

/** Longest text of the option `note`, in UTF-16 units. */
export const NOTE_LENGTH_MAX = 255;

/** Throws `volume.option_invalid` for everything but a `note` of at most `NOTE_LENGTH_MAX`. */
export function validateScratchOptions(options: DriverOptions): void {
  for (const [option, value] of Object.entries(options)) {
    if (option !== "note") {
      throw new EngineError(
        "volume.option_invalid",
        `option ${goQuote(option)} is not known to driver scratch, only "note" is`,
        { details: { option, value, known: ["note"] } },
      );
    }
    if (value.length > NOTE_LENGTH_MAX) {
      throw new EngineError(
        "volume.option_invalid",
        `option "note" has ${value.length} characters, at most ${NOTE_LENGTH_MAX} are allowed`,
        { details: { option } },
      );
    }
  }
}

/** Whether two sets of options say the same, in whatever order. */
export function equalOptions(left: DriverOptions, right: DriverOptions): boolean {
  const names = Object.keys(left);
  if (names.length !== Object.keys(right).length) return false;
  return names.every((name) => Object.hasOwn(right, name) && left[name] === right[name]);
}
