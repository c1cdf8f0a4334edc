// Plugins in registries: what one is, its layers on the way here, its blobs on the way there.
import { EngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { Log, Operation } from "../../core/operation.ts";
import type { LoginRequest, RegistryCall, RegistryLogin, TellProgress } from "../../core/plugin.ts";
import type { PluginReference } from "../../core/plugin-reference.ts";
import { type BlobStore, digestOf } from "../store/blobs.ts";
import {
  addressesOf,
  originalOf,
  type RegistryAddress,
  type RegistrySettings,
} from "./addresses.ts";
import { uploadBlob } from "./blob-upload.ts";
import type { Answer } from "./exchange.ts";
import { isPassing, whileDoing } from "./failures.ts";
import { downloadLayer } from "./layer-download.ts";
import { BlobProgress, shortId } from "./layer-progress.ts";
import {
  ATTEMPT_COUNT_MAX,
  CONFIG_BYTES_MAX,
  MANIFEST_BYTES_MAX,
  PARALLEL_LAYERS,
  type RegistryDeadlines,
  registryDeadlines,
} from "./limits.ts";
import { logIn } from "./login.ts";
import { acceptedManifestTypes, type Descriptor, parseManifest } from "./manifest.ts";
import { eachInParallel } from "./parallel.ts";
import { RepositorySession } from "./session.ts";
import { readWhole } from "./words.ts";

/** One version of a plugin, as far as it can be known without its layers. All of it is verified. */
export interface ResolvedImage {
  readonly reference: PluginReference;
  /** `sha256:…` of `manifest`. */
  readonly manifestDigest: string;
  readonly manifest: Uint8Array;
  readonly mediaType: string;
  readonly configDigest: string;
  readonly config: Uint8Array;
  /** Lowest first; one may occur more than once. */
  readonly layers: readonly Descriptor[];
}

/** What is sent; its config and its layers are in the store. */
export interface StoredImage {
  readonly manifest: Uint8Array;
  readonly mediaType: string;
  readonly configDigest: string;
  readonly layers: readonly { readonly digest: string }[];
}

export interface ImagesParts {
  readonly store: BlobStore;
  readonly settings: RegistrySettings;
  readonly host: Pick<Host, "monotonicMs">;
  readonly log: Log;
  /** For tests. */
  readonly deadlines?: RegistryDeadlines;
}

const RESOLVING = "error resolving plugin reference";
const PUSHING = "error pushing plugin";

export class Images {
  readonly #parts: ImagesParts;
  readonly #deadlines: RegistryDeadlines;

  constructor(parts: ImagesParts) {
    this.#parts = parts;
    this.#deadlines = parts.deadlines ?? registryDeadlines;
  }

  /**
   * Reads the manifest, that of this machine's processor where there are several, and the config.
   * Nothing is kept. Throws `registry.unreachable`, `registry.denied`, `registry.not_found`,
   * `registry.failed`, and `plugin.image_invalid` for what is no plugin or not what it claims.
   */
  async resolve(
    reference: PluginReference,
    call: RegistryCall,
    operation: Operation,
  ): Promise<ResolvedImage> {
    const addresses = addressesOf(reference.host, this.#parts.settings);
    for (const [index, address] of addresses.entries()) {
      const session = this.#session(reference, { address, call, actions: "pull" });
      try {
        return await this.#resolveAt(session, reference, operation);
      } catch (error) {
        operation.signal.throwIfAborted();
        if (index === addresses.length - 1) throw whileDoing(RESOLVING, named(reference, error));
        const { host } = address;
        this.#parts.log.info("a registry mirror does not help", { host, error: String(error) });
      }
    }
    throw new EngineError("internal.bug", "a registry without an address");
  }

  /**
   * Brings the layers into the store and resolves with their files, in the manifest's order. Tells
   * Docker's lines up to "Download complete". After a failure nothing half is left. Blobs are kept
   * from `collect` by the caller (`BlobStore.pin`). Throws as `resolve`, and `storage.*`.
   */
  async download(
    image: ResolvedImage,
    call: RegistryCall,
    tell: TellProgress,
    operation: Operation,
  ): Promise<readonly { readonly digest: string; readonly path: string }[]> {
    const { store, settings, host } = this.#parts;
    const { reference, layers } = image;
    const id = reference.tag ?? image.manifestDigest;
    tell({ status: `Pulling from ${repositoryOf(reference)}`, id });
    tell({ status: `Digest: ${image.manifestDigest}` });
    const wanted = new Map(layers.map((layer) => [layer.digest, layer]));
    const missing = [...wanted.values()].filter((layer) => {
      const isThere = store.has(layer.digest);
      const status = isThere ? "Already exists" : "Waiting";
      tell({ status, id: shortId(layer.digest), isOfLayer: true });
      return !isThere;
    });
    const sessions = addressesOf(reference.host, settings).map((address) =>
      this.#session(reference, { address, call, actions: "pull" }),
    );
    await eachInParallel(missing, PARALLEL_LAYERS, operation, async (layer, part) => {
      const { digest, size } = layer;
      const words = { doing: "Downloading", first: "Pulling fs layer" };
      const progress = new BlobProgress({ digest, size, ...words, tell, host });
      const ingest = await store.ingest();
      try {
        const download = { layer, sessions, ingest, progress, deadlines: this.#deadlines };
        await downloadLayer(download, part);
      } finally {
        await ingest.discard();
      }
      progress.say("Download complete");
    });
    return layers.map(({ digest }) => ({ digest, path: store.path(digest) }));
  }

  /**
   * Sends what the registry lacks, then the manifest under the reference's tag. Tells Docker's
   * lines, the last of which is `aux` with an empty status. Throws `registry.*`, `storage.*`; then
   * the tag is as it was.
   */
  async push(
    reference: PluginReference,
    image: StoredImage,
    call: RegistryCall,
    tell: TellProgress,
    operation: Operation,
  ): Promise<{ readonly digest: string; readonly size: number }> {
    const address = originalOf(reference.host, this.#parts.settings);
    const session = this.#session(reference, { address, call, actions: "pull,push" });
    tell({ status: `The push refers to repository [${repositoryOf(reference)}]` });
    try {
      return await this.#pushTo(session, { reference, image, tell }, operation);
    } catch (error) {
      operation.signal.throwIfAborted();
      throw whileDoing(PUSHING, error);
    }
  }

  async #pushTo(
    session: RepositorySession,
    { reference, image, tell }: Push,
    operation: Operation,
  ): Promise<{ readonly digest: string; readonly size: number }> {
    const { store, host } = this.#parts;
    const digest = digestOf(image.manifest);
    const size = image.manifest.byteLength;
    const blobs = [...new Set([...image.layers.map((layer) => layer.digest), image.configDigest])];
    const words = { doing: "Uploading", first: "", tell, host };
    const ofManifest = new BlobProgress({ digest, size, ...words });
    const all = blobs.map((blob) => {
      const blobSize = store.size(blob);
      return {
        size: blobSize,
        digest: blob,
        isSent: false,
        progress: new BlobProgress({ digest: blob, size: blobSize, ...words }),
      };
    });
    const lines = [ofManifest, ...all.map(({ progress }) => progress)];
    for (const line of lines) line.say("Preparing");
    await this.#reach(session, image.configDigest, operation);
    // Docker begins once more when it learns that the registry knows no TLS.
    if (session.isPlain) for (const line of lines) line.say("Preparing");
    await eachInParallel(all, PARALLEL_LAYERS, operation, async (blob, part) => {
      const { progress } = blob;
      const moved = (bytes: number) => progress.moved(bytes);
      const path = store.path(blob.digest);
      const upload = { digest: blob.digest, size: blob.size, path, session, moved };
      blob.isSent = (await uploadBlob(upload, part)) === "sent";
      if (progress.hasFigures) sayComplete(progress, blob.size);
    });
    await this.#putManifest(session, { reference, image, digest }, operation);
    sayComplete(ofManifest, size);
    for (const blob of all) {
      if (blob.isSent && !blob.progress.hasFigures) sayComplete(blob.progress, blob.size);
    }
    for (const line of lines) line.say("Upload complete");
    const aux = { tag: reference.tag ?? "", digest, size };
    tell({ status: "", isOfLayer: true, aux });
    return { digest, size };
  }

  /** A first request that changes nothing: who is there, and does it let us in? */
  async #reach(session: RepositorySession, digest: string, operation: Operation): Promise<void> {
    const expected = [200, 404];
    const answer = await session.send(
      { method: "HEAD", to: `blobs/${digest}`, expected },
      operation,
    );
    answer.close();
  }

  async #putManifest(
    session: RepositorySession,
    {
      reference,
      image,
      digest,
    }: { reference: PluginReference; image: StoredImage; digest: string },
    operation: Operation,
  ): Promise<void> {
    const answer = await session.send(
      {
        method: "PUT",
        to: `manifests/${reference.tag ?? digest}`,
        headers: { "content-type": image.mediaType },
        body: image.manifest,
        expected: [200, 201, 202],
      },
      operation,
    );
    answer.close();
    const said = answer.header("docker-content-digest");
    if (said === undefined || said === digest) return;
    throw new EngineError(
      "registry.failed",
      `the registry keeps ${said.slice(0, 71)} instead of ${digest}`,
    );
  }

  async #resolveAt(
    session: RepositorySession,
    reference: PluginReference,
    operation: Operation,
  ): Promise<ResolvedImage> {
    const name = reference.digest ?? reference.tag ?? "latest";
    const first = await this.#manifest(session, { name, digest: reference.digest }, operation);
    let found = first;
    if (first.parsed.kind === "index") {
      const { digest } = first.parsed.chosen;
      found = await this.#manifest(session, { name: digest, digest }, operation);
    }
    if (found.parsed.kind === "index") {
      throw new EngineError("plugin.image_invalid", "invalid manifest: a list of lists");
    }
    const { config, layers, mediaType } = found.parsed;
    return {
      reference,
      manifestDigest: found.digest,
      manifest: found.bytes,
      mediaType,
      configDigest: config.digest,
      config: await this.#config(session, config, operation),
      layers,
    };
  }

  async #manifest(
    session: RepositorySession,
    { name, digest }: { readonly name: string; readonly digest: string | null },
    operation: Operation,
  ) {
    const headers = { accept: acceptedManifestTypes };
    const what = { to: `manifests/${name}`, headers, bytesMax: MANIFEST_BYTES_MAX };
    const { answer, bytes } = await this.#read(session, what, operation);
    const found = digestOf(bytes);
    const said = [digest, answer.header("docker-content-digest")].find(
      (one) => typeof one === "string" && one.startsWith("sha256:") && one !== found,
    );
    if (typeof said === "string") throw otherThan(said, found);
    return {
      bytes,
      digest: found,
      parsed: parseManifest(bytes, answer.header("content-type") ?? ""),
    };
  }

  async #config(
    session: RepositorySession,
    { digest, size }: Descriptor,
    operation: Operation,
  ): Promise<Uint8Array> {
    const { store } = this.#parts;
    if (store.has(digest)) return store.read(digest);
    const what = { to: `blobs/${digest}`, headers: {}, bytesMax: CONFIG_BYTES_MAX };
    const { bytes } = await this.#read(session, what, operation);
    const found = digestOf(bytes);
    if (found === digest && bytes.byteLength === size) return bytes;
    throw otherThan(`${digest} of ${size} bytes`, `${found} of ${bytes.byteLength} bytes`);
  }

  /** Something small, whole. */
  async #read(
    session: RepositorySession,
    { to, headers, bytesMax }: SmallRequest,
    operation: Operation,
  ): Promise<{ readonly answer: Answer; readonly bytes: Uint8Array }> {
    const { answerMs } = this.#deadlines;
    for (let attempt = 1; ; attempt += 1) {
      const answer = await session.send({ method: "GET", to, headers, expected: [200] }, operation);
      try {
        return { answer, bytes: await readWhole(answer, { bytesMax, answerMs }) };
      } catch (error) {
        operation.signal.throwIfAborted();
        if (attempt === ATTEMPT_COUNT_MAX || !isPassing(error)) throw error;
        await session.pause(attempt);
      }
    }
  }

  /** See `ManagedPlugins.login`. */
  login(request: LoginRequest, operation: Operation): Promise<RegistryLogin> {
    const { settings, log } = this.#parts;
    return logIn({ settings, log, deadlines: this.#deadlines }, request, operation);
  }

  #session(
    { path }: PluginReference,
    {
      actions,
      ...how
    }: {
      readonly address: RegistryAddress;
      readonly call: RegistryCall;
      readonly actions: string;
    },
  ): RepositorySession {
    const { settings, log } = this.#parts;
    const repository = { path, actions };
    return new RepositorySession({ ...how, repository, settings, log, deadlines: this.#deadlines });
  }
}

interface SmallRequest {
  readonly to: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly bytesMax: number;
}

interface Push {
  readonly reference: PluginReference;
  readonly image: StoredImage;
  readonly tell: TellProgress;
}

function sayComplete(progress: BlobProgress, size: number): void {
  progress.say("Upload complete", { current: size, total: size });
}

/** As Docker shows it, without tag and digest. */
function repositoryOf({ familiar, tag, digest }: PluginReference): string {
  const withoutDigest = digest === null ? familiar : familiar.slice(0, -digest.length - 1);
  return tag === null ? withoutDigest : withoutDigest.slice(0, -tag.length - 1);
}

/** What is not there is named as Docker names it; everything else says enough. */
function named(reference: PluginReference, error: unknown): unknown {
  if (!(error instanceof EngineError) || error.code !== "registry.not_found") return error;
  const { host, familiar } = reference;
  const full = familiar.startsWith(`${host}/`) ? familiar : `${host}/${familiar}`;
  return new EngineError("registry.not_found", `${full}: not found`, {
    cause: error,
    details: error.details,
  });
}

function otherThan(expected: string, found: string): EngineError {
  return new EngineError(
    "plugin.image_invalid",
    `what was read is not what was named: unexpected digest ${found}, expected ${expected}`,
  );
}
