// The routes that change a volume in place: protection, labels, note, options, name; and the one
// that brings what was written to its storage.
import { toEngineError } from "../../core/errors.ts";
import { parseVolumeName } from "../../core/names.ts";
import type { Engine } from "../../engine/engine.ts";
import type { VolumeChange } from "../../engine/upkeep.ts";
import type { Body } from "./body.ts";
import { type Call, checkConfirmed, LineStream } from "./call.ts";
import { KeptLines } from "./kept-lines.ts";
import { oneVolume } from "./volume-object.ts";

/** The handlers of `update`, `flush`, `rename`, `protect`, `unprotect` and `removeAlias`. */
export function upkeepHandlers(engine: Engine) {
  const { upkeep, volumes } = engine;
  return {
    update: async ({ path, body, context }: Call) => {
      const { name } = await upkeep.update(path["name"] ?? "", changeOf(body), context.operation);
      return oneVolume(engine, name);
    },
    flush: (call: Call) => flush(engine, call),
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
      const { name } = volumes.inspect(path["name"] ?? "");
      checkConfirmed(query, name, `lifting the protection of ${name}`);
      await upkeep.unprotect(name, context.operation);
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

/**
 * A line for each time that the driver tells what is left, with how its storage is, and one with
 * nothing left at the end. What is refused before the first line has its status; afterwards a
 * failure is the last line.
 */
async function flush({ upkeep, volumes, health }: Engine, { path: { name = "" }, context }: Call) {
  const entry = volumes.inspect(name);
  const lines = new KeptLines();
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const tell = (left: { readonly files: number; readonly bytes: number }) => {
    const known = health.of(entry.name);
    const storage = known && { state: known.state, reason: known.reason || null };
    lines.write(`${JSON.stringify({ ...left, ...storage })}\n`);
    begin();
  };
  const work = upkeep.flush(name, context.operation, ({ fileCount: files, bytes }) =>
    tell({ files, bytes }),
  );
  await Promise.race([work, begun]);
  work
    .then(() => tell({ files: 0, bytes: 0 }))
    .catch((thrown: unknown) => {
      const { message, code, recovery } = toEngineError(thrown);
      lines.write(`${JSON.stringify({ error: message, code, recovery })}\n`);
    })
    .finally(() => lines.end());
  return new LineStream((writer) => lines.sendTo(writer));
}
