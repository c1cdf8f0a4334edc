// Manifests: what a registry says of one version of a plugin, read and written.
import { EngineError } from "../../core/errors.ts";
import { isDigest } from "../../core/plugin-reference.ts";
import {
  CONFIG_BYTES_MAX,
  LAYER_COUNT_MAX,
  MANIFEST_BYTES_MAX,
  TOTAL_BYTES_MAX,
} from "./limits.ts";
import { member, parseJson } from "./read-answer.ts";

/** What marks a plugin. */
export const PLUGIN_CONFIG_TYPE = "application/vnd.docker.plugin.v1+json";
export const DOCKER_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json";
export const LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip";

const OCI_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_LIST_TYPE = "application/vnd.docker.distribution.manifest.list.v2+json";
const OCI_INDEX_TYPE = "application/vnd.oci.image.index.v1+json";

/** What is asked for; each in a header line of its own, for registries that do not split them. */
export const acceptedManifestTypes: readonly string[] = [
  DOCKER_MANIFEST_TYPE,
  DOCKER_LIST_TYPE,
  OCI_MANIFEST_TYPE,
  OCI_INDEX_TYPE,
];

const layerTypes = new Set([
  LAYER_TYPE,
  "application/vnd.docker.image.rootfs.diff.tar",
  "application/vnd.oci.image.layer.v1.tar",
  "application/vnd.oci.image.layer.v1.tar+gzip",
  "application/vnd.oci.image.layer.v1.tar+zstd",
]);

/** Configs of ordinary images. */
const imageConfigTypes = new Set([
  "application/vnd.docker.container.image.v1+json",
  "application/vnd.oci.image.config.v1+json",
  "application/octet-stream",
  "",
]);

/** A blob, as manifests name them. */
export interface Descriptor {
  readonly digest: string;
  readonly size: number;
  readonly mediaType: string;
}

export type Manifest =
  | {
      readonly kind: "plugin";
      readonly mediaType: string;
      readonly config: Descriptor;
      readonly layers: readonly Descriptor[];
    }
  /** Several, of which `chosen` is for this machine. */
  | { readonly kind: "index"; readonly chosen: Descriptor };

/**
 * Reads a manifest; `type` is what the registry calls it. Throws `plugin.image_invalid`, for an
 * image that is no plugin in Docker's words.
 */
export function parseManifest(bytes: Uint8Array, type: string): Manifest {
  const parsed = parseJson(bytes);
  if (typeof parsed !== "object" || parsed === null) throw invalid("it is no JSON object");
  const named = type.replace(/;.*/, "").trim();
  const own = member(parsed, "mediaType");
  // Two readings of one manifest are an attack (CVE-2021-41190).
  if (typeof own === "string" && named !== "" && own !== named && isKnown(named)) {
    throw invalid(`it says ${shown(own)}, the registry says ${shown(named)}`);
  }
  const mediaType = typeof own === "string" ? own : named;
  const hasLayers = member(parsed, "layers") !== undefined;
  const hasManifests = member(parsed, "manifests") !== undefined;
  if (hasLayers && hasManifests) throw invalid("it has layers and manifests");
  if (mediaType === DOCKER_LIST_TYPE || mediaType === OCI_INDEX_TYPE) {
    return { kind: "index", chosen: choose(member(parsed, "manifests")) };
  }
  if (mediaType !== DOCKER_MANIFEST_TYPE && mediaType !== OCI_MANIFEST_TYPE) {
    throw invalid(`media type ${shown(mediaType)} is not supported`);
  }
  return pluginOf(parsed, mediaType);
}

