// Has a driver mount a volume's data, and only the data that the volume was made with.
import type { VolumeDriver } from "../core/driver.ts";
import { EngineError, toEngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { HolderId, VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type { VolumeEntry } from "../core/state-store.ts";
import { driverOptions } from "./engine-options.ts";
import { serverOf } from "./health/storage-server.ts";

export interface DataMount {
  readonly driver: VolumeDriver;
  readonly entry: VolumeEntry;
  readonly holder: HolderId;
  readonly host: Pick<Host, "mounts">;
  /** Brings what is mounted now to those who have the volume. Never rejects. */
  readonly follow: (entry: VolumeEntry, operation: Operation) => Promise<void>;
  /** Volumes whose data was missing when it was last looked for: kept up to date. */
  readonly missing: Set<VolumeName>;
}

/**
 * The path of the data. A driver that does not know a volume of ours has lost its data: the volume
 * itself is there, so that is `volume.data_missing`, of a plugin `plugin.failed`. A driver that can
 * change options is told those of the row; throws `volume.exists_differently` where another one has
 * others. Throws `volume.data_foreign`, `volume.mount_failed` when nothing is mounted where storage
 * of another machine should be, and what the driver throws.
 */
export async function mountData(mount: DataMount, operation: Operation): Promise<string> {
  const { driver, entry, holder, missing } = mount;
  try {
    await settleOptions(driver, entry, operation);
    const path = await driver.mount(entry.name, holder, operation);
    const isRemote = serverOf(driver, entry) !== "";
    if (isRemote) await refuseBare(mount, path, operation);
    if (isRemote) await mount.follow(entry, operation);
    missing.delete(entry.name);
    return path;
  } catch (error) {
    const { code, details } = toEngineError(error);
    if (code === "volume.data_foreign") {
      // The driver's words are Docker's for a removal.
      const path = String(details["path"] ?? entry.mountpoint);
      throw new EngineError(
        code,
        `error while mounting volume '${path}': it is not a plain directory`,
        { cause: error, details },
      );
    }
    // A plugin's own words say more.
    if (driver.isPlugin) throw code === "volume.not_found" ? forgotten(entry, error) : error;
    if (code !== "volume.not_found" && code !== "volume.data_missing") throw error;
    missing.add(entry.name);
    throw new EngineError(
      "volume.data_missing",
      `error while mounting volume '${entry.mountpoint}': the data directory is missing`,
      { cause: error, details: { path: entry.mountpoint } },
    );
  }
}

/** A plugin that was started anew may have forgotten what it had, and its data be where it was. */
function forgotten({ name, driver }: VolumeEntry, cause: unknown): EngineError {
  const { message, details } = toEngineError(cause);
  return new EngineError(
    "plugin.failed",
    `plugin ${driver} no longer has volume ${name}, which \`holdfast volume create\` makes there ` +
      `anew: ${message}`,
    { cause, details },
  );
}

/**
 * Some tools say that they have mounted and have not: what is written into the bare directory then
 * lands on this machine, and is hidden when the share comes back.
 */
async function refuseBare(
  { driver, entry, holder, host }: DataMount,
  path: string,
  operation: Operation,
): Promise<void> {
  if (host.mounts().some(({ target }) => target === path)) return;
  await driver.unmount(entry.name, holder, operation);
  throw new EngineError(
    "volume.mount_failed",
    `error while mounting volume '${path}': its driver reported success, and nothing is mounted ` +
      "there",
    { details: { target: path } },
  );
}

/**
 * The driver keeps the options too, and mounts by them. Where they are no longer those that the
 * volume was made with, it would hand out other storage: an empty local directory for a share. A
 * crash in the middle of a change leaves them different: the row is what counts.
 */
async function settleOptions(
  driver: VolumeDriver,
  entry: VolumeEntry,
  operation: Operation,
): Promise<void> {
  // A plugin cannot say which options a volume was made with.
  if (driver.isPlugin) return;
  const presence = await driver.get(entry.name, operation);
  if (presence.state !== "found") return;
  const found = presence.record.options;
  const wanted = driverOptions(entry.options);
  for (const option of new Set([...Object.keys(found), ...Object.keys(wanted)])) {
    if (found[option] === wanted[option]) continue;
    if (driver.update !== undefined) {
      await driver.update.update({ name: entry.name, options: wanted }, operation);
      return;
    }
    throw new EngineError(
      "volume.exists_differently",
      `the option ${option} of volume ${entry.name} is not what the volume was made with: put ` +
        "its options file back, or remove the volume and make it anew",
      { details: { option } },
    );
  }
}
