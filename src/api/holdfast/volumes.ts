// The routes of volumes: lists, one, removal, and the mounts of clients.
import { parseHolderId } from "../../core/names.ts";
import type { Engine } from "../../engine/engine.ts";
import { isOld } from "../../engine/health/health-table.ts";
import { type Call, checkConfirmed, invalid, parseCount, parseFlag } from "./call.ts";
import { lastReport } from "./doctor.ts";
import { type ChangeWords, changeObject } from "./history.ts";
import { VOLUMES_PAGE_COUNT_MAX } from "./volume-contract.ts";
import { oneVolume, volumeObjects } from "./volume-object.ts";

/** How many of its last changes a volume is shown with. */
const CHANGES_COUNT_MAX = 10;

/** The handlers of `volumes`, `volume`, `remove`, `mount` and `unmount`. */
export function volumeHandlers(engine: Engine, words: ChangeWords) {
  const { volumes, holds, state } = engine;
  return {
    volumes: async ({ query, context }: Call) => {
      const countMax = parseCount(query, VOLUMES_PAGE_COUNT_MAX);
      await Promise.all([holds.refresh(context.operation), engine.pluginVolumes.refresh()]);
      const { entries, next } = volumes.page(query.get("after") ?? "", countMax);
      return state.read((view) => ({ volumes: entries.map(volumeObjects(engine, view)), next }));
    },
    volume: async ({ path, context }: Call) => {
      const name = path["name"] ?? "";
      volumes.inspect(name);
      await holds.refresh(context.operation);
      const { createdAtMs, name: known } = volumes.inspect(name);
      const query = { countMax: CHANGES_COUNT_MAX };
      const { entries } = await engine.history.of(known, query, context.operation);
      const own = entries.filter(({ atMs }) => atMs >= createdAtMs);
      const changes = own.map((each) => changeObject(each, words));
      const report = lastReport(engine, known);
      engine.health.askSoon(known, isOld);
      return { ...oneVolume(engine, name), doctor: report, history: changes };
    },
    remove: async ({ path, query, context }: Call) => {
      const name = path["name"] ?? "";
      const purge = parseFlag("purge", query);
      const force = parseFlag("force", query);
      if (purge) checkConfirmed(query, name, `destroying ${name}`);
      else if (query.has("confirm")) {
        throw invalid("confirm", query.get("confirm"), "only what is purged is confirmed");
      }
      await volumes.remove(name, context.operation, { purge, force });
    },
    mount: async ({ path, context }: Call) => {
      const holder = parseHolderId(path["holder"] ?? "");
      return { path: await volumes.mount(path["name"] ?? "", holder, context.operation) };
    },
    unmount: async ({ path, context }: Call) => {
      const holder = parseHolderId(path["holder"] ?? "");
      const name = path["name"] ?? "";
      // A container engine's own hold is ended by its rules, whoever asks.
      if (holds.has(name, holder)) await holds.unmount(name, holder, context.operation);
      else await volumes.unmount(name, holder, context.operation);
    },
  };
}
