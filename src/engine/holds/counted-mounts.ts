// Mounts that a plugin counts and nobody has: a crash came between its answer and the row, or an
// unmount that it was to be told of failed. Told of when nobody else has the volume: a plugin that
// only counts might take it from them.
import { toEngineError } from "../../core/errors.ts";
import type { LeaseService } from "../../core/lease-service.ts";
import type { DriverName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { CountedMount, PluginHost } from "../../core/plugin.ts";
import type { StateStore } from "../../core/state-store.ts";
import type { Drivers } from "../drivers.ts";

export interface CountedMountsParts {
  readonly state: StateStore;
  readonly leases: LeaseService;
  readonly drivers: Drivers;
  readonly plugins: PluginHost;
}

/** Ends those of one plugin, which is ready. Never rejects: what fails is logged. */
export async function endUnheldCounts(
  parts: CountedMountsParts,
  driver: DriverName,
  operation: Operation,
): Promise<void> {
  try {
    for (const counted of parts.plugins.counted(driver)) {
      if (operation.signal.aborted) return;
      if (!isHeld(parts, driver, counted)) await endOne(parts, { driver, counted }, operation);
    }
  } catch (error) {
    if (operation.signal.aborted) return;
    const { code, message } = toEngineError(error);
    operation.log.warn("a plugin may count mounts that nobody has", {
      ...{ driver, code, error: message },
    });
  }
}

async function endOne(
  parts: CountedMountsParts,
  { driver: name, counted }: { readonly driver: DriverName; readonly counted: CountedMount },
  operation: Operation,
): Promise<void> {
  const { volume, holder } = counted;
  // Who mounts it just now has a row when the lease is free.
  await using _lease = await parts.leases.acquire(`volume:${volume}`, "exclusive", operation);
  const driver = parts.drivers.get(name);
  if (driver === undefined || isHeld(parts, name, counted)) return;
  await driver.unmount(volume, holder, operation);
  operation.log.info("a mount that nobody has was ended", { driver: name, volume, holder });
}

/** By whomever. */
function isHeld(
  { state }: CountedMountsParts,
  driver: DriverName,
  { volume }: CountedMount,
): boolean {
  return state.read(
    (view) => view.volume(volume)?.driver === driver && view.holders(volume).length > 0,
  );
}
