// How much space volumes take, for df and prune.
import { toEngineError } from "../core/errors.ts";
import { type Operation, unfired } from "../core/operation.ts";
import type { StateStore, VolumeEntry } from "../core/state-store.ts";
import { Turns } from "../core/turns.ts";
import type { Drivers } from "./drivers.ts";
import { driverOptions } from "./engine-options.ts";
import { unlessAborted } from "./pause.ts";
import type { VolumeEngine } from "./volumes.ts";

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
  readonly #drivers: Pick<Drivers, "get">;
  readonly #volumes: Pick<VolumeEngine, "holderCount">;
  /** Of all measurements together: many small volumes must not keep the event loop either. */
  readonly #turns = new Turns();
  /** Bytes by the last measurement: a volume that was used since is another entry. */
  readonly #known = new WeakMap<VolumeEntry, number>();
  #running: Promise<readonly VolumeUsage[]> | undefined;

  constructor(parts: {
    readonly state: StateStore;
    readonly drivers: Pick<Drivers, "get">;
    readonly volumes: Pick<VolumeEngine, "holderCount">;
  }) {
    this.#state = parts.state;
    this.#drivers = parts.drivers;
    this.#volumes = parts.volumes;
  }

  /** Apparent bytes of one volume; -1 when its driver cannot say. Cost grows with its files. */
  async measure(entry: VolumeEntry, operation: Operation): Promise<number> {
    const usage = this.#drivers.get(entry.driver)?.usage;
    if (usage === undefined) return -1;
    while (this.#turns.isOver()) await this.#turns.next();
    operation.signal.throwIfAborted();
    try {
      const sizeBytes = (await usage.measure(entry.name, operation)).usedBytes ?? -1;
      if (sizeBytes >= 0) this.#known.set(entry, sizeBytes);
      return sizeBytes;
    } catch (error) {
      operation.signal.throwIfAborted();
      const { code, message } = toEngineError(error);
      operation.log.debug("not measured", { volume: entry.name, code, error: message });
      return -1;
    }
  }

  /** What the last measurement of this very entry gave; null: there was none, or it could not. */
  known(entry: VolumeEntry): number | null {
    return this.#known.get(entry) ?? null;
  }

  /**
   * Measures volumes side by side, each as `measure` does, for no more than `budgetMs` in all: who
   * is not in the answer was not measured in time.
   */
  async measureEach(
    entries: readonly VolumeEntry[],
    budgetMs: number,
    operation: Operation,
  ): Promise<ReadonlyMap<VolumeEntry, number>> {
    const budget = AbortSignal.timeout(budgetMs);
    const signal = AbortSignal.any([operation.signal, budget]);
    const measured = new Map<VolumeEntry, number>();
    const measuring = this.#sideBySide(entries, { ...operation, signal }, (entry, sizeBytes) => {
      // Who answers later than that is not waited for: its answer must not change ours.
      if (!signal.aborted) measured.set(entry, sizeBytes);
    });
    try {
      await unlessAborted(measuring, signal);
    } catch (error) {
      operation.signal.throwIfAborted();
      if (!budget.aborted) throw error;
    }
    return measured;
  }

  /**
   * Docker's selection for df: volumes of `local` that were created without options of the driver:
   * behind those may be a dead server. Who asks while
   * a measurement runs gets that one's answer: however many ask, one walks. It is nobody's own: the
   * signal of an operation ends the waiting of that one, and not the measurement.
   */
  async all(operation: Operation): Promise<readonly VolumeUsage[]> {
    operation.signal.throwIfAborted();
    const own = unfired(operation);
    this.#running ??= this.#measureAll(own).finally(() => {
      this.#running = undefined;
    });
    return await unlessAborted(this.#running, operation.signal);
  }

  async #measureAll(operation: Operation): Promise<readonly VolumeUsage[]> {
    const entries = this.#state.read((view) =>
      [...view.volumes()].filter(
        (entry) =>
          entry.driver === "local" && Object.keys(driverOptions(entry.options)).length === 0,
      ),
    );
    const usages: VolumeUsage[] = [];
    await this.#sideBySide(entries, operation, (entry, sizeBytes) => {
      const holderCount = this.#state.read((view) => this.#volumes.holderCount(entry, view));
      usages.push({ entry, sizeBytes, holderCount });
    });
    return usages;
  }

  async #sideBySide(
    entries: readonly VolumeEntry[],
    operation: Operation,
    measured: (entry: VolumeEntry, sizeBytes: number) => void,
  ): Promise<void> {
    const pending = entries.values();
    const worker = async (): Promise<void> => {
      for (const entry of pending) measured(entry, await this.measure(entry, operation));
    };
    await Promise.all(Array.from({ length: CONCURRENCY_COUNT }, worker));
  }
}
