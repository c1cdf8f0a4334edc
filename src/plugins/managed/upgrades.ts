// `plugin upgrade`: the new version unpacked beside the old one, which comes back when the new one
// does not start.
//
// plugin.json names both from the upgrade on. When the new version has started, one write enables
// it and forgets the old one; when it has not, one write puts the old one back. A crash before
// either leaves the plugin disabled, with both: the next enable decides, or the next start where
// the upgrade had stopped it (resume.ts).
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { Operation } from "../../core/operation.ts";
import type {
  ManagedPlugin,
  PluginConfig,
  PluginId,
  PluginPull,
  PullRequest,
  TellProgress,
} from "../../core/plugin.ts";
import { parsePluginConfig } from "./config.ts";
import { collectBlobs, type Found, fetchVersion, findImage } from "./installs.ts";
import type { Workshop } from "./parts.ts";
import { checkGranted, privilegesOf } from "./privileges.ts";
import { type PluginRecord, pluginOf, rootfsNamesOf } from "./record.ts";
import { keptSettings } from "./settings.ts";

/** `ManagedPlugins.upgrade`. */
export async function beginUpgrade(
  shop: Workshop,
  id: PluginId,
  request: PullRequest,
  operation: Operation,
): Promise<PluginPull> {
  const { name } = checkDisabled(shop.table.get(id));
  const found = await findImage(shop, request, operation);
  return {
    name,
    run: (tell, runOperation) =>
      shop.table.locked(id, runOperation, () =>
        upgrade(shop, { id, request, found }, tell, runOperation),
      ),
  };
}

function checkDisabled(record: PluginRecord): PluginRecord {
  if (!record.isEnabled) return record;
  throw new EngineError(
    "plugin.enabled",
    `plugin must be disabled before upgrading: plugin ${record.name} is enabled`,
  );
}

async function upgrade(
  shop: Workshop,
  {
    id,
    request,
    found,
  }: { readonly id: PluginId; readonly request: PullRequest; readonly found: Found },
  tell: TellProgress,
  operation: Operation,
): Promise<ManagedPlugin> {
  const { files, table } = shop;
  const before = checkDisabled(table.get(id));
  // Whatever was granted to the version before: this one has what is granted now, and is refused
  // what is not.
  checkGranted(privilegesOf(found.config), request.granted);
  const building = table.building();
  try {
    const packed = await packedConfig(shop, before);
    const version = await fetchVersion(
      shop,
      found,
      { request, staging: files.of(id) },
      tell,
      operation,
    );
    operation.signal.throwIfAborted();
    const { version: old, settings } = before;
    const after: PluginRecord = {
      ...before,
      version,
      settings: keptSettings(settings, packed, version.config),
      // A version that never ran is not worth going back to.
      previous: before.previous ?? { version: old, settings },
    };
    await table.put(after);
    return pluginOf(after);
  } finally {
    building[Symbol.dispose]();
    await tidyVersions(shop, id);
  }
}

/** The config as it was before anybody set anything; where its blob is lost, as it is now. */
async function packedConfig({ store, log }: Workshop, record: PluginRecord): Promise<PluginConfig> {
  const { configDigest, config } = record.version;
  try {
    return parsePluginConfig(await store.read(configDigest));
  } catch (thrown) {
    const { message: error } = toEngineError(thrown);
    log.warn("the config of a plugin as it was packed is lost", { plugin: record.name, error });
    return config;
  }
}

/** Removes what no version of the plugin names any more, under its lock. Never throws. */
export async function tidyVersions(shop: Workshop, id: PluginId): Promise<void> {
  collectBlobs(shop);
  const { files, table, leftovers, log } = shop;
  try {
    if (!table.has(id)) return;
    files.removeUnwritten(id);
    const unnamed = files.unnamedRootfs(id, rootfsNamesOf(table.get(id)));
    await leftovers.destroy(unnamed);
  } catch (thrown) {
    const { code, message } = toEngineError(thrown);
    log.warn("versions of a plugin could not be removed", { plugin: id, code, error: message });
  }
}

/**
 * What to tell about a plugin that did not start: after an upgrade the version before is put back
 * first. What is no failure of the plugin's own, the daemon's end for example, changes nothing.
 */
export async function startFailure(
  shop: Workshop,
  record: PluginRecord,
  thrown: unknown,
): Promise<EngineError> {
  const error = toEngineError(thrown);
  const { previous, name, version } = record;
  if (error.code !== "plugin.start_failed" || previous === null) return error;
  const options = { cause: thrown, details: error.details };
  const to = previous.version.reference;
  try {
    await shop.table.put({ ...record, ...previous, previous: null });
  } catch (second) {
    const { message } = toEngineError(second);
    const text = `${error.message}; and ${to} could not be put back: ${message}`;
    return new EngineError(error.code, text, options);
  }
  await tidyVersions(shop, record.id);
  return new EngineError(
    error.code,
    `${error.message}; ${name} has not been upgraded to ${version.reference}: the version ` +
      `before, ${to}, is back`,
    options,
  );
}
