// The route of a volume's conflicts: from the history, so that they outlive the daemon.
import type { Operation } from "../../core/operation.ts";
import type { VolumeEntry } from "../../core/state-store.ts";
import type { Engine } from "../../engine/engine.ts";
import {
  blindSpots,
  CONFLICT_WORDS,
  type NamedWriter,
  parseConflictLine,
} from "../../engine/guard/conflict-words.ts";
import { instantOf } from "../holder-objects.ts";
import { type Call, invalid, parseCount } from "./call.ts";
import { CONFLICTS_ANSWER_COUNT_MAX, CONFLICTS_SPAN_COUNT } from "./conflict-contract.ts";

/** The handler of `conflicts`. */
export function conflictHandlers(engine: Engine) {
  return {
    conflicts: async ({ path, query, context }: Call) => {
      const entry = engine.volumes.inspect(path["name"] ?? "");
      const countMax = parseCount(query, CONFLICTS_ANSWER_COUNT_MAX);
      const sinceMs = Math.max(entry.createdAtMs, parseSince(query.get("since")));
      await engine.writeGuard.settle(context.operation);
      const found = await conflictsOf(engine, { entry, countMax, sinceMs }, context.operation);
      const watching = engine.writeGuard.watchingOf(entry);
      return { ...found, watching, blind: blindSpots };
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

interface Found {
  readonly conflicts: readonly object[];
  readonly cut: string | null;
}

async function conflictsOf(
  engine: Engine,
  { entry, countMax, sinceMs }: Wanted,
  operation: Operation,
): Promise<Found> {
  const { history } = engine;
  const looked = { countMax: CONFLICTS_SPAN_COUNT, spanMax: CONFLICTS_SPAN_COUNT };
  const { entries, next } = await history.of(entry.name, looked, operation);
  const conflicts: object[] = [];
  let lastMs = Number.POSITIVE_INFINITY;
  for (const { action, atMs, subject } of entries) {
    if (atMs < sinceMs) return { conflicts, cut: null };
    const conflict = action === "conflict" ? parseConflictLine(subject) : undefined;
    if (conflict === undefined) continue;
    if (conflicts.length >= countMax) return { conflicts, cut: instantOf(lastMs) };
    lastMs = atMs;
    const writers = conflict.writers.map((writer) => writerObject(engine, writer));
    conflicts.push({ at: instantOf(atMs), file: conflict.file, writers, what: CONFLICT_WORDS });
  }
  if (next === null) return { conflicts, cut: null };
  const [end] = history.all({ before: next + 1, countMax: 1 }).entries;
  const isCut = end !== undefined && end.atMs > sinceMs;
  return { conflicts, cut: isCut ? instantOf(end.atMs) : null };
}

/** By its id alone: another container may have the name by now. */
function writerObject({ lists }: Engine, { container, name, program }: NamedWriter): object {
  const listed =
    container === ""
      ? undefined
      : lists.latest.containers.find(({ id }) => id.startsWith(container));
  return { container: listed?.id ?? null, name, program: program === "" ? null : program };
}
