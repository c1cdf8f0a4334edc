// Docker's prune: finds what is unused, then removes exactly that, skipping what changed meanwhile.
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { LeaseService } from "../../core/lease-service.ts";
import type { Operation } from "../../core/operation.ts";
import type { StateStore, VolumeEntry } from "../../core/state-store.ts";
import type { EventLog } from "../event-log.ts";
import type { ServiceList } from "../service-list.ts";
import type { Usage } from "../usage.ts";
import type { EngineAnswers, UseGuard } from "../use-guard.ts";
import {
  hasAnonymousLabel,
  isForDockerPrune,
  selects,
  type VolumeFilter,
} from "../volume-filter.ts";
import type { VolumeEngine } from "../volumes.ts";

/** How many volumes are removed side by side: they share commits. */
const CONCURRENCY_COUNT = 8;

/** Which volumes may go at all. */
export interface PruneChoice {
  /** Named ones too. */
  readonly all: boolean;
  /** Those that `prepare` found. */
  readonly services?: ServiceList;
}

/** What it would remove. Holdfast's own plans, which say why, are those of `prune-plans.ts`. */
export interface DockerPrune {
  readonly entries: readonly VolumeEntry[];
}

export interface PruneReport {
  readonly deleted: readonly string[];
  /**
   * Apparent bytes of what is purged at once; they are free when the background has done it. What
   * went into the trash takes its space as before.
   */
  readonly reclaimedBytes: number;
}

export interface PrunerParts {
  readonly state: StateStore;
  readonly leases: LeaseService;
  readonly volumes: VolumeEngine;
  readonly usage: Usage;
  readonly events: EventLog;
  readonly guard: UseGuard;
  /** Whether it would go into the trash for a while. */
  readonly isKept: (entry: VolumeEntry) => boolean;
}

export class Pruner {
  readonly #parts: PrunerParts;
  #isRunning = false;

  constructor(parts: PrunerParts) {
    this.#parts = parts;
  }

  /**
   * To be awaited before `plan`: ends holds that nobody has, and asks the engines which containers
   * and services there are. Throws `containers.unreachable`.
   */
  async prepare(operation: Operation): Promise<EngineAnswers> {
    const { state, guard } = this.#parts;
    const held = state.read((view) =>
      [...view.volumes()].filter(({ name }) => view.holders(name).length > 0),
    );
    const names = held.map(({ name }) => name);
    await guard.settle(names, operation);
    return await guard.askAll("prune", operation);
  }

  /**
   * Docker's rule of what may go: volumes of `local` without holders that were created without
   * options; anonymous ones only, unless `all`. The engine's own options count as well: who said
   * how a volume is shared made it on purpose. What a service names stays, unlike in Docker: it is
   * scaled up again one day. So does what is protected, or has a lock that somebody holds.
   */
  plan(filter: VolumeFilter, choice: PruneChoice): DockerPrune {
    const { state, volumes, guard } = this.#parts;
    return state.read((view) => {
      const isHeld = (entry: VolumeEntry) => volumes.holderCount(entry, view) > 0;
      const entries: VolumeEntry[] = [];
      for (const entry of view.volumes()) {
        if (!isPrunable(entry, choice) || isHeld(entry)) continue;
        if ((choice.services?.naming(entry.name).length ?? 0) > 0) continue;
        if (guard.lockUsers(entry.name).length > 0) continue;
        if (selects(filter, entry, isHeld)) entries.push(entry);
      }
      return { entries };
    });
  }

  /** Removes what the plan names and still fits. Throws `prune.running` while another one runs. */
  run(plan: DockerPrune, operation: Operation): Promise<PruneReport> {
    return this.alone(async () => {
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
    });
  }

  /** Does `work` while no other prune runs. Throws `prune.running` while one does. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isRunning) {
      throw new EngineError("prune.running", "a prune operation is already running");
    }
    this.#isRunning = true;
    try {
      return await work();
    } finally {
      this.#isRunning = false;
    }
  }

  /** The bytes that become free; undefined when it changed since the plan or refused. */
  async #removeOne(planned: VolumeEntry, operation: Operation): Promise<number | undefined> {
    const { state, leases, volumes, usage, guard, isKept } = this.#parts;
    try {
      const isMeasured = !isKept(planned);
      const sizeBytes = isMeasured ? Math.max(0, await usage.measure(planned, operation)) : 0;
      await using _lease = await leases.acquire(`volume:${planned.name}`, "exclusive", operation);
      if (state.read((view) => view.volume(planned.name)) !== planned) return undefined;
      await guard.refuseServed(planned, operation);
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
  if (entry.phase !== "ready" || entry.protection !== null) return false;
  return isForDockerPrune(entry) && (choice.all || hasAnonymousLabel(entry));
}
