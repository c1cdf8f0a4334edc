// Drivers by name: the built-in ones, and those of plugins, which come and go.
//
// A plugin's driver is asked for by name each time and never kept. Built-in names go first: no
// plugin can take the place of `local`, nor of another one that was given its name at the start
// (driver-names.ts).
import type { Presence, VolumeDriver, VolumeRecord } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import { type DriverName, parseDriverName } from "../core/names.ts";
import type { PluginHost, PluginState, PluginStatus } from "../core/plugin.ts";
import { canonicalPluginName } from "../core/plugin-reference.ts";
import type { VolumeEntry } from "../core/state-store.ts";

export class Drivers {
  /** What is in this program: only these have a trash, recovery and adoption. */
  readonly builtIn: ReadonlyMap<string, VolumeDriver>;
  readonly #plugins: PluginHost;
  readonly #startedAtMs: number;

  constructor(parts: {
    readonly builtIn: readonly VolumeDriver[];
    readonly plugins: PluginHost;
    /** When this life of the engine began, in milliseconds since the epoch. */
    readonly startedAtMs: number;
  }) {
    this.builtIn = new Map(parts.builtIn.map((driver) => [driver.name as string, driver]));
    this.#plugins = parts.plugins;
    this.#startedAtMs = parts.startedAtMs;
  }

  /**
   * The driver that has exactly this name, as it stands in rows: `plug` never means the managed
   * plugin `plug:latest` there. undefined: it is not here now.
   */
  get(name: string): VolumeDriver | undefined {
    const driver = this.#named(name);
    return driver?.name === name ? driver : undefined;
  }

  /** The name that volumes of the driver have in their rows, which a caller names; or undefined. */
  canonical(text: string): DriverName | undefined {
    return this.#named(text)?.name;
  }

  /** The driver of a volume; where it is not here, one whose calls throw `driver.not_found`. */
  of({ driver }: Pick<VolumeEntry, "driver">): VolumeDriver {
    return this.get(driver) ?? absentDriver(driver, this.#plugins);
  }

  /**
   * The driver that a caller names, for a volume to be made: who has just put a plugin there is
   * waited for, for 100 ms at most. Throws `driver.not_found` and, of a managed plugin that is
   * stopped, `plugin.disabled`, both with Docker's texts.
   */
  async find(text: string): Promise<VolumeDriver> {
    let driver = this.#named(text);
    if (driver === undefined) {
      parseDriverName(text);
      await this.#plugins.lookAgain();
      driver = this.#named(text);
    }
    if (driver === undefined) throw notFound(text);
    const { name } = driver;
    if (this.pluginState(name) === "disabled") {
      throw new EngineError(
        "plugin.disabled",
        lookingUp(text, `plugin ${name} found but disabled`),
        {
          details: { driver: name },
        },
      );
    }
    return driver;
  }

  /** Whether a row's driver is no built-in one: its plugin may be gone. */
  isOfPlugin(driver: string): boolean {
    return !this.builtIn.has(driver);
  }

  /** Whether a driver can be called with some hope: whether its plugin, if it has one, is ready. */
  isReady(driver: string): boolean {
    const state = this.pluginState(driver);
    return state === "ready" || state === "built in";
  }

  /** What a row's driver is: "absent": no such plugin is known. */
  pluginState(driver: string): PluginState | "built in" | "absent" {
    if (this.builtIn.has(driver)) return "built in";
    return this.#plugins.status(driver)?.state ?? (this.get(driver) ? "ready" : "absent");
  }

  /** The status of a row's plugin: "gone" from the start on, if this life has not found it yet. */
  pluginStatus(driver: DriverName): PluginStatus {
    return (
      this.#plugins.status(driver) ?? {
        ...{ name: driver, kind: "socket", state: "gone", sinceMs: this.#startedAtMs },
        ...{ reason: `plugin "${driver}" not found`, restartCount: 0, address: "" },
      }
    );
  }

  /** Whether a caller who says `given` means the driver `recorded`: `plug` is `plug:latest` too. */
  isSame(given: string, recorded: string): boolean {
    if (given === recorded) return true;
    if (this.builtIn.has(given) || this.builtIn.has(recorded)) return false;
    return canonicalPluginName(given) === recorded || this.canonical(given) === recorded;
  }

  /**
   * Before a removal, with Docker's words: throws `driver.not_found` or `plugin.disabled` where the
   * plugin cannot even be asked.
   */
  refuseAbsent({ name, driver }: Pick<VolumeEntry, "name" | "driver">): void {
    const state = this.pluginState(driver);
    if (state !== "absent" && state !== "disabled") return;
    const what = state === "absent" ? `"${driver}" not found` : `${driver} found but disabled`;
    throw new EngineError(
      state === "absent" ? "driver.not_found" : "plugin.disabled",
      `get ${name}: error while checking if volume "${name}" exists in driver "${driver}": ` +
        lookingUp(driver, `plugin ${what}`),
      { details: { driver } },
    );
  }

  /** Docker's `Plugins.Volume`: built-in drivers and socket plugins that answer. Sorted. */
  names(): readonly string[] {
    const sockets = this.#plugins
      .statuses()
      .filter(({ kind, state }) => kind === "socket" && state === "ready");
    return [...new Set([...this.builtIn.keys(), ...sockets.map(({ name }) => name)])].sort();
  }

  /** As `names`, with managed plugins that are ready. Sorted. */
  all(): readonly string[] {
    const ready = this.#plugins.statuses().filter(({ state }) => state === "ready");
    return [...new Set([...this.builtIn.keys(), ...ready.map(({ name }) => name)])].sort();
  }

  /** Plugins that nobody can reach by their names, because built-in drivers have them. Sorted. */
  hidden(): readonly string[] {
    return this.#plugins
      .statuses()
      .filter(({ name, state }) => this.builtIn.has(name) && state !== "gone")
      .map(({ name }) => name);
  }

  /** As a caller gives it: managed plugins go before socket plugins, as in Docker. */
  #named(text: string): VolumeDriver | undefined {
    return this.builtIn.get(text) ?? this.#plugins.driver(text);
  }
}

/** Docker's words around what is wrong with a driver that is looked up by name. */
function lookingUp(driver: string, what: string): string {
  return `error looking up volume plugin ${driver}: ${what}`;
}

function notFound(driver: string): EngineError {
  return new EngineError("driver.not_found", lookingUp(driver, `plugin "${driver}" not found`), {
    details: { driver },
  });
}

/** Stands in for the driver of a row whose plugin is not here: of what it has, only mounts end. */
function absentDriver(name: DriverName, plugins: Pick<PluginHost, "release">): VolumeDriver {
  const refuse = async (): Promise<never> => {
    throw notFound(name);
  };
  return {
    name,
    scope: "local",
    isPlugin: true,
    validate() {},
    create: refuse,
    get: async (): Promise<Presence> => ({ state: "unknown", reason: notFound(name).message }),
    list: (): AsyncIterable<VolumeRecord> => ({
      [Symbol.asyncIterator]: () => ({ next: refuse }),
    }),
    forget: refuse,
    destroy: refuse,
    mount: refuse,
    unmount: (volume, holder, operation) => plugins.release(name, volume, holder, operation),
  };
}
