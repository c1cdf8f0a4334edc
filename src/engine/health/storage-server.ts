// Which server a volume's storage is on.
import type { VolumeDriver } from "../../core/driver.ts";
import type { VolumeEntry } from "../../core/state-store.ts";
import { driverOptions } from "../engine-options.ts";

/** See `HealthCapable.server`. "": the storage is this machine's own, or nobody can say. */
export function serverOf(
  driver: Pick<VolumeDriver, "health"> | undefined,
  { options }: Pick<VolumeEntry, "options">,
): string {
  return driver?.health?.server(driverOptions(options)) ?? "";
}
