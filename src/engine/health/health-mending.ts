// When storage is mended: as soon as an answer calls for it, again and again, twice as late each
// time. How is for `HealthCare` (health-care.ts).
import type { StorageState } from "../../core/driver.ts";
import { toEngineError } from "../../core/errors.ts";
import type { VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { HeldMounts } from "../holds/held-mounts.ts";
import type { Watch } from "./health-table.ts";

/** Mending that fails is tried again after so long, and twice as long each time, up to the end. */
const MENDING_MS = { first: 1_000, healMax: 60_000, mountMax: 4_000 } as const;

/** What mends. Both verbs throw what the driver throws, and are tried again. */
export interface HealthCare {
  /** Replaces a stale mount, here and for holders. */
  heal(name: VolumeName, operation: Operation): Promise<void>;
  /** Mounts again what is held and could not be mounted. */
  mount(name: VolumeName, operation: Operation): Promise<void>;
  /** The storage answers as it should. Never throws; what follows is done in the background. */
  noteAnswer(name: VolumeName, operation: Operation): void;
  /** Resolves when nothing of it goes on in the background. */
  stop(): Promise<void>;
}

export interface MendingParts {
  readonly care: Pick<HealthCare, "heal" | "mount">;
  readonly held: Pick<HeldMounts, "isUnmounted">;
  /** Of a clock that only goes forward, as `Watch.mending` counts. */
  readonly monotonicMs: () => number;
  /** Fires at the end of this life. */
  readonly signal: AbortSignal;
  /** An attempt has ended, well or not. */
  readonly ended: (watch: Watch) => void;
}

export class Mending {
  readonly #parts: MendingParts;
  readonly #running = new Set<Promise<void>>();

  constructor(parts: MendingParts) {
    this.#parts = parts;
  }

  /** Resolves when the attempts that run now have ended. */
  async stop(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** By what was answered just now, believed or not: a dead mount is dead at once. */
  consider(watch: Watch, answer: StorageState, operation: Operation): void {
    const { care, held, monotonicMs, signal, ended } = this.#parts;
    const { mending, name } = watch;
    const isUnmounted = held.isUnmounted(name);
    const isWanted = answer === "stale" || (isUnmounted && answer !== "unreachable");
    if (!isWanted || mending.isRunning || monotonicMs() < mending.dueMs) return;
    mending.isRunning = true;
    const own = { ...operation, signal };
    const heals = answer === "stale";
    const work = (heals ? care.heal(name, own) : care.mount(name, own))
      .then(
        () => {
          mending.failureCount = 0;
          const said = heals ? "a stale mount was replaced" : "a volume was mounted again";
          operation.log.info(said, { volume: name });
        },
        (error: unknown) => this.#failed(watch, { heals, error }, operation),
      )
      .finally(() => {
        mending.isRunning = false;
        this.#running.delete(work);
        ended(watch);
      });
    this.#running.add(work);
  }

  /** Logged once in a row: it is tried again and again. */
  #failed(
    { mending, name }: Watch,
    { heals, error }: { readonly heals: boolean; readonly error: unknown },
    operation: Operation,
  ): void {
    const { monotonicMs, signal } = this.#parts;
    const max = heals ? MENDING_MS.healMax : MENDING_MS.mountMax;
    const delayMs = Math.min(max, MENDING_MS.first * 2 ** mending.failureCount);
    mending.failureCount += 1;
    mending.dueMs = monotonicMs() + delayMs;
    if (mending.failureCount > 1 || signal.aborted) return;
    const { code, message } = toEngineError(error);
    const facts = { volume: name, code, error: message };
    if (heals) operation.log.warn("a stale mount could not be replaced yet", facts);
    else operation.log.warn("a volume could not be mounted again yet", facts);
  }
}
