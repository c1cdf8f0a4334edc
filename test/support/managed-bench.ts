// Managed plugins over a registry and a runtime in memory, for tests of what is kept on disk.
//
// An image's layer is a text; unpacked it is the file `version`. Processes live in `running`, which
// outlives the daemon, as those of a real runtime do.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../../src/core/errors.ts";
import type { Host } from "../../src/core/host.ts";
import type { Log } from "../../src/core/operation.ts";
import type { PluginPrivilege, PluginProgress, PullRequest } from "../../src/core/plugin.ts";
import { type PluginReference, parsePluginReference } from "../../src/core/plugin-reference.ts";
import { linuxHost } from "../../src/host/linux.ts";
import {
  makeManagedPlugins,
  type RunningPlugins,
} from "../../src/plugins/managed/managed-plugins.ts";
import type { ManagedParts } from "../../src/plugins/managed/parts.ts";
import type { ResolvedImage } from "../../src/plugins/registry/images.ts";
import {
  DOCKER_MANIFEST_TYPE,
  LAYER_TYPE,
  writeManifest,
} from "../../src/plugins/registry/manifest.ts";
import {
  type RunRequest,
  type RunState,
  stoppedState,
} from "../../src/plugins/runtime/run-request.ts";
import { BlobStore, digestOf } from "../../src/plugins/store/blobs.ts";
import { testOperation } from "./operation.ts";
import { recordedConfigJson, recordedPrivileges } from "./recorded-plugin.ts";

/** What the registry has under a tag of `registry/vp`, beside the recorded config. */
export interface BenchImage {
  readonly config?: Readonly<Record<string, unknown>>;
  /** The text in the file `version`. */
  readonly layer: string;
  /** It ends right after its start. */
  readonly isBroken?: boolean;
}

/** By tag. */
export const benchImages: Readonly<Record<string, BenchImage>> = {
  v1: { layer: "one" },
  v2: { layer: "two", config: { description: "v2" } },
  broken: { layer: "broken", config: { description: "broken" }, isBroken: true },
  vast: { layer: "vast", config: { env: Array.from({ length: 100_000 }, () => ({})) } },
  greedy: {
    layer: "greedy",
    config: { linux: { capabilities: ["CAP_SYS_ADMIN", "CAP_NET_ADMIN"] } },
  },
};

/** The privileges of v1, v2 and broken. */
export const granted: readonly PluginPrivilege[] = recordedPrivileges;

export class ManagedBench {
  readonly directory: string;
  /** By id, with what each was started with. */
  readonly running = new Map<string, RunRequest>();
  /** What the log was told, without debug. */
  readonly told: string[] = [];
  /** What the runtime was asked to forget. */
  readonly forgotten: string[] = [];
  readonly log: Log;
  readonly host: Host;
  /** Called before each call of the runtime; for deaths. */
  onRuntimeCall: (what: string) => Promise<void> = async () => undefined;
  /** Called while layers are downloaded. */
  onDownload: () => Promise<void> = async () => undefined;
  #listeners = new Set<(id: string) => void>();
  #startCount = 0;

  /** `directory` is made; `around` may surround the host. */
  constructor(root: string, around: (host: Host) => Host = (host) => host) {
    this.directory = join(root, "plugins");
    const tell = (message: string, fields?: object) =>
      void this.told.push(`${message} ${JSON.stringify(fields)}`);
    this.log = { debug() {}, info: tell, warn: tell, error: tell };
    this.host = around({
      ...linuxHost(),
      mountsBelow: async () => ({ mounts: [], isWhole: true }),
      async unpackLayer({ archive, into }) {
        writeFileSync(join(into, "version"), readFileSync(archive, "utf8"));
      },
    });
  }

  /** As a daemon does it that starts; `start` is left to the caller. */
  async open(): Promise<RunningPlugins> {
    this.#listeners = new Set();
    mkdirSync(this.directory, { recursive: true });
    const store = new BlobStore(join(this.directory, "blobs"));
    return await makeManagedPlugins({
      directory: this.directory,
      images: this.#images(store),
      store,
      runtime: this.#runtime(),
      host: this.host,
      log: this.log,
      operation: () => this.operation(),
    });
  }

