// `plugin install` and `plugin create`: built in a directory of its own, then renamed into place.
import fs from "node:fs";
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { Operation } from "../../core/operation.ts";
import type {
  ManagedPlugin,
  PluginConfig,
  PluginPrivilege,
  PluginPull,
  PullRequest,
  RegistryCall,
  TellProgress,
} from "../../core/plugin.ts";
import { parsePluginReference } from "../../core/plugin-reference.ts";
import type { ResolvedImage } from "../registry/images.ts";
import { LAYER_TYPE } from "../registry/manifest.ts";
import { splitContext } from "../store/context.ts";
import { CONFIG_BYTES_MAX, parsePluginConfig } from "./config.ts";
import { packImage, unpackImage, unpackLayers, withSortedCapabilities } from "./image.ts";
import { newPluginName } from "./naming.ts";
import type { Workshop } from "./parts.ts";
import { checkGranted, privilegesOf } from "./privileges.ts";
import { blobsOf, type PluginRecord, type PluginVersion, pluginOf } from "./record.ts";
import { initialSettings } from "./settings.ts";

const ID_BYTES = 32;
const STAGING_BYTES = 8;
/** The file system of a plugin that is made of a directory, before it is packed: 16 GiB. */
const CONTEXT_BYTES_MAX = 16 * 1024 ** 3;
const LAYER_FILE = "layer.tar.gz";

/** What the plugin at `remote` asks for. Throws `plugin.reference_invalid`, `registry.*`. */
export async function askedPrivileges(
  shop: Workshop,
  remote: string,
  call: RegistryCall,
  operation: Operation,
): Promise<readonly PluginPrivilege[]> {
  const { config } = await resolve(shop, remote, call, operation);
  return privilegesOf(parsePluginConfig(config));
}

/** While it is looked up, a config that is here already stays here. */
async function resolve(
  { images, table }: Workshop,
  remote: string,
  call: RegistryCall,
  operation: Operation,
): Promise<ResolvedImage> {
  using _building = table.building();
  return await images.resolve(parsePluginReference(remote), call, operation);
}

/** An image that was looked up, with its config and whether its privileges were granted. */
export interface Found {
  readonly image: ResolvedImage;
  readonly config: PluginConfig;
}

/** Looks an image up. Throws `plugin.reference_invalid`, `plugin.image_invalid`, `registry.*`. */
export async function findImage(
  shop: Workshop,
  request: PullRequest,
  operation: Operation,
): Promise<Found> {
  const image = await resolve(shop, request.remote, request, operation);
  return { image, config: withSortedCapabilities(parsePluginConfig(image.config)) };
}

/** `ManagedPlugins.pull`. */
export async function beginInstall(
  shop: Workshop,
  request: PullRequest,
  operation: Operation,
): Promise<PluginPull> {
  const name = localName(request);
  shop.table.checkFree(name);
  const found = await findImage(shop, request, operation);
  return {
    name,
    run: (tell, runOperation) =>
      build(shop, name, runOperation, async (staging) => {
        checkGranted(privilegesOf(found.config), request.granted);
        return await fetchVersion(shop, found, { request, staging }, tell, runOperation);
      }),
  };
}

/** `ManagedPlugins.fetch`. */
export async function fetchAhead(
  shop: Workshop,
  request: PullRequest,
  tell: TellProgress,
  operation: Operation,
): Promise<Disposable> {
  const building = shop.table.building();
  const end = () => {
    building[Symbol.dispose]();
    collectBlobs(shop);
  };
  try {
    const { image, config } = await findImage(shop, request, operation);
    checkGranted(privilegesOf(config), request.granted);
    await shop.images.download(image, request, tell, operation);
    return { [Symbol.dispose]: end };
  } catch (error) {
    end();
    throw error;
  }
}

/** The name given, else that of the remote, without the digest that a plugin's name never has. */
function localName({ name, remote }: PullRequest): string {
  if (name !== undefined && name !== "") return newPluginName(name);
  const reference = parsePluginReference(remote);
  if (reference.digest === null) return newPluginName(remote);
  return newPluginName(remote.slice(0, remote.indexOf("@")));
}

/** Brings an image's blobs and file system here. */
export async function fetchVersion(
  shop: Workshop,
  { image, config }: Found,
  { request, staging }: { readonly request: PullRequest; readonly staging: string },
  tell: TellProgress,
  operation: Operation,
): Promise<PluginVersion> {
  return await unpackImage(
    shop,
    {
      image,
      config,
      pluginDirectory: staging,
      fetch: (tellMore, op) => shop.images.download(image, request, tellMore, op),
    },
    tell,
    operation,
  );
}

/** `ManagedPlugins.create`. */
export async function createPlugin(
  shop: Workshop,
  text: string,
  context: AsyncIterable<Uint8Array>,
  operation: Operation,
): Promise<ManagedPlugin> {
  const name = createdName(text);
  return await build(shop, name, operation, async (staging) => {
    const layerPath = `${staging}/${LAYER_FILE}`;
    const limits = { configBytesMax: CONFIG_BYTES_MAX, bytesMax: CONTEXT_BYTES_MAX };
    const { config: bytes } = await splitContext(context, { layerPath, ...limits }, operation);
    const config = parsePluginConfig(bytes);
    const layer = { ...(await shop.store.adopt(layerPath)), mediaType: LAYER_TYPE };
    const version = await packImage(shop.store, { config, layer, name });
    const request = { layers: [layer], pluginDirectory: staging };
    return { ...version, rootfs: await unpackLayers(shop, request, () => undefined, operation) };
  });
}

function createdName(text: string): string {
  try {
    return newPluginName(text);
  } catch (error) {
    const { code, message } = toEngineError(error);
    throw new EngineError(code, `failed to parse reference ${text}: ${message}`, { cause: error });
  }
}

/** Builds a plugin in a staging directory and installs it; on failure nothing of it is left. */
async function build(
  shop: Workshop,
  name: string,
  operation: Operation,
  make: (staging: string) => Promise<PluginVersion>,
): Promise<ManagedPlugin> {
  const { files, table, host } = shop;
  operation.signal.throwIfAborted();
  const reservation = table.reserve(name);
  const building = table.building();
  const staging = files.makeStaging(host.randomHex(STAGING_BYTES));
  try {
    const version = await make(staging);
    const record: PluginRecord = {
      id: host.randomHex(ID_BYTES),
      name,
      isEnabled: false,
      isPaused: false,
      installedAtMs: host.nowMs(),
      version,
      settings: initialSettings(version.config),
      previous: null,
    };
    operation.signal.throwIfAborted();
    await table.add(staging, record);
    return pluginOf(record);
  } catch (error) {
    await destroyUninstalled(shop, staging);
    throw error;
  } finally {
    reservation[Symbol.dispose]();
    building[Symbol.dispose]();
    collectBlobs(shop);
  }
}

/** What is not there any more has been installed, whatever came after. */
async function destroyUninstalled({ leftovers }: Workshop, staging: string): Promise<void> {
  if (fs.existsSync(staging)) await leftovers.destroy([staging]);
}

/** Removes blobs that no plugin names, unless one is being built that may. Never throws. */
export function collectBlobs({ table, store, log }: Workshop): void {
  if (!table.namesAllBlobs) return;
  try {
    store.collect(new Set(table.records().flatMap(blobsOf)));
  } catch (thrown) {
    const { code, message } = toEngineError(thrown);
    log.warn("blobs that no plugin names could not be removed", { code, error: message });
  }
}
