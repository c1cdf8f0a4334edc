// The promises of core/driver.ts, one check each; unchecked.ts says why for those without.
import type { Check } from "./check.ts";
import type { DriverBench } from "./driver-bench.ts";
import { rebuildChecks, storageChecks } from "./driver-facets.ts";
import { healthChecks } from "./driver-health.ts";
import { mountChecks } from "./driver-mounts.ts";
import { renameChecks } from "./driver-rename.ts";
import { snapshotChecks } from "./driver-snapshots.ts";
import { trashChecks } from "./driver-trash.ts";
import { volumeChecks } from "./driver-volumes.ts";

/** Every check of a volume driver. Which of them apply is decided by what the driver declares. */
export const volumeDriverChecks: readonly Check<DriverBench>[] = [
  ...volumeChecks,
  ...mountChecks,
  ...rebuildChecks,
  ...trashChecks,
  ...renameChecks,
  ...storageChecks,
  ...healthChecks,
  ...snapshotChecks,
];
