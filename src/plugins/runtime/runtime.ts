// Runs managed plugins: each in a container of runc or crun, with conmon as its parent.
//
// What runs outlives the daemon. A later one takes it over by what lies in the run directory, and
// ends what nobody asked for. A plugin that ends by itself is started again after a pause.
import fs from "node:fs";
import { dirname } from "node:path";
import type { Host } from "../../core/host.ts";
import type { Log, Operation } from "../../core/operation.ts";
import type { PluginId, PluginLogLine } from "../../core/plugin.ts";
import { OciRuntime } from "./oci-runtime.ts";
import { PluginContainer } from "./plugin-container.ts";
import { PluginLog } from "./plugin-log.ts";
import {
  bundlesDirectory,
  exitDirectory,
  mountsDirectory,
  type RunDirectories,
  runPlaces,
  runtimeDirectory,
} from "./run-places.ts";
import { type RunRequest, type RunState, stoppedState } from "./run-request.ts";
import { endStrays } from "./stray-programs.ts";
import { SupervisedPlugin } from "./supervised-plugin.ts";

/** An end is seen by its exit file at once; one without (conmon was killed) so much later. */
const LOOK_MS = 1_000;

export interface PluginRuntimeParts extends RunDirectories {
  readonly host: Host;
  readonly log: Log;
  /** For what it does by itself. */
  readonly operation: () => Operation;
}

interface Plugin {
  readonly supervised: SupervisedPlugin;
  readonly container: PluginContainer;
  readonly log: PluginLog;
}

export class PluginRuntime {
  readonly #parts: PluginRuntimeParts;
  readonly #runtime: OciRuntime;
  readonly #plugins = new Map<PluginId, Plugin>();
  readonly #listeners = new Set<(id: PluginId) => void>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #watcher: fs.FSWatcher | undefined;

  constructor(parts: PluginRuntimeParts) {
    this.#parts = parts;
    this.#runtime = new OciRuntime(parts);
  }

  /**
   * Resolves when its socket accepts connections and its process has not ended; one that runs
   * already is stopped first. Throws `plugin.start_failed` in Docker's words, with those of the
   * plugin, `plugin.config_invalid`, `host.program_missing`, `storage.*`; then nothing of it runs.
   */
  async start(request: RunRequest, operation: Operation): Promise<void> {
    this.#beginToLook();
    await this.#pluginOf(request.id).supervised.start(request, operation);
  }

  /**
   * SIGTERM, after 10 s SIGKILL; then its mounts end, its control group and its bundle go. Succeeds
   * when nothing runs. Throws `plugin.failed` when the kernel does not let a process end.
   */
  async stop(id: PluginId, operation: Operation): Promise<void> {
    await this.#pluginOf(id).supervised.stop(operation);
  }

  /**
   * Begins to start it, and tries again until it comes up: for what is to run and need not come up
   * at once.
   */
  async resume(request: RunRequest): Promise<void> {
    this.#beginToLook();
    await this.#pluginOf(request.id).supervised.adopt(request);
  }

  state(id: PluginId): RunState {
    return this.#plugins.get(id)?.supervised.state ?? stoppedState;
  }

  /** Calls `listener` after each change of a state, until the returned function is called. */
  follow(listener: (id: PluginId) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * After a start of the daemon, before anything else is asked: takes over what still runs, begins
   * to start what does not, and ends what is in no request. Resolves when the first and the last
   * are done; those that are started are "starting" or "restarting" until they have come up.
   */
  async adopt(requests: readonly RunRequest[], operation: Operation): Promise<void> {
    // Whoever has no plugins makes no directories for them.
    if (requests.length === 0 && !fs.existsSync(this.#parts.runDirectory)) return;
    this.#beginToLook();
    const wanted = new Set(requests.map(({ id }) => id));
    const monitors = requests.map((one) => this.#pluginOf(one.id).container.remaining(one));
    const keep = new Set(monitors.flatMap((life) => (life === undefined ? [] : life.monitorPid)));
    await endStrays(this.#parts.host, { ...this.#parts, keep });
    const leftovers = this.#known().filter((id) => !wanted.has(id));
    const ends = leftovers.map(async (id) => {
      try {
        await this.stop(id, operation);
      } catch (error) {
        this.#parts.log.error("what is left of a plugin could not be ended", { plugin: id, error });
      }
    });
    const takenOver = requests.map((one) => this.#pluginOf(one.id).supervised.adopt(one));
    await Promise.all([...ends, ...takenOver]);
  }

  /** The last `countMax` lines that it wrote, oldest first. Throws `storage.*`. */
  async logs(id: PluginId, countMax: number): Promise<readonly PluginLogLine[]> {
    return this.#pluginOf(id).log.lines(countMax);
  }

  /** Its log goes, and all that is known of it. For what is stopped. */
  forget(id: PluginId): void {
    this.#pluginOf(id).log.remove();
    fs.rmSync(runPlaces(this.#parts, id).bundle, { recursive: true, force: true });
    this.#plugins.delete(id);
  }

  /**
   * For the daemon's end: stops all but those, side by side, and leaves those to the next daemon.
   * Nothing is started again after this. What cannot be ended is logged.
   */
  async stopAll(keep: ReadonlySet<PluginId>, operation: Operation): Promise<void> {
    clearInterval(this.#timer);
    this.#watcher?.close();
    const ends = [...this.#plugins].map(async ([id, { supervised }]) => {
      if (keep.has(id)) {
        supervised.close();
        await supervised.settled();
        return;
      }
      try {
        await supervised.stop(operation);
      } catch (error) {
        this.#parts.log.error("a plugin could not be stopped", { plugin: id, error });
      }
      supervised.close();
    });
    await Promise.all(ends);
  }

  #pluginOf(id: PluginId): Plugin {
    const known = this.#plugins.get(id);
    if (known !== undefined) return known;
    const { host, operation, runDirectory } = this.#parts;
    const places = runPlaces(this.#parts, id);
    const log = new PluginLog(places.logDirectory);
    const runtime = this.#runtime;
    const container = new PluginContainer({ id, places, runDirectory, host, runtime, log });
    const tell = () => {
      for (const listener of this.#listeners) listener(id);
    };
    const supervised = new SupervisedPlugin({ places, container, host, log, operation, tell });
    const plugin = { supervised, container, log };
    this.#plugins.set(id, plugin);
    return plugin;
  }

  /** Of whom something is left of a daemon before us. */
  #known(): readonly PluginId[] {
    const folders = [bundlesDirectory, runtimeDirectory, mountsDirectory].map((of) =>
      of(this.#parts),
    );
    const names = folders.flatMap(namesIn).filter((name) => /^[\da-f]{64}$/.test(name));
    return [...new Set(names)];
  }

  #beginToLook(): void {
    if (this.#timer !== undefined) return;
    const exits = exitDirectory(this.#parts);
    // Of all of /run/holdfast: a group of users may pass through to the clients' socket there.
    fs.mkdirSync(dirname(this.#parts.runDirectory), { recursive: true, mode: 0o755 });
    fs.mkdirSync(exits, { recursive: true, mode: 0o700 });
    this.#timer = setInterval(() => {
      for (const { supervised } of this.#plugins.values()) supervised.look();
    }, LOOK_MS);
    this.#timer.unref();
    // conmon writes beside and renames: the name is the plugin's id.
    this.#watcher = fs.watch(exits, (_, name) => {
      if (name !== null) this.#plugins.get(name)?.supervised.look();
    });
    this.#watcher.on("error", () => this.#watcher?.close());
    this.#watcher.unref();
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return fs.readdirSync(folder);
  } catch {
    return [];
  }
}
