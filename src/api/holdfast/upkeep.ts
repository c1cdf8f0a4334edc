// The routes that change a volume in place: protection, labels, note, options, name.
import { parseVolumeName } from "../../core/names.ts";
import type { Engine } from "../../engine/engine.ts";
import type { VolumeChange } from "../../engine/upkeep.ts";
import type { Body } from "./body.ts";
import type { Call } from "./call.ts";
import { oneVolume } from "./volume-object.ts";

/** The handlers of `update`, `rename`, `protect`, `unprotect` and `removeAlias`. */
export function upkeepHandlers(engine: Engine) {
  const { upkeep } = engine;
  return {
    update: async ({ path, body, context }: Call) => {
      const { name } = await upkeep.update(path["name"] ?? "", changeOf(body), context.operation);
      return oneVolume(engine, name);
    },
    rename: async ({ path, body, context }: Call) => {
      const to = parseVolumeName(body.text("to") ?? "");
      const how = { keepAlias: body.flag("keepAlias") };
      const { name } = await upkeep.rename(path["name"] ?? "", to, how, context.operation);
      return oneVolume(engine, name);
    },
    protect: async ({ path, body, context }: Call) => {
      const reason = body.text("reason") ?? "";
      const { name } = await upkeep.protect(path["name"] ?? "", reason, context.operation);
      return oneVolume(engine, name);
    },
    unprotect: async ({ path, query, context }: Call) => {
      const confirm = query.get("confirm") ?? "";
      const { name } = await upkeep.unprotect(path["name"] ?? "", confirm, context.operation);
      return oneVolume(engine, name);
    },
    removeAlias: async ({ path, context }: Call) => {
      await upkeep.removeAlias(parseVolumeName(path["alias"] ?? ""), context.operation);
    },
  };
}

function changeOf(body: Body): VolumeChange {
  return {
    labelsSet: body.map("labelsSet"),
    labelsRemoved: body.texts("labelsRemoved"),
    ...(body.has("note") ? { note: body.text("note") ?? null } : {}),
    optionsSet: body.map("optionsSet"),
    optionsRemoved: body.texts("optionsRemoved"),
  };
}
