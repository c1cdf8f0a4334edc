// Options of a volume that is there: the engine's can be changed, and the driver's where it can.
import type { DriverOptions, VolumeDriver } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import { goQuote } from "../core/names.ts";
import {
  checkEngineOptions,
  checkOwner,
  driverOptions,
  engineOptionNames,
} from "./engine-options.ts";

/**
 * The options after a change, checked as at a create where they are different; null when none is
 * left. Throws `volume.option_invalid` for options that the driver cannot change, and for what does
 * not fit.
 */
export function changedOptions(
  options: DriverOptions | null,
  set: DriverOptions,
  removed: readonly string[],
  driver: Pick<VolumeDriver, "fixedOwner" | "name" | "update" | "validate"> | undefined,
): DriverOptions | null {
  const own: readonly string[] = engineOptionNames;
  const names = [...Object.keys(set), ...removed];
  if (names.length === 0) return options;
  const others = names.filter((name) => !own.includes(name));
  for (const option of others) if (driver?.update === undefined) throw fixed(option);
  const kept = Object.entries(options ?? {}).filter(([option]) => !removed.includes(option));
  const changed = Object.fromEntries([...kept, ...Object.entries(set)]);
  checkEngineOptions(changed);
  if (driver !== undefined) checkOwner(driver, changed, options);
  if (others.length > 0) driver?.validate(driverOptions(changed));
  return Object.keys(changed).length > 0 ? changed : null;
}

/** Whether the driver has other options afterwards. */
export function changesDriver(before: DriverOptions | null, after: DriverOptions | null): boolean {
  const one = driverOptions(before);
  const other = driverOptions(after);
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...names].some((name) => one[name] !== other[name]);
}

function fixed(option: string): EngineError {
  return new EngineError(
    "volume.option_invalid",
    `the option ${goQuote(option.slice(0, 100))} is not the engine's and stays as the volume was ` +
      `made: ${engineOptionNames.join(", ")} can be changed`,
    { details: { option } },
  );
}
