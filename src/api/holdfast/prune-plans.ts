// The routes of prune plans: make one, look at it, do exactly that.
import type { Engine } from "../../engine/engine.ts";
import type { PruneQuestion } from "../../engine/prune/prune-eligibility.ts";
import type { PrunePlan } from "../../engine/prune/prune-plans.ts";
import { labelCondition } from "../docker/filters.ts";
import { instantOf } from "../holder-objects.ts";
import type { Body } from "./body.ts";
import type { Call } from "./call.ts";

/** The handlers of `makePrunePlan`, `prunePlan` and `applyPrunePlan`. */
export function prunePlanHandlers({ plans }: Engine) {
  return {
    makePrunePlan: async ({ body, context }: Call) =>
      planObject(await plans.make(questionOf(body), context.operation)),
    prunePlan: ({ path }: Call) => planObject(plans.find(path["id"] ?? "")),
    applyPrunePlan: async ({ path, context }: Call) => {
      const { removed, skipped } = await plans.apply(path["id"] ?? "", context.operation);
      return {
        removed: removed.map(({ name, trashId, sizeBytes }) => ({ name, trashId, sizeBytes })),
        skipped: skipped.map(({ name, why }) => ({ name, why })),
      };
    },
  };
}

function questionOf(body: Body): PruneQuestion {
  const drivers = body.texts("drivers");
  const labels = body.texts("labels").map(labelCondition);
  const withoutLabels = body.texts("withoutLabels").map(labelCondition);
  const unusedForMs = body.count("unusedForMs");
  const largerBytes = body.count("largerBytes");
  return {
    filter: {
      ...(drivers.length > 0 ? { drivers: new Set(drivers) } : {}),
      ...(labels.length > 0 ? { labels } : {}),
      ...(withoutLabels.length > 0 ? { withoutLabels } : {}),
    },
    isAll: body.flag("all"),
    ...(unusedForMs === undefined ? {} : { unusedForMs }),
    ...(largerBytes === undefined ? {} : { largerBytes }),
    ...(body.texts("projects").length > 0 ? { projects: new Set(body.texts("projects")) } : {}),
    measure: body.flag("measure"),
  };
}

function planObject(plan: PrunePlan): object {
  return {
    id: plan.id,
    madeAt: instantOf(plan.madeAtMs),
    expiresAt: instantOf(plan.expiresAtMs),
    volumes: plan.volumes.map((each) => ({
      name: each.entry.name,
      driver: each.entry.driver,
      sizeBytes: each.sizeBytes,
      lastUsedAt: instantOf(each.lastUsedAtMs),
      lastHolder: each.lastHolder,
      project: each.project,
      why: each.why,
      fate: each.fate,
    })),
    kept: plan.kept.map(({ name, why }) => ({ name, why })),
  };
}
