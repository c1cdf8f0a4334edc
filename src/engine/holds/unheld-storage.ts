// Mounts of storage on other machines that nobody has: a crash came between the mount and its row,
// or in an unmount. They end at the start, with their processes and credentials.
import { toEngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { LeaseService } from "../../core/lease-service.ts";
import { parseHolderId, type VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { StateStore } from "../../core/state-store.ts";
import type { Drivers } from "../drivers.ts";
import { serverOf } from "../health/storage-server.ts";

/** Whoever it was: a driver that has just been started knows none. */
const nobody = parseHolderId("nobody");

export interface UnheldStorageParts {
  readonly state: StateStore;
  readonly leases: LeaseService;
  readonly host: Pick<Host, "mounts">;
  readonly drivers: Pick<Drivers, "get">;
}

/**
 * Ends them, one after the other. Never rejects: what cannot be unmounted (somebody uses it all the
 * same, or it has writes that its server does not have) is logged, and ends with the next use.
 */
export async function endUnheldStorage(
  parts: UnheldStorageParts,
  operation: Operation,
): Promise<void> {
  for (const name of unheldMounts(parts)) {
    if (operation.signal.aborted) return;
    try {
      await endOne(parts, name, operation);
    } catch (thrown) {
      const { code, message } = toEngineError(thrown);
      operation.log.warn("what nobody has stays mounted", { volume: name, code, error: message });
    }
  }
}

function unheldMounts({ state, host, drivers }: UnheldStorageParts): readonly VolumeName[] {
  const targets = new Set(host.mounts().map(({ target }) => target));
  return state.read((view) =>
    [...view.volumes()]
      .filter((entry) => {
        const { mountpoint, name } = entry;
        if (!targets.has(mountpoint) || view.holders(name).length > 0) return false;
        const driver = drivers.get(entry.driver);
        return driver?.isPlugin !== true && serverOf(driver, entry) !== "";
      })
      .map(({ name }) => name),
  );
}

async function endOne(
  { state, leases, drivers }: UnheldStorageParts,
  name: VolumeName,
  operation: Operation,
): Promise<void> {
  // Who mounts it just now has a row when the lease is free.
  await using _lease = await leases.acquire(`volume:${name}`, "exclusive", operation);
  const entry = state.read((view) =>
    view.holders(name).length > 0 ? undefined : view.volume(name),
  );
  if (entry === undefined) return;
  await drivers.get(entry.driver)?.unmount(name, nobody, operation);
  operation.log.info("a mount that nobody has was ended", { volume: name });
}
