// Plugins that an upgrade had stopped when the daemon ended: they run again after its next start.
//
// `plugin.json` says that they were paused. Where no other version has come yet, they are enabled
// as they are. Where one has, it is started, and gives way to the one before when it does not come
// up: nobody was told that the upgrade was done.
import { type EngineError, toEngineError } from "../../core/errors.ts";
import type { Operation } from "../../core/operation.ts";
import { runRequestOf } from "./endpoints.ts";
import type { Workshop } from "./parts.ts";
import type { PluginRecord } from "./record.ts";
import { tidyVersions } from "./upgrades.ts";

/** After what runs has been taken over. Never throws; what the daemon's end cuts off stays. */
export async function resumePaused(shop: Workshop, operation: Operation): Promise<void> {
  const paused = shop.table.records().filter(isPaused);
  const resumed = paused.map(({ id }) =>
    shop.table.locked(id, operation, async () => {
      if (!shop.table.has(id)) return;
      const record = shop.table.get(id);
      if (isPaused(record)) await resume(shop, record, operation);
      await tidyVersions(shop, id);
    }),
  );
  await Promise.allSettled(resumed);
}

async function resume(shop: Workshop, record: PluginRecord, operation: Operation): Promise<void> {
  const { runtime, files, log } = shop;
  const { name: plugin, version, previous } = record;
  let wanted = record;
  if (previous !== null) {
    const { reference } = version;
    const failure = await finish(shop, record, operation);
    if (failure === undefined) {
      log.info("an upgrade that was cut off has been finished", { plugin, reference });
      return;
    }
    if (operation.signal.aborted) return;
    const { code, message: error } = failure;
    log.warn("what a plugin was upgraded to does not start", { plugin, reference, code, error });
    wanted = { ...record, ...previous, previous: null };
  }
  try {
    await enable(shop, wanted);
    await runtime.resume(runRequestOf(wanted, files));
  } catch (thrown) {
    const { code, message: error } = toEngineError(thrown);
    log.error("a plugin that was stopped for an upgrade stays so", { plugin, code, error });
    return;
  }
  const { reference } = wanted.version;
  log.warn("a plugin that was stopped for an upgrade is enabled again", { plugin, reference });
}

/** Starts the new version; undefined: it runs. */
async function finish(
  shop: Workshop,
  record: PluginRecord,
  operation: Operation,
): Promise<EngineError | undefined> {
  const { runtime, files } = shop;
  try {
    await runtime.start(runRequestOf(record, files), operation);
  } catch (thrown) {
    return toEngineError(thrown);
  }
  try {
    await enable(shop, { ...record, previous: null });
    return undefined;
  } catch (thrown) {
    await runtime.stop(record.id, shop.operation()).catch(() => undefined);
    return toEngineError(thrown);
  }
}

function enable({ table }: Workshop, record: PluginRecord): Promise<void> {
  return table.put({ ...record, isEnabled: true, isPaused: false });
}

function isPaused({ isPaused: isStopped, isEnabled }: PluginRecord): boolean {
  return isStopped && !isEnabled;
}
