// The routes of adoptions: a plan, and volumes coming and going.

import { type AdoptionPlan, userText } from "../../engine/adoption/adoption-plan.ts";
import type { Engine } from "../../engine/engine.ts";
import { ADOPTION_ENGINE_DEFAULT } from "./adoption-contract.ts";
import type { Call } from "./call.ts";

/** The handlers of `adoptions`, `adopt` and `release`; `show` is what `adopt` answers with. */
export function adoptionHandlers(engine: Engine, show: (name: string) => unknown) {
  const { adoptions } = engine;
  return {
    adoptions: async ({ query, context }: Call) => {
      const plan = await adoptions.plan(engineOf(query), context.operation);
      return { volumes: plan.map(planObject) };
    },
    adopt: async ({ path, query, context }: Call) => {
      const { operation } = context;
      const { name } = await adoptions.adopt(path["name"] ?? "", engineOf(query), operation);
      return show(name);
    },
    release: async ({ path, query, context }: Call) => {
      await adoptions.release(path["name"] ?? "", engineOf(query), context.operation);
    },
  };
}

function engineOf(query: URLSearchParams): string {
  return query.get("engine") ?? ADOPTION_ENGINE_DEFAULT;
}

function planObject({ volume, obstacle }: AdoptionPlan): unknown {
  const { name, mountpoint, labels, options, users } = volume;
  return {
    ...{ name, mountpoint, labels, options },
    usedBy: users.map(userText),
    action: obstacle === undefined ? "adopt" : "none",
    reason: obstacle?.message ?? null,
    code: obstacle?.code ?? null,
  };
}