/** Docker's manifest of a plugin, byte for byte as its engine writes it: test/docker. */
export function writeManifest(
  config: Omit<Descriptor, "mediaType">,
  layers: readonly Omit<Descriptor, "mediaType">[],
): Uint8Array {
  const manifest = {
    schemaVersion: 2,
    config: { mediaType: PLUGIN_CONFIG_TYPE, digest: config.digest, size: config.size },
    layers: layers.map(({ digest, size }) => ({ mediaType: LAYER_TYPE, digest, size })),
    mediaType: DOCKER_MANIFEST_TYPE,
  };
  return Buffer.from(JSON.stringify(manifest), "utf8");
}

function pluginOf(parsed: object, mediaType: string): Manifest {
  const rawConfig = member(parsed, "config");
  const configType = String(member(rawConfig, "mediaType") ?? "");
  if (configType !== PLUGIN_CONFIG_TYPE && member(parsed, "artifactType") !== PLUGIN_CONFIG_TYPE) {
    throw noPlugin(configType);
  }
  const config = descriptorOf(rawConfig, "config");
  if (config.size > CONFIG_BYTES_MAX) {
    throw invalid(`its config has ${config.size} bytes, at most ${CONFIG_BYTES_MAX} are allowed`);
  }
  const rawLayers = member(parsed, "layers");
  if (!Array.isArray(rawLayers)) throw invalid("it has no list of layers");
  if (rawLayers.length > LAYER_COUNT_MAX) throw invalid(`it has ${rawLayers.length} layers`);
  const layers = rawLayers.map((layer) => descriptorOf(layer, "layer"));
  const strange = layers.find((layer) => !layerTypes.has(layer.mediaType));
  if (strange !== undefined) {
    throw invalid(`layers of type ${shown(strange.mediaType)} are not supported`);
  }
  const total = layers.reduce((sum, { size }) => sum + size, 0);
  if (total > TOTAL_BYTES_MAX) {
    throw invalid(`its layers have ${total} bytes, at most ${TOTAL_BYTES_MAX} are allowed`);
  }
  return { kind: "plugin", mediaType, config, layers };
}

function descriptorOf(value: unknown, what: string): Descriptor {
  const digest = member(value, "digest");
  const size = member(value, "size");
  const mediaType = member(value, "mediaType");
  const isGood =
    typeof digest === "string" &&
    isDigest(digest) &&
    typeof size === "number" &&
    Number.isSafeInteger(size) &&
    size >= 0;
  if (!isGood) throw invalid(`its ${what} has no proper digest and size`);
  return { digest, size, mediaType: typeof mediaType === "string" ? mediaType : "" };
}

/** Names of processors in images, where they differ from the runtime's. */
const architectures: Readonly<Record<string, string>> = {
  x64: "amd64",
  ia32: "386",
  ppc64: "ppc64le",
};

function choose(list: unknown): Descriptor {
  const wanted = architectures[process.arch] ?? process.arch;
  const found = (Array.isArray(list) ? list : []).find((entry) => {
    const platform = member(entry, "platform");
    return member(platform, "os") === "linux" && member(platform, "architecture") === wanted;
  });
  if (found === undefined) {
    throw invalid(`no matching manifest for linux/${wanted} in the manifest list entries`);
  }
  const chosen = descriptorOf(found, "entry for this machine");
  if (chosen.size > MANIFEST_BYTES_MAX) throw invalid(`an entry has ${chosen.size} bytes`);
  return chosen;
}

function isKnown(type: string): boolean {
  return acceptedManifestTypes.includes(type);
}

/** Docker's words, which its command line looks for to name the right command. */
function noPlugin(configType: string): EngineError {
  const kind = imageConfigTypes.has(configType) ? "image" : "unknown";
  return new EngineError(
    "plugin.image_invalid",
    `encountered remote "${shown(configType)}"(${kind}) when fetching a plugin`,
    { details: { configType: shown(configType) } },
  );
}

function invalid(text: string): EngineError {
  return new EngineError("plugin.image_invalid", `invalid manifest: ${text}`);
}

/** Of a stranger's text, what may stand in a message. */
function shown(text: string): string {
  return text.slice(0, 100).replace(/[^\x21-\x7e]/g, "?");
}
