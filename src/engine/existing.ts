// Whether a name is taken for a create, and by what; and what a create does to a volume that is.
import { EngineError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import type { StateStore, VolumeEntry } from "../core/state-store.ts";
import { isMoving, moving } from "./adoption/moving.ts";
import { resolved } from "./aliases.ts";
import type { Drivers } from "./drivers.ts";
import { driverOptions } from "./engine-options.ts";
import type { EventLog } from "./event-log.ts";

export interface ExistingParts {
  readonly state: StateStore;
  readonly drivers: Pick<Drivers, "isSame">;
}

/**
 * The volume of this name or alias, unless it is half made: that one is no answer yet. Asks no
 * driver, so that a plugin that does not answer changes nothing. Throws
 * `volume.exists_differently` when another driver than the given one has it, `volume.moving`.
 */
export function existingVolume(
  { state, drivers }: ExistingParts,
  name: string,
  driver: string | undefined,
): VolumeEntry | undefined {
  const entry = state.read((view) => view.volume(resolved(view, name)));
  if (entry === undefined || entry.phase === "creating") return undefined;
  if (isMoving(entry)) throw moving(entry);
  if (!driver || drivers.isSame(driver, entry.driver)) return entry;
  throw new EngineError(
    "volume.exists_differently",
    `driver '${entry.driver}' already has volume '${name}': volume name must be unique`,
    { details: { driver: entry.driver } },
  );
}

/**
 * A plugin's volume that it has forgotten, with the options that the row has: Docker has such a
 * create made too. The caller has its lease. Throws what the plugin says.
 */
export async function makeAgain(
  { drivers, events }: { readonly drivers: Drivers; readonly events: EventLog },
  entry: VolumeEntry,
  operation: Operation,
): Promise<void> {
  const { name, driver } = entry;
  await drivers.of(entry).create({ name, options: driverOptions(entry.options) }, operation);
  events.volume("create", name, { driver });
}
