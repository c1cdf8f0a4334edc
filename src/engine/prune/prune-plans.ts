// Prune plans: what would go, how big it is and why; applied as they are or, where something
// changed since, not.
import { EngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { VolumeEntry } from "../../core/state-store.ts";
import type { Drivers } from "../drivers.ts";
import { fateAt } from "../trash/fate-text.ts";
import type { TrashDefaults } from "../trash/policy.ts";
import type { Usage } from "../usage.ts";
import type { EngineAnswers } from "../use-guard.ts";
import { type ApplyParts, applyPlan, type PlanResult } from "./prune-apply.ts";
import {
  containersByVolume,
  judge,
  judgeSize,
  type PruneQuestion,
  projectOf,
} from "./prune-eligibility.ts";
import type { Pruner } from "./pruning.ts";

/** How long a plan can be applied, in milliseconds. */
export const PLAN_MS_MAX = 3_600_000;
/** How many plans are kept; the oldest go first. */
export const PLAN_COUNT_MAX = 64;
/** How many volumes all plans that are kept may have together, but for the newest plan. */
const PLANNED_COUNT_MAX = 100_000;
/** How long a plan may take to measure its volumes, in milliseconds. */
const MEASURE_MS_MAX = 10_000;
/** Bytes of randomness in an id: one of an old plan must not mean a new one. */
const ID_BYTES = 3;

/** A volume that goes when the plan is applied. */
export interface PlannedVolume {
  readonly entry: VolumeEntry;
  /** Apparent bytes; null: not measured, or not measurable. */
  readonly sizeBytes: number | null;
  /** The end of its last use in milliseconds since the epoch; null: none is known. */
  readonly lastUsedAtMs: number | null;
  /** Who had it then. */
  readonly lastHolder: string | null;
  /** The Compose project of its label. */
  readonly project: string | null;
  /** "anonymous, never used, made 3 days ago", "unused for 45 days". */
  readonly why: string;
  /** "trash until 2026-10-22", "trash until somebody purges it", "purged at once", … */
  readonly fate: string;
}

/** What the question is about and nobody has just now, and stays all the same. */
export interface KeptVolume {
  readonly name: VolumeName;
  /** "protected: prod orders", "container db is only stopped", "service web names it", … */
  readonly why: string;
}

export interface PrunePlan {
  /** `p-` and 6 hex digits. */
  readonly id: string;
  /** Milliseconds since the epoch, as `expiresAtMs`. */
  readonly madeAtMs: number;
  readonly expiresAtMs: number;
  /** In the order of their creation, as `kept`. */
  readonly volumes: readonly PlannedVolume[];
  readonly kept: readonly KeptVolume[];
}

export interface PrunePlansParts extends ApplyParts {
  readonly pruner: Pruner;
  readonly drivers: Pick<Drivers, "get" | "isOfPlugin">;
  readonly usage: Usage;
  readonly host: Pick<Host, "nowMs" | "randomHex">;
  readonly trashDefaults: TrashDefaults;
}

/** A volume that may go, but for its size. */
interface Candidate {
  readonly entry: VolumeEntry;
  readonly why: string;
}

/** The plans of this life: in memory only, so that a restart forgets them. */
export class PrunePlans {
  readonly #parts: PrunePlansParts;
  /** In the order in which they were made. */
  readonly #plans = new Map<string, PrunePlan>();

  constructor(parts: PrunePlansParts) {
    this.#parts = parts;
  }

  /**
   * Says what a prune would remove, and removes nothing. The plan can be applied for an hour, while
   * there are no 64 newer ones and the daemon is not restarted. Sizes are measured for some seconds
   * where they are asked for; what was measured before, and not used since, has its size anyway.
   * Throws `containers.unreachable`.
   */
  async make(question: PruneQuestion, operation: Operation): Promise<PrunePlan> {
    const { pruner, host } = this.#parts;
    const answers = await pruner.prepare(operation);
    const { candidates, kept } = this.#judgeAll(question, answers);
    const sizes = await this.#sizes(question, candidates, operation);
    const madeAtMs = host.nowMs();
    const volumes: PlannedVolume[] = [];
    for (const { entry, why } of candidates) {
      const sizeBytes = sizes(entry);
      const verdict = judgeSize(sizeBytes, why, question);
      if (verdict.kind === "goes") volumes.push(this.#planned(entry, sizeBytes, why, madeAtMs));
      if (verdict.kind === "kept") kept.push({ name: entry.name, why: verdict.why });
    }
    const expiresAtMs = madeAtMs + PLAN_MS_MAX;
    const plan: PrunePlan = { id: this.#newId(), madeAtMs, expiresAtMs, volumes, kept };
    this.#keep(plan);
    return plan;
  }

  /** The plan of this id. Throws `prune.plan_not_found`, also when its hour is over. */
  find(id: string): PrunePlan {
    this.#forgetExpired();
    const plan = this.#plans.get(id);
    if (plan !== undefined) return plan;
    throw new EngineError(
      "prune.plan_not_found",
      `prune plan ${id}: no such plan; a plan is kept for an hour, can be applied once, and a ` +
        "restart forgets it",
      { details: { plan: id } },
    );
  }

  /**
   * Removes what the plan names and is as it was then, and says of everything else why it stays. A
   * plan can be applied once: afterwards it is not found. Throws `prune.plan_not_found`,
   * `prune.running` or `containers.unreachable`, which leave the plan to be applied later, and the
   * reason of an operation that was cancelled in the middle.
   */
  async apply(id: string, operation: Operation): Promise<PlanResult> {
    const { pruner } = this.#parts;
    const plan = this.find(id);
    return await pruner.alone(async () => {
      await pruner.prepare(operation);
      this.#plans.delete(id);
      return await applyPlan(this.#parts, plan, operation);
    });
  }

  #judgeAll(
    question: PruneQuestion,
    { list, services }: EngineAnswers,
  ): { readonly candidates: readonly Candidate[]; readonly kept: KeptVolume[] } {
    const { state, host, drivers, guard } = this.#parts;
    const { lockUsers } = guard;
    const isOfPlugin = (entry: VolumeEntry) => drivers.isOfPlugin(entry.driver);
    const containers = containersByVolume(list);
    const nowMs = host.nowMs();
    const around = { containers, services, nowMs, isOfPlugin, lockUsers };
    return state.read((view) => {
      const candidates: Candidate[] = [];
      const kept: KeptVolume[] = [];
      for (const entry of view.volumes()) {
        const verdict = judge(entry, question, { view, ...around });
        if (verdict.kind === "goes") candidates.push({ entry, why: verdict.why });
        if (verdict.kind === "kept") kept.push({ name: entry.name, why: verdict.why });
      }
      return { candidates, kept };
    });
  }

  /** undefined: not measured in time; null: not asked for, or not measurable. */
  async #sizes(
    { measure, largerBytes }: PruneQuestion,
    candidates: readonly Candidate[],
    operation: Operation,
  ): Promise<(entry: VolumeEntry) => number | null | undefined> {
    const { usage } = this.#parts;
    if (!measure && largerBytes === undefined) return (entry) => usage.known(entry);
    const entries = candidates.map(({ entry }) => entry);
    const measured = await usage.measureEach(entries, MEASURE_MS_MAX, operation);
    return (entry) => {
      const sizeBytes = measured.get(entry) ?? usage.known(entry) ?? undefined;
      return sizeBytes === -1 ? null : sizeBytes;
    };
  }

  #planned(
    entry: VolumeEntry,
    sizeBytes: number | null | undefined,
    why: string,
    nowMs: number,
  ): PlannedVolume {
    const { drivers, trashDefaults } = this.#parts;
    const doomed = { entry, driver: drivers.get(entry.driver), defaults: trashDefaults };
    return {
      entry,
      sizeBytes: sizeBytes ?? null,
      lastUsedAtMs: entry.lastUse?.atMs ?? null,
      lastHolder: entry.lastUse?.holder || null,
      project: projectOf(entry),
      why,
      fate: fateAt(nowMs, doomed),
    };
  }

  #newId(): string {
    for (;;) {
      const id = `p-${this.#parts.host.randomHex(ID_BYTES)}`;
      if (!this.#plans.has(id)) return id;
    }
  }

  #keep(plan: PrunePlan): void {
    this.#forgetExpired();
    this.#plans.set(plan.id, plan);
    let count = 0;
    for (const { volumes, kept } of this.#plans.values()) count += volumes.length + kept.length;
    for (const [id, { volumes, kept }] of this.#plans) {
      if (id === plan.id) break;
      if (this.#plans.size <= PLAN_COUNT_MAX && count <= PLANNED_COUNT_MAX) break;
      this.#plans.delete(id);
      count -= volumes.length + kept.length;
    }
  }

  #forgetExpired(): void {
    const nowMs = this.#parts.host.nowMs();
    for (const [id, { expiresAtMs }] of this.#plans) {
      if (expiresAtMs <= nowMs) this.#plans.delete(id);
    }
  }
}
