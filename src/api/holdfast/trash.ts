// The routes of the trash: a list, one entry, restoring, purging, protecting.
import type { RetiredEntry } from "../../core/state-store.ts";
import type { Engine } from "../../engine/engine.ts";
import { isAnonymous } from "../../engine/volume-filter.ts";
import { instantOf } from "../holder-objects.ts";
import { type Call, checkConfirmed, invalid, parseCount, parseFlag } from "./call.ts";
import { TRASH_PAGE_COUNT_MAX } from "./trash-contract.ts";
import { oneVolume, protectionObject } from "./volume-object.ts";

/**
 * The handlers of `trash`, `trashEntry`, `restore`, `purge`, `protectTrash` and `unprotectTrash`.
 */
export function trashHandlers(engine: Engine) {
  const { trash } = engine;
  return {
    trash: ({ query }: Call) => page(engine, query),
    trashEntry: ({ path }: Call) => entryObject(engine, trash.find(path["ref"] ?? "")),
    restore: async ({ path, body, context }: Call) => {
      const { id } = trash.find(path["ref"] ?? "");
      const { name } = await trash.restore(id, body.text("as"), context.operation);
      return oneVolume(engine, name);
    },
    purge: async ({ path, query, context }: Call) => {
      const { id, volume } = trash.find(path["ref"] ?? "");
      const waits = parseFlag("wait", query);
      checkConfirmed(query, volume.name, `purging ${id}`);
      await trash.purge(id, context.operation);
      if (waits) await trash.purged(id, context.operation);
    },
    protectTrash: async ({ path, body, context }: Call) => {
      const { id } = trash.find(path["ref"] ?? "");
      const reason = body.text("reason") ?? "";
      return entryObject(engine, await trash.protect(id, reason, context.operation));
    },
    unprotectTrash: async ({ path, query, context }: Call) => {
      const { id, volume } = trash.find(path["ref"] ?? "");
      checkConfirmed(query, volume.name, `lifting the protection of ${id}`);
      return entryObject(engine, await trash.unprotect(id, context.operation));
    },
  };
}

/** A place in the list: entries that went or came meanwhile do not move it. */
interface Place {
  readonly atMs: number;
  readonly id: string;
}

function page(engine: Engine, query: URLSearchParams): unknown {
  const countMax = parseCount(query, TRASH_PAGE_COUNT_MAX);
  const name = query.get("name");
  const after = parsePlace(query.get("after"));
  // Sorted once, and only what is left of it: there may be 100,000.
  const wanted = engine.state.read((view) =>
    [...view.retired()].filter((entry) => {
      return (name === null || entry.volume.name === name) && isBehind(entry, after);
    }),
  );
  const found = wanted.sort(newestFirst).slice(0, countMax);
  const last = wanted.length > countMax ? found.at(-1) : undefined;
  const { entryCount, purgingCount, knownBytes, unmeasuredCount, budgetBytes } =
    engine.trash.totals();
  return {
    entries: found.map((entry) => entryObject(engine, entry)),
    next: last === undefined ? null : `${last.retiredAtMs}:${last.id}`,
    totals: {
      entries: entryCount,
      purging: purgingCount,
      knownBytes,
      unmeasured: unmeasuredCount,
      budgetBytes,
    },
  };
}

function newestFirst(a: RetiredEntry, b: RetiredEntry): number {
  return b.retiredAtMs - a.retiredAtMs || (a.id < b.id ? -1 : 1);
}

function isBehind({ retiredAtMs, id }: RetiredEntry, after: Place | undefined): boolean {
  if (after === undefined) return true;
  return retiredAtMs < after.atMs || (retiredAtMs === after.atMs && id > after.id);
}

function parsePlace(text: string | null): Place | undefined {
  if (text === null) return undefined;
  const [, atMs, id] = /^(-?\d{1,16}):(t-[0-9a-f]+)$/.exec(text) ?? [];
  if (atMs !== undefined && id !== undefined) return { atMs: Number(atMs), id };
  throw invalid("after", text, "the `next` of the last page is needed");
}

function entryObject({ purger }: Pick<Engine, "purger">, entry: RetiredEntry): object {
  const { id, volume, phase, retiredAtMs, removedBy, purgeAtMs, sizeBytes } = entry;
  return {
    id,
    name: volume.name,
    driver: volume.driver,
    origin: volume.origin,
    phase,
    waitingFor: (phase === "purging" ? purger.reasonOf(id) : undefined) ?? null,
    sizeBytes,
    removedAt: instantOf(retiredAtMs),
    removedBy,
    purgesAt: phase === "kept" ? instantOf(purgeAtMs) : null,
    protection: protectionObject(volume.protection),
    labels: volume.labels,
    options: volume.options,
    note: volume.note,
    createdAt: instantOf(volume.createdAtMs),
    aliases: entry.aliases,
    wasAnonymous: isAnonymous(volume),
  };
}
