// Options of a volume that is there: the engine's can be changed, the driver's cannot.
import type { DriverOptions } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import { goQuote } from "../core/names.ts";
import { checkEngineOptions, engineOptionNames } from "./engine-options.ts";

/**
 * The options after a change, checked as at a create where they are different; null when none is
 * left. Throws `volume.option_invalid` for options that are not the engine's, and for what does not
 * fit.
 */
export function changedOptions(
  options: DriverOptions | null,
  set: DriverOptions,
  removed: readonly string[],
): DriverOptions | null {
  const own: readonly string[] = engineOptionNames;
  const names = [...Object.keys(set), ...removed];
  if (names.length === 0) return options;
  for (const option of names) if (!own.includes(option)) throw fixed(option);
  const kept = Object.entries(options ?? {}).filter(([option]) => !removed.includes(option));
  const changed = Object.fromEntries([...kept, ...Object.entries(set)]);
  checkEngineOptions(changed);
  return Object.keys(changed).length > 0 ? changed : null;
}

function fixed(option: string): EngineError {
  return new EngineError(
    "volume.option_invalid",
    `the option ${goQuote(option.slice(0, 100))} is not the engine's and stays as the volume was ` +
      `made: ${engineOptionNames.join(", ")} can be changed`,
    { details: { option } },
  );
}
