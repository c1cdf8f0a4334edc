// Mounts of storage on other machines that nobody has: a crash came between the mount and its row,
// or in an unmount. They end at the start, with their processes and credentials.
import { setTimeout as pause } from "node:timers/promises";
import { type EngineError, toEngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { LeaseService } from "../../core/lease-service.ts";
import { parseHolderId, type VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { StateStore } from "../../core/state-store.ts";
import type { Drivers } from "../drivers.ts";
import { serverOf } from "../health/storage-server.ts";

/** Whoever it was: a driver that has just been started knows none. */
const nobody = parseHolderId("nobody");

/**
 * Before each further try, in milliseconds: what the dead daemon had just started to look at a
 * mount keeps it busy, and ends soon.
 */
const AGAIN_MS: readonly number[] = [1_000, 3_000, 10_000, 30_000, 60_000];

export interface UnheldStorageParts {
  readonly state: StateStore;
  readonly leases: LeaseService;
  readonly host: Pick<Host, "mounts">;
  readonly drivers: Pick<Drivers, "get">;
  /** Instead of pauses that grow from one second to a minute. */
  readonly againMs?: readonly number[] | undefined;
}

/**
 * Ends them, one after the other, and tries some times. Never rejects: what cannot be unmounted
 * (somebody uses it all the same, or it has writes that its server does not have) is logged, and
 * ends with the next use.
 */
export async function endUnheldStorage(
  parts: UnheldStorageParts,
  operation: Operation,
): Promise<void> {
  const { againMs = AGAIN_MS } = parts;
  let failed = await endAll(parts, operation);
  try {
    for (const delayMs of againMs) {
      if (failed.size === 0) return;
      await pause(delayMs, undefined, { signal: operation.signal });
      failed = await endAll(parts, operation);
    }
  } catch (thrown) {
    if (!operation.signal.aborted) throw thrown;
  }
  for (const [volume, { code, message }] of failed) {
    operation.log.warn("what nobody has stays mounted", { volume, code, error: message });
  }
}

/** Why which of them are still there. */
async function endAll(
  parts: UnheldStorageParts,
  operation: Operation,
): Promise<ReadonlyMap<VolumeName, EngineError>> {
  const failed = new Map<VolumeName, EngineError>();
  for (const name of unheldMounts(parts)) {
    if (operation.signal.aborted) break;
    try {
      await endOne(parts, name, operation);
    } catch (thrown) {
      failed.set(name, toEngineError(thrown));
    }
  }
  return failed;
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
