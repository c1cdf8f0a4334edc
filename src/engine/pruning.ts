// Prune: plan what is unused, then remove exactly that, skipping what changed meanwhile.
import { EngineError, toEngineError } from "../core/errors.ts";
import type { LeaseService } from "../core/lease-service.ts";
import type { Operation } from "../core/operation.ts";
import type { StateStore, VolumeEntry } from "../core/state-store.ts";
import type { EventLog } from "./event-log.ts";
import type { Usage } from "./usage.ts";
import { ANONYMOUS_LABEL, selects, type VolumeFilter } from "./volume-filter.ts";
import type { VolumeEngine } from "./volumes.ts";

/** How many volumes are removed side by side: they share commits. */
const CONCURRENCY_COUNT = 8;
/** The only driver whose volumes a prune removes: Docker's rule. */
const PRUNED_DRIVER = "local";

/** What a prune would remove. */
export interface PrunePlan {
  readonly entries: readonly VolumeEntry[];
}

export interface PruneReport {
  readonly deleted: readonly string[];
  /** Apparent bytes of what was removed; they are free once the background has purged them. */
  readonly reclaimedBytes: number;
}

export interface PrunerParts {
  readonly state: StateStore;
  readonly leases: LeaseService;
  readonly volumes: VolumeEngine;
  readonly usage: Usage;
  readonly events: EventLog;
}

export class Pruner {
  readonly #parts: PrunerParts;
  #isRunning = false;

  constructor(parts: PrunerParts) {
    this.#parts = parts;
  }

  /**
   * Docker's rule of what may go: volumes of `local` without holders that were created without
   * options; anonymous ones only, unless `all`. The engine's own options count as well: who said
   * how a volume is shared made it on purpose.
   */
  plan(filter: VolumeFilter, choice: { readonly all: boolean }): PrunePlan {
    return this.#parts.state.read((view) => {
      const entries: VolumeEntry[] = [];
      for (const entry of view.volumes()) {
        if (!isPrunable(entry, choice) || view.holders(entry.name).length > 0) continue;
        if (selects(filter, entry, view)) entries.push(entry);
      }
      return { entries };
    });
  }

  /** Removes what the plan names and still fits. Throws `prune.running` while another one runs. */
  async run(plan: PrunePlan, operation: Operation): Promise<PruneReport> {
    if (this.#isRunning) {
      throw new EngineError("prune.running", "a prune operation is already running");
    }
    this.#isRunning = true;
    try {
      const pending = [...plan.entries];
      const deleted: string[] = [];
      let reclaimedBytes = 0;
      const worker = async (): Promise<void> => {
        for (let entry = pending.shift(); entry !== undefined; entry = pending.shift()) {
          const bytes = await this.#removeOne(entry, operation);
          if (bytes === undefined) continue;
          deleted.push(entry.name);
          reclaimedBytes += bytes;
        }
      };
      await Promise.all(Array.from({ length: CONCURRENCY_COUNT }, worker));
      this.#parts.events.pruned(reclaimedBytes);
      return { deleted, reclaimedBytes };
    } finally {
      this.#isRunning = false;
    }
  }

  /** The bytes of what was removed; undefined when it changed since the plan or refused. */
  async #removeOne(planned: VolumeEntry, operation: Operation): Promise<number | undefined> {
    const { state, leases, volumes, usage } = this.#parts;
    try {
      const sizeBytes = Math.max(0, await usage.measure(planned, operation));
      await using _lease = await leases.acquire(`volume:${planned.name}`, "exclusive", operation);
      if (state.read((view) => view.volume(planned.name)) !== planned) return undefined;
      await volumes.removeHeld(planned, "prune", operation);
      return sizeBytes;
    } catch (error) {
      // Docker's rule: one volume that resists does not end the prune; it is logged here, once.
      const { code, message } = toEngineError(error);
      operation.log.warn("prune left a volume", { volume: planned.name, code, error: message });
      return undefined;
    }
  }
}

function isPrunable(entry: VolumeEntry, choice: { readonly all: boolean }): boolean {
  if (entry.driver !== PRUNED_DRIVER || entry.phase !== "ready") return false;
  if (entry.options !== null && Object.keys(entry.options).length > 0) return false;
  return choice.all || (entry.labels !== null && Object.hasOwn(entry.labels, ANONYMOUS_LABEL));
}
