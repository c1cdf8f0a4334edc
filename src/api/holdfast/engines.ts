// The routes of container engines: who has used the volume driver socket, and forgetting one.
import { EngineError } from "../../core/errors.ts";
import type { Operation } from "../../core/operation.ts";
import type { StateView } from "../../core/state-store.ts";
import type { ContainerList, ContainerLists } from "../../engine/container-lists.ts";
import type { Engine } from "../../engine/engine.ts";
import { instantOf } from "../holder-objects.ts";
import { type Call, parseFlag } from "./call.ts";

/** The handlers of `engines` and `forgetEngine`. */
export function engineHandlers({ lists, state }: Engine) {
  return {
    engines: async ({ context }: Call) => {
      const list = await lists.ask(context.operation);
      return { engines: state.read((view) => engineObjects(view, list)) };
    },
    forgetEngine: async ({ path, query, context }: Call) => {
      const key = path["key"] ?? "";
      if (!parseFlag("force", query)) await refuseLiving(lists, key, context.operation);
      if (await lists.forget(key)) {
        context.operation.log.info("a container engine was forgotten", { engine: key });
        return;
      }
      throw new EngineError("engine.unknown", `no engine ${JSON.stringify(key)} is known`, {
        details: { engine: key },
      });
    },
  };
}

function engineObjects(view: StateView, list: ContainerList): readonly unknown[] {
  return [...view.engines()].map(({ key, sinceMs }) => {
    const silent = list.unreachable.find((each) => each.key === key);
    const containers = list.containers.filter(({ engine }) => engine.key === key);
    return {
      key,
      since: instantOf(sinceMs),
      containers: silent === undefined ? containers.length : null,
      error: silent?.reason ?? null,
    };
  });
}

/** Forgetting it would let the volumes of its stopped containers be removed. */
async function refuseLiving(
  lists: ContainerLists,
  key: string,
  operation: Operation,
): Promise<void> {
  const { containers } = await lists.ask(operation);
  const own = containers.filter(({ engine }) => engine.key === key);
  if (own.length === 0) return;
  const names = own.slice(0, 3).map(({ name }) => name);
  const more = own.length > names.length ? ` and ${own.length - names.length} more` : "";
  throw new EngineError(
    "engine.in_use",
    `${key} answers, and has containers with volumes: ${names.join(", ")}${more}`,
    { details: { engine: key, containers: own.map(({ id }) => id) } },
  );
}
