// The drivers of this build: a plain list, so that what is in the program can be read here.
import type { VolumeDriver } from "../core/driver.ts";
import type { DriverManual } from "../core/driver-manual.ts";
import type { Host } from "../core/host.ts";
import type { SecretStore } from "../core/secret-store.ts";
import type { OptionRule } from "../remote/kind.ts";
import { localDriver } from "./local/driver.ts";
import { localRules } from "./local/rules.ts";

/** Every built-in driver, working below `root`. */
export function builtInDrivers(parts: {
  readonly root: string;
  /** Absolute, in memory: for what a boot may take. */
  readonly runDirectory: string;
  readonly host: Host;
  readonly secrets: Pick<SecretStore, "read">;
  /** The state knows of no volumes yet. */
  readonly isFirstStart: boolean;
}): readonly VolumeDriver[] {
  return [localDriver(parts)];
}

/** What they take, in the same order. */
export function driverManuals(): readonly DriverManual[] {
  return [
    manual("local", "A directory on this host, or whatever mount can mount on it", localRules),
  ];
}

function manual(driver: string, summary: string, rules: readonly OptionRule[]): DriverManual {
  const options = rules.map(({ name, value, help, isRequired, defaultValue, rule }) => ({
    ...{ name, value, help, isRequired: isRequired ?? false },
    defaultValue: defaultValue ?? null,
    rule: rule?.words ?? null,
  }));
  return { driver, summary, options };
}
