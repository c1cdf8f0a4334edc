// Puts plugins together: registries, blobs, the runtime, managed plugins, and all drivers of
// plugins.

import { readdirSync, realpathSync, rmdirSync } from "node:fs";
import path from "node:path";
import type { VolumeDriver } from "../core/driver.ts";
import { EngineError, toEngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { DriverName } from "../core/names.ts";
import type { Log, Operation } from "../core/operation.ts";
import type { PluginParts } from "../engine/plugins/no-plugins.ts";
import { returnMemory } from "../host/memory.ts";
import { makeManagedPlugins } from "../plugins/managed/managed-plugins.ts";
import { makePluginHost } from "../plugins/plugin-host.ts";
import { Images } from "../plugins/registry/images.ts";
import { PluginRuntime } from "../plugins/runtime/runtime.ts";
import { BlobStore } from "../plugins/store/blobs.ts";
import type { DaemonConfig } from "./config.ts";
import { runDirectoryOf } from "./run-directory.ts";

export interface DaemonPluginsParts {
  readonly config: DaemonConfig;
  readonly host: Host;
  readonly log: Log;
  readonly operation: () => Operation;
  /** Puts deadlines and a breaker around the driver of a plugin. */
  readonly wrap: (driver: VolumeDriver) => VolumeDriver;
}

export interface DaemonPlugins {
  /** For the engine. Drivers are known before anything runs. */
  readonly parts: PluginParts;
  /**
   * Runs what is enabled, in the background: a plugin that hangs keeps nobody from being served.
   */
  start(): void;
  /** Ends what waits for registries: the end of the daemon does not wait for downloads. */
  endTransfers(): void;
  /** Ends all but those whose volumes somebody has. */
  stop(inUse: ReadonlySet<DriverName>): Promise<void>;
}

/** Reads what is installed, and looks for sockets. Throws `storage.*`, `config.invalid`. */
export async function makeDaemonPlugins(parts: DaemonPluginsParts): Promise<DaemonPlugins> {
  const { config, host, log, operation, wrap } = parts;
  const root = realpathSync(config.root);
  const directory = path.join(root, "plugins");
  const runDirectory = runDirectoryOf(config.root);
  const store = new BlobStore(path.join(directory, "blobs"));
  const managed = await makeManagedPlugins({
    directory,
    images: new Images({ store, settings: config.registry, host, log }),
    store,
    runtime: new PluginRuntime({
      runDirectory,
      logDirectory: path.join(directory, "logs"),
      ...{ host, log, operation },
    }),
    ...{ host, log, operation, returnMemory },
  });
  const pluginHost = makePluginHost({
    directories: config.plugins,
    ownSockets: [
      ...config.sockets,
      ...(config.pluginSocket === undefined ? [] : [config.pluginSocket]),
    ],
    managed,
    mountsDirectory: path.join(directory, "mounts"),
    ...{ host, wrap, operation, log },
  });
  pluginHost.start();
  // Who calls as soon as we are ready finds what lies there.
  await pluginHost.lookAgain();
  const stopping = new AbortController();
  let starting = Promise.resolve();
  return {
    parts: { host: pluginHost, managed },
    start() {
      const own = { ...operation(), signal: stopping.signal };
      starting = managed.start(own).catch((thrown: unknown) => {
        if (stopping.signal.aborted) return;
        const { code, message } = toEngineError(thrown);
        log.error("not all plugins could be started", { code, error: message });
      });
    },
    endTransfers: () => managed.endTransfers(),
    async stop(inUse) {
      await pluginHost.stop();
      const keep = managed.list().filter(({ name }) => (inUse as ReadonlySet<string>).has(name));
      stopping.abort(new EngineError("engine.stopping", "the daemon is shutting down"));
      await starting;
      await managed.stop(new Set(keep.map(({ id }) => id)));
      removeEmpty(runDirectory);
    },
  };
}

/** Directories alone, so that a data root that is gone leaves nothing there. Never throws. */
function removeEmpty(directory: string): void {
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.isDirectory()) removeEmpty(path.join(directory, entry.name));
    }
    rmdirSync(directory);
  } catch {
    // Something is in it: a plugin runs on, or was not ended.
  }
}
