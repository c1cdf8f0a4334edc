// The drivers of this build: a plain list, so that what is in the program can be read here.
import type { VolumeDriver } from "../core/driver.ts";
import type { Host } from "../core/host.ts";
import { localDriver } from "./local/driver.ts";

/** Every built-in driver, working below `root`. */
export function builtInDrivers(parts: {
  readonly root: string;
  /** Absolute, in memory: for what a boot may take. */
  readonly runDirectory: string;
  readonly host: Host;
  /** The state knows of no volumes yet. */
  readonly isFirstStart: boolean;
}): readonly VolumeDriver[] {
  return [localDriver(parts)];
}
