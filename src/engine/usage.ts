// How much space volumes take, for df and prune.
import type { VolumeDriver } from "../core/driver.ts";
import { toEngineError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import type { StateStore, VolumeEntry } from "../core/state-store.ts";

/** How many volumes are measured side by side. */
const CONCURRENCY_COUNT = 4;

export interface VolumeUsage {
  readonly entry: VolumeEntry;
  /** -1: unknown, as in Docker. */
  readonly sizeBytes: number;
  readonly holderCount: number;
}

export class Usage {
  readonly #state: StateStore;
  readonly #drivers: ReadonlyMap<string, VolumeDriver>;
  #running: Promise<readonly VolumeUsage[]> | undefined;

  constructor(parts: {
    readonly state: StateStore;
    readonly drivers: ReadonlyMap<string, VolumeDriver>;
  }) {
    this.#state = parts.state;
    this.#drivers = parts.drivers;
  }

  /** Apparent bytes of one volume; -1 when its driver cannot say. Cost grows with its files. */
  async measure(entry: VolumeEntry, operation: Operation): Promise<number> {
    const usage = this.#drivers.get(entry.driver)?.usage;
    if (usage === undefined) return -1;
    try {
      return (await usage.measure(entry.name, operation)).usedBytes ?? -1;
    } catch (error) {
      operation.signal.throwIfAborted();
      const { code, message } = toEngineError(error);
      operation.log.debug("not measured", { volume: entry.name, code, error: message });
      return -1;
    }
  }

  /**
   * Docker's selection for df: volumes of `local` that were created without options. Who asks while
   * a measurement runs gets that one's answer: however many ask, one walks.
   */
  all(operation: Operation): Promise<readonly VolumeUsage[]> {
    this.#running ??= this.#measureAll(operation).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #measureAll(operation: Operation): Promise<readonly VolumeUsage[]> {
    const entries = this.#state.read((view) =>
      [...view.volumes()].filter(
        (entry) => entry.driver === "local" && Object.keys(entry.options ?? {}).length === 0,
      ),
    );
    const usages: VolumeUsage[] = [];
    const pending = entries.values();
    const worker = async (): Promise<void> => {
      for (const entry of pending) {
        const sizeBytes = await this.measure(entry, operation);
        const holderCount = this.#state.read((view) => view.holders(entry.name)).length;
        usages.push({ entry, sizeBytes, holderCount });
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY_COUNT }, worker));
    return usages;
  }
}
