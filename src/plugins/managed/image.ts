// From an image to a version of a plugin: its blobs in the store, its layers unpacked.
import type { Operation } from "../../core/operation.ts";
import type { PluginConfig, PullRequest, TellProgress } from "../../core/plugin.ts";
import { renderPluginConfig } from "../../core/plugin-json.ts";
import { shortId } from "../registry/blob-progress.ts";
import type { ResolvedImage } from "../registry/images.ts";
import { DOCKER_MANIFEST_TYPE, writeManifest } from "../registry/manifest.ts";
import type { Workshop } from "./parts.ts";
import type { PluginVersion, RecordedLayer } from "./record.ts";

/** No plugin is larger, unpacked: 16 GiB. */
export const UNPACKED_BYTES_MAX = 16 * 1024 ** 3;
/** What an archive may not fill, of what is free. */
const FREE_SHARE_MAX = 0.9;
const ENTRY_COUNT_MAX = 1_000_000;
/** Of the layers of an image: from here on what their download leaves in memory counts. */
const LARGE_BYTES = 128 * 1024 ** 2;

/**
 * Capabilities in the order of the alphabet: where Docker compares privileges it sorts those of the
 * config too, which `inspect` shows from then on (recording 07, after the upgrade).
 */
export function withSortedCapabilities(config: PluginConfig): PluginConfig {
  const { capabilities } = config.linux;
  if (capabilities === null) return config;
  return { ...config, linux: { ...config.linux, capabilities: [...capabilities].sort() } };
}

/** An image that was looked up for a request, with its config as it is kept. */
export interface FoundImage {
  readonly request: PullRequest;
  readonly image: ResolvedImage;
  readonly config: PluginConfig;
}

/**
 * Brings an image's blobs here and unpacks it into a new directory of `pluginDirectory`. Throws
 * `registry.*`, `plugin.image_invalid`, `storage.*`; what it has made by then stays.
 */
export async function fetchVersion(
  shop: Workshop,
  { found, pluginDirectory }: { readonly found: FoundImage; readonly pluginDirectory: string },
  tell: TellProgress,
  operation: Operation,
): Promise<PluginVersion> {
  const { request, image, config } = found;
  await shop.images.download(image, request, tell, operation);
  const layerBytes = image.layers.reduce((sum, { size }) => sum + size, 0);
  // The helper that unpacks is about to need some.
  if (layerBytes >= LARGE_BYTES) shop.returnMemory?.();
  await shop.store.put(image.manifest);
  await shop.store.put(image.config);
  const { layers } = image;
  const rootfs = await unpackLayers(shop, { layers, pluginDirectory }, tell, operation);
  const digests = layers.map(({ digest }) => digest);
  await shop.store.settle([image.manifestDigest, image.configDigest, ...digests]);
  return {
    reference: image.reference.familiar,
    digest: image.manifestDigest,
    mediaType: image.mediaType,
    configDigest: image.configDigest,
    layers,
    rootfs,
    config,
  };
}

/**
 * Unpacks layers that are in the store, durably, lowest first; returns the name of the directory.
 */
export async function unpackLayers(
  { files, store, host }: Workshop,
  request: { readonly layers: readonly RecordedLayer[]; readonly pluginDirectory: string },
  tell: TellProgress,
  operation: Operation,
): Promise<string> {
  const name = files.makeRootfs(request.pluginDirectory);
  const into = `${request.pluginDirectory}/${name}`;
  for (const { digest, size } of request.layers) {
    operation.signal.throwIfAborted();
    const about = { id: shortId(digest), isOfLayer: true };
    tell({ ...about, status: "Extracting", current: 0, total: size });
    const bytesMax = Math.min(UNPACKED_BYTES_MAX, files.availableBytes() * FREE_SHARE_MAX);
    const limits = { bytesMax: Math.floor(bytesMax), entryCountMax: ENTRY_COUNT_MAX };
    await host.unpackLayer({ archive: store.path(digest), into, ...limits }, operation);
    tell({ ...about, status: "Extracting", current: size, total: size });
    tell({ ...about, status: "Complete" });
  }
  return name;
}

/**
 * The image of a plugin that was made of a directory: its config and manifest go into the store.
 */
export async function packImage(
  store: Workshop["store"],
  request: { readonly config: PluginConfig; readonly layer: RecordedLayer; readonly name: string },
): Promise<Omit<PluginVersion, "rootfs">> {
  const { layer, name } = request;
  // Docker's own: the digest of the compressed layer, where images have that of the tar.
  const config = { ...request.config, rootfs: { type: "layers", diffIds: [layer.digest] } };
  const bytes = new TextEncoder().encode(JSON.stringify(renderPluginConfig(config)));
  const blob = { digest: await store.put(bytes), size: bytes.length };
  const digest = await store.put(writeManifest(blob, [layer]));
  await store.settle([blob.digest, digest]);
  return {
    reference: name,
    digest,
    mediaType: DOCKER_MANIFEST_TYPE,
    configDigest: blob.digest,
    layers: [layer],
    config,
  };
}
