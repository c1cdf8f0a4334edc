// From an image to a version of a plugin: its blobs in the store, its layers unpacked.
import { EngineError } from "../../core/errors.ts";
import type { Operation } from "../../core/operation.ts";
import type { PluginConfig, TellProgress } from "../../core/plugin.ts";
import type { PluginReference } from "../../core/plugin-reference.ts";
import type { ResolvedImage } from "../registry/images.ts";
import { renderPluginConfig } from "./config.ts";
import type { Workshop } from "./parts.ts";
import type { PluginVersion, RecordedLayer } from "./record.ts";

/** Docker's media types of plugins. */
export const MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json";
export const CONFIG_TYPE = "application/vnd.docker.plugin.v1+json";
export const LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/** No plugin is larger, unpacked: 16 GiB. */
const UNPACKED_BYTES_MAX = 16 * 1024 ** 3;
/** What an archive may not fill, of what is free. */
const FREE_SHARE_MAX = 0.9;
const ENTRY_COUNT_MAX = 1_000_000;
/** As many layers as Docker stacks. */
const LAYER_COUNT_MAX = 127;
const ID_DIGITS = 12;

/** 12 hex digits, as Docker shows a layer. */
export function shortDigest(digest: string): string {
  return digest.slice("sha256:".length, "sha256:".length + ID_DIGITS);
}

/** `127.0.0.1:5000/vp`: how Docker names a repository to people. */
export function repositoryOf(reference: PluginReference): string {
  const { tag, familiar } = reference;
  const named = familiar.split("@", 1)[0] ?? "";
  return tag === null ? named : named.slice(0, -`:${tag}`.length);
}

/**
 * Capabilities in the order of the alphabet: where Docker compares privileges it sorts those of the
 * config too, which `inspect` shows from then on (recording 07, after the upgrade).
 */
export function withSortedCapabilities(config: PluginConfig): PluginConfig {
  const { capabilities } = config.linux;
  if (capabilities === null) return config;
  return { ...config, linux: { ...config.linux, capabilities: [...capabilities].sort() } };
}

/**
 * Keeps the blobs of a resolved image and unpacks it into a new directory of `pluginDirectory`. Throws `registry.*`, `plugin.image_invalid`, `storage.*`; what it has made by
 * then stays.
 */
export async function unpackImage(
  shop: Workshop,
  request: {
    readonly image: ResolvedImage;
    readonly config: PluginConfig;
    readonly pluginDirectory: string;
    readonly fetch: (tell: TellProgress, operation: Operation) => Promise<unknown>;
  },
  tell: TellProgress,
  operation: Operation,
): Promise<PluginVersion> {
  const { image, config, pluginDirectory, fetch } = request;
  if (image.layers.length > LAYER_COUNT_MAX) {
    throw new EngineError(
      "plugin.image_invalid",
      `it has ${image.layers.length} layers, and at most ${LAYER_COUNT_MAX} are taken`,
    );
  }
  tell({ status: `Pulling from ${repositoryOf(image.reference)}`, id: tagOf(image.reference) });
  tell({ status: `Digest: ${image.manifestDigest}` });
  await fetch(tell, operation);
  await shop.store.put(image.manifest);
  await shop.store.put(image.config);
  const { layers } = image;
  const rootfs = await unpackLayers(shop, { layers, pluginDirectory }, tell, operation);
  return {
    reference: image.reference.familiar,
    digest: image.manifestDigest,
    mediaType: image.mediaType,
    configDigest: image.configDigest,
    configSize: image.config.length,
    configMediaType: CONFIG_TYPE,
    layers,
    rootfs,
    config,
  };
}

function tagOf({ tag, digest }: PluginReference): string {
  return tag ?? digest ?? "";
}

/** Unpacks layers that are in the store, durably; returns the name of the directory. */
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
    const about = { id: shortDigest(digest), isOfLayer: true };
    tell({ ...about, status: "Extracting", current: 0, total: size });
    const bytesMax = Math.min(UNPACKED_BYTES_MAX, files.availableBytes() * FREE_SHARE_MAX);
    const limits = { bytesMax: Math.floor(bytesMax), entryCountMax: ENTRY_COUNT_MAX };
    await host.unpackLayer({ archive: store.path(digest), into, ...limits }, operation);
    tell({ ...about, status: "Extracting", current: size, total: size });
    tell({ ...about, status: "Complete" });
  }
  await syncFileSystem({ host }, into, operation);
  return name;
}

/** A record that survives a power cut must not name files that do not. */
async function syncFileSystem(
  { host }: Pick<Workshop, "host">,
  directory: string,
  operation: Operation,
): Promise<void> {
  const result = await host.run("sync", ["--file-system", "--", directory], operation);
  if (result.exitCode === 0) return;
  throw new EngineError("storage.failed", `error while syncing: ${result.stderr.trim()}`);
}

/** The image of a plugin that was made of a directory: its config and manifest go into the store. */
export async function packImage(
  store: Workshop["store"],
  request: { readonly config: PluginConfig; readonly layer: RecordedLayer; readonly name: string },
): Promise<Omit<PluginVersion, "rootfs">> {
  const { layer, name } = request;
  // Docker's own: the digest of the compressed layer, where images have that of the tar.
  const config = { ...request.config, rootfs: { type: "layers", diffIds: [layer.digest] } };
  const configBytes = encode(renderPluginConfig(config));
  const configDigest = await store.put(configBytes);
  const manifest = encode({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: { mediaType: CONFIG_TYPE, digest: configDigest, size: configBytes.length },
    layers: [{ mediaType: layer.mediaType, digest: layer.digest, size: layer.size }],
  });
  return {
    reference: name,
    digest: await store.put(manifest),
    mediaType: MANIFEST_TYPE,
    configDigest,
    configSize: configBytes.length,
    configMediaType: CONFIG_TYPE,
    layers: [layer],
    config,
  };
}

function encode(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
