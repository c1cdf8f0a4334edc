// An engine over storage that falls ill when a test says so, and the clock of the looks at it.
import type { MountInfo } from "../../src/core/host.ts";
import { parseHolderId } from "../../src/core/names.ts";
import type { VolumeHealth } from "../../src/engine/health/health.ts";
import { create, EngineBench, type EngineBenchParts, named } from "./engine-bench.ts";
import { IllStorage } from "./ill-storage.ts";
import { manualTimers } from "./manual-timers.ts";

/** Turns of the event loop that an answer and what follows from it take at most. */
const TURN_COUNT = 20;

/** The bench, its storage, and what is mounted, in memory. */
export class IllBench implements AsyncDisposable {
  readonly timers = manualTimers();
  readonly engines: EngineBench;
  readonly ill: IllStorage;
  readonly #mounted = new Map<string, string>();

  constructor(parts: Pick<EngineBenchParts, "state"> = {}) {
    this.engines = new EngineBench({
      ...parts,
      drivers: (bench) => [this.ill.driver, bench.local()],
      healthClock: this.timers,
      host: (host) => ({
        ...host,
        mounts: () => [...host.mounts(), ...[...this.#mounted].map(lineOf)],
      }),
    });
    this.ill = new IllStorage(this.engines.root, {
      mount: (source, target) => void this.#mounted.set(target, source),
      unmount: (target) => void this.#mounted.delete(target),
    });
  }

  async start(): Promise<this> {
    await this.engines.start();
    return this;
  }

  /** Volumes on a server; the held ones are mounted by a client. */
  async add(server: string, names: readonly string[], isHeld = true): Promise<void> {
    for (const name of names) {
      await create(this.engines, named(name, { driver: "ill", options: { server } }));
      if (!isHeld) continue;
      await this.volumes.mount(name, parseHolderId("c1"), this.engines.operation());
    }
  }

  get volumes() {
    return this.engines.engine.volumes;
  }

  /** Moves the clock in steps of half a second, and lets what is due happen after each. */
  async pass(ms: number): Promise<void> {
    await this.settle();
    for (let passedMs = 0; passedMs < ms; passedMs += 500) {
      this.engines.nowMs += 500;
      this.timers.pass(500);
      await this.settle();
    }
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < TURN_COUNT; turn += 1) {
      this.timers.pass(0);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  health(name: string): VolumeHealth {
    const health = this.engines.engine.health.of(name);
    if (health === undefined) throw new Error(`${name} is not looked at`);
    return health;
  }

  /** `degraded media unreachable`, in order. */
  get told(): readonly string[] {
    return this.engines.events
      .filter(({ action }) => action === "degraded" || action === "recovered")
      .map(({ action, actor, attributes }) => `${action} ${actor} ${attributes["state"]}`);
  }

  /** How many checks there were, and forgets all calls. */
  takeCheckCount(): number {
    return this.ill.calls.splice(0).filter((call) => call.startsWith("check")).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engines[Symbol.asyncDispose]();
  }
}

function lineOf([target, root]: readonly [string, string]): MountInfo {
  const numbers = { mountId: 1, parentId: 1, device: "0:2" };
  const words = { options: [], propagation: [], fileSystem: "tmpfs", source: "ill" };
  return { ...numbers, root, target, ...words };
}
