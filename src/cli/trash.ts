// The trash as Holdfast's own API describes it, and the words of its list.
import type { DaemonClient } from "./client.ts";
import { DaemonRefusal } from "./failure.ts";
import { humanDuration } from "./human.ts";
import { ask, ownPath } from "./own-client.ts";
import { oneLine } from "./table.ts";

/** An entry (src/api/holdfast/trash-contract.ts). */
export interface TrashEntry {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  /** undefined: of an older daemon. */
  readonly origin?: "made" | "adopted";
  readonly options?: Readonly<Record<string, string>> | null;
  readonly phase: "kept" | "purging";
  /** Why its purging waits; undefined: of an older daemon. */
  readonly waitingFor?: string | null;
  readonly sizeBytes: number | null;
  readonly removedAt: string;
  readonly removedBy: string;
  readonly purgesAt: string | null;
  readonly protection: { readonly reason: string } | null;
}

export interface TrashTotals {
  readonly entries: number;
  readonly purging: number;
  readonly knownBytes: number;
  readonly unmeasured: number;
  readonly budgetBytes: number | null;
}

interface TrashPage {
  readonly entries: readonly TrashEntry[];
  readonly next: string | null;
  readonly totals: TrashTotals;
}

/** The shortest id that is shown: `t-` and so many digits. */
const ID_DIGITS_MIN = 3;

/** All of it, the newest first. */
export async function readTrash(client: DaemonClient): Promise<readonly TrashEntry[]> {
  const found: TrashEntry[] = [];
  let query: Readonly<Record<string, string>> = {};
  for (;;) {
    const path = ownPath(["trash"], query);
    const { entries, next } = await ask<TrashPage>(client, { method: "GET", path });
    found.push(...entries);
    if (next === null) return found;
    query = { after: next };
  }
}

/** What is in it; undefined where the daemon has no trash, or is not ours. */
export async function readTotals(client: DaemonClient): Promise<TrashTotals | undefined> {
  try {
    const path = ownPath(["trash"], { count: "1" });
    return (await client.json<TrashPage>({ method: "GET", path })).totals;
  } catch (error) {
    if (error instanceof DaemonRefusal) return undefined;
    throw error;
  }
}

/** The newest entry of this name that can be restored. */
export async function newestOf(
  client: DaemonClient,
  name: string,
): Promise<TrashEntry | undefined> {
  const path = ownPath(["trash"], { name, count: "1" });
  const { entries } = await client.json<TrashPage>({ method: "GET", path });
  return entries.find(({ phase }) => phase === "kept");
}

/** Its data is on another machine: volumes of plugins, the only others, have no trash. */
export function isElsewhere({ driver }: Pick<TrashEntry, "driver">): boolean {
  return driver !== "local";
}

/** The words and names that completion offers; none where the daemon is not ours. */
export async function trashWords(client: DaemonClient): Promise<readonly string[]> {
  try {
    const entries = await readTrash(client);
    const names = [...new Set(entries.map(({ name }) => name))].sort();
    return [...names, ...entries.map(({ id }) => id)];
  } catch (error) {
    if (error instanceof DaemonRefusal) return [];
    throw error;
  }
}

/** Each id as short as it can be without meaning another one. */
export function shortIds(ids: readonly string[]): ReadonlyMap<string, string> {
  const sorted = ids.toSorted();
  const short = new Map<string, string>();
  for (const [index, id] of sorted.entries()) {
    const common = Math.max(
      commonLength(id, sorted[index - 1] ?? ""),
      commonLength(id, sorted[index + 1] ?? ""),
    );
    short.set(id, id.slice(0, Math.max("t-".length + ID_DIGITS_MIN, common + 1)));
  }
  return short;
}

function commonLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

/** `in 7 days`, `never`, `purging`, `purging (no route to host)`, `now` for what is due. */
export function purgesText(entry: TrashEntry, nowMs: number): string {
  const { phase, purgesAt, protection, waitingFor = null } = entry;
  if (phase === "purging") return waitingFor === null ? phase : `${phase} (${oneLine(waitingFor)})`;
  if (protection !== null) return "never (protected)";
  if (purgesAt === null) return "never";
  const leftMs = Date.parse(purgesAt) - nowMs;
  return leftMs <= 0 ? "now" : `in ${lowerFirst(humanDuration(leftMs))}`;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