  operation() {
    return { ...testOperation(), log: this.log };
  }

  request(tag: string, name?: string): PullRequest {
    const call = { auth: undefined, metaHeaders: [] };
    return { ...call, remote: `registry.test/vp:${tag}`, name, granted };
  }

  /** Installs one; the lines that it told are put into `lines`. */
  async install(
    plugins: RunningPlugins,
    tag = "v1",
    { name = "vp", lines = [] as PluginProgress[] } = {},
  ) {
    const pull = await plugins.pull(this.request(tag, name), this.operation());
    return await pull.run((line) => void lines.push(line), this.operation());
  }

  /** A process that ends by itself, and is waited with. */
  crash(id: string): void {
    this.running.delete(id);
    for (const listener of this.#listeners) listener(id);
  }

  #images(store: BlobStore): ManagedParts["images"] {
    return {
      resolve: async (reference) => imageOf(reference),
      download: async ({ reference, layers }) => {
        await this.onDownload();
        await store.put(Buffer.from(benchImage(reference).layer));
        return layers.map(({ digest }) => ({ digest, path: store.path(digest) }));
      },
      login: async () => ({ identityToken: "" }),
      push: async (_reference, { manifest }) => ({
        digest: digestOf(manifest),
        size: manifest.length,
      }),
    };
  }

  #runtime(): ManagedParts["runtime"] {
    const changed = (id: string) => {
      for (const listener of this.#listeners) listener(id);
    };
    return {
      start: async (request) => {
        await this.onRuntimeCall(`start ${request.name}`);
        if (request.config.description === "broken") {
          throw new EngineError("plugin.start_failed", "dial unix: no such file or directory");
        }
        this.#startCount += 1;
        this.running.set(request.id, request);
        changed(request.id);
      },
      stop: async (id) => {
        await this.onRuntimeCall("stop");
        this.running.delete(id);
        changed(id);
      },
      resume: async (request) => {
        await this.onRuntimeCall("resume");
        this.running.set(request.id, request);
        changed(request.id);
      },
      adopt: async (requests) => {
        await this.onRuntimeCall("adopt");
        this.running.clear();
        for (const request of requests) this.running.set(request.id, request);
      },
      forget: async (id) => {
        await this.onRuntimeCall("forget");
        this.forgotten.push(id);
      },
      stopAll: async (keep) => {
        for (const id of [...this.running.keys()]) if (!keep.has(id)) this.running.delete(id);
      },
      state: (id) => this.#stateOf(id),
      logs: async () => [],
      follow: (listener) => {
        this.#listeners.add(listener);
        return () => void this.#listeners.delete(listener);
      },
    };
  }

  #stateOf(id: string): RunState {
    if (!this.running.has(id)) return stoppedState;
    const life = String(this.#startCount);
    return { ...stoppedState, state: "running", socketPath: `/run/${id}.sock`, life };
  }
}

function benchImage({ tag }: PluginReference): BenchImage {
  const image = benchImages[tag ?? ""];
  if (image === undefined) throw new EngineError("registry.not_found", `${tag}: not found`);
  return image;
}

function imageOf(reference: PluginReference): ResolvedImage {
  const { config: more, layer: text } = benchImage(reference);
  const layer = Buffer.from(text);
  const config = Buffer.from(JSON.stringify({ ...recordedConfigJson, ...more }));
  const layers = [{ digest: digestOf(layer), size: layer.length, mediaType: LAYER_TYPE }];
  const configDigest = digestOf(config);
  const manifest = writeManifest({ digest: configDigest, size: config.length }, layers);
  return {
    reference: parsePluginReference(reference.familiar),
    manifestDigest: digestOf(manifest),
    manifest,
    mediaType: DOCKER_MANIFEST_TYPE,
    configDigest,
    config,
    layers,
  };
}
