// The route of a volume's conflicts: from the history, so that they outlive the daemon.
import type { Operation } from "../../core/operation.ts";
import type { HistoryPage, VolumeEntry } from "../../core/state-store.ts";
import {
  blindSpots,
  CONFLICT_WORDS,
  type NamedWriter,
  parseConflictLine,
} from "../../engine/conflict-words.ts";
import type { Engine } from "../../engine/engine.ts";
import { instantOf } from "../holder-objects.ts";
import { type Call, invalid, parseCount } from "./call.ts";
import { CONFLICTS_ANSWER_COUNT_MAX } from "./conflict-contract.ts";

/** How many changes are looked at at once. */
const PAGE_COUNT = 1_000;

/** The handler of `conflicts`. */
export function conflictHandlers(engine: Engine) {
  return {
    conflicts: async ({ path, query, context }: Call) => {
      const entry = engine.volumes.inspect(path["name"] ?? "");
      const countMax = parseCount(query, CONFLICTS_ANSWER_COUNT_MAX);
      const sinceMs = Math.max(entry.createdAtMs, parseSince(query.get("since")));
      await engine.writeGuard.settle(context.operation);
      const conflicts = await conflictsOf(engine, { entry, countMax, sinceMs }, context.operation);
      const watching = engine.writeGuard.watchingOf(entry);
      return { conflicts, watching, blind: blindSpots };
    },
  };
}

function parseSince(text: string | null): number {
  if (text === null) return Number.NEGATIVE_INFINITY;
  if (/^-?\d{1,12}(?:\.\d{1,9})?$/.test(text)) return Number(text) * 1_000;
  throw invalid("since", text, "seconds since 1970 are needed, as in 1798761600.5");
}

interface Wanted {
  readonly entry: VolumeEntry;
  readonly countMax: number;
  readonly sinceMs: number;
}

async function conflictsOf(
  engine: Engine,
  { entry, countMax, sinceMs }: Wanted,
  operation: Operation,
): Promise<readonly object[]> {
  const found: object[] = [];
  for (let before: number | null = Number.POSITIVE_INFINITY; before !== null; ) {
    const wanted = { before, countMax: PAGE_COUNT };
    const page: HistoryPage = await engine.history.of(entry.name, wanted, operation);
    for (const { action, atMs, subject } of page.entries) {
      if (atMs < sinceMs || found.length >= countMax) return found;
      const conflict = action === "conflict" ? parseConflictLine(subject) : undefined;
      if (conflict === undefined) continue;
      const writers = conflict.writers.map((writer) => writerObject(engine, writer));
      found.push({ at: instantOf(atMs), file: conflict.file, writers, what: CONFLICT_WORDS });
    }
    before = page.next;
  }
  return found;
}

function writerObject({ lists }: Engine, { name, program }: NamedWriter): object {
  const listed = lists.latest.containers.find((container) => container.name === name);
  return { container: listed?.id ?? null, name, program: program === "" ? null : program };
}
