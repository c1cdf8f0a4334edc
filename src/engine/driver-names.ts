// Whose a name is that a built-in driver and a plugin both have: decided once, at the start.
//
// A row says nothing but a driver's name, and must mean the same for ever. So a name belongs to
// whoever has volumes under it: rows of plugins have no identity, those of built-in drivers do. A
// name without volumes is a plugin's that somebody has put there, and else the built-in driver's.
import type { VolumeDriver } from "../core/driver.ts";
import type { DriverName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type { PluginHost } from "../core/plugin.ts";
import type { StateStore, StateView, VolumeEntry } from "../core/state-store.ts";

/** What the name of a managed plugin has behind it that was installed without a tag. */
const USUAL_TAG = ":latest";

export interface DriverNames {
  /** Those that have their names. */
  readonly drivers: readonly VolumeDriver[];
  /** Names of built-in drivers that are not there, because a plugin has them. Sorted. */
  readonly ofPlugins: readonly DriverName[];
}

type Owner = "plugin" | "built in";

/**
 * Takes out the built-in drivers whose names plugins have. `local` is Docker's own, and never a
 * plugin's.
 */
export async function settleNames(
  drivers: readonly VolumeDriver[],
  parts: {
    readonly state: Pick<StateStore, "read">;
    /** What is installed, or was found by now. */
    readonly plugins: Pick<PluginHost, "status">;
  },
  operation: Operation,
): Promise<DriverNames> {
  const owners = parts.state.read(ownersOf);
  const kept: VolumeDriver[] = [];
  const ofPlugins: DriverName[] = [];
  for (const driver of drivers) {
    const { name } = driver;
    const state = parts.plugins.status(name)?.state;
    const isPluginHere = state !== undefined && state !== "gone";
    let owner: Owner | undefined = name === "local" ? "built in" : owners.get(name);
    // A state that was lost knows no rows of what is there all the same.
    if (owner === undefined && isPluginHere && !(await hasSome(driver, operation))) {
      owner = "plugin";
    }
    if (owner === "plugin") ofPlugins.push(name);
    else kept.push(driver);
  }
  return { drivers: kept, ofPlugins: ofPlugins.sort() };
}

/** What lies in the trash is a built-in driver's: plugins have none. */
function ownersOf(view: Pick<StateView, "volumes" | "retired">): ReadonlyMap<string, Owner> {
  const owners = new Map<string, Owner>();
  for (const entry of view.volumes()) {
    const owner = ownerOf(entry);
    if (owner === undefined) continue;
    const { driver } = entry;
    if (!driver.endsWith(USUAL_TAG)) owners.set(driver, owner);
    // Who was called without its tag until now goes on being called so, where that is free.
    const short = driver.slice(0, -USUAL_TAG.length);
    if (driver.endsWith(USUAL_TAG) && !owners.has(short)) owners.set(short, owner);
  }
  for (const { volume } of view.retired()) owners.set(volume.driver, "built in");
  return owners;
}

/** undefined: its driver has not answered yet, and it may be anybody's. */
function ownerOf({ phase, identity }: VolumeEntry): Owner | undefined {
  if (phase === "creating") return undefined;
  return identity === "" ? "plugin" : "built in";
}

async function hasSome(driver: VolumeDriver, operation: Operation): Promise<boolean> {
  for await (const _ of driver.list(operation)) return true;
  if (driver.trash === undefined) return false;
  for await (const _ of driver.trash.list(operation)) return true;
  return false;
}
