// Whether a name is taken for a create, and by what.
import { EngineError } from "../core/errors.ts";
import type { StateStore, VolumeEntry } from "../core/state-store.ts";
import { resolved } from "./aliases.ts";
import type { Drivers } from "./drivers.ts";
import { isMoving, moving } from "./moving.ts";

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
