// How much room the trash may take, and what is evicted when it takes more. Pure.
import type { TrashSpace } from "../core/driver.ts";
import type { RetiredEntry } from "../core/state-store.ts";

/** The trash may take so much of its file system. */
export type TrashBudget =
  | { readonly kind: "percent"; readonly percent: number }
  | { readonly kind: "bytes"; readonly bytes: number }
  | { readonly kind: "none" };

/** A quarter of the file system. */
export const trashBudget: TrashBudget = { kind: "percent", percent: 25 };

/** What a budget looks like, for messages. */
export const BUDGET_RULE =
  "a percentage up to 100% as in 25%, bytes as in 10g (k, m, g or t), or none is needed";

/** With more entries the oldest are evicted. */
export const TRASH_COUNT_MAX = 100_000;

/** With less of the file system available, the trash makes room. */
const AVAILABLE_PART_MIN = 0.05;

const BYTES_OF_UNIT: Readonly<Record<string, number>> = {
  "": 1,
  k: 1_024,
  m: 1_024 ** 2,
  g: 1_024 ** 3,
  t: 1_024 ** 4,
};

/** Undefined for anything else. */
export function parseBudget(text: string): TrashBudget | undefined {
  if (text === "none") return { kind: "none" };
  const percent = /^(\d{1,3})%$/.exec(text)?.[1];
  if (percent !== undefined) {
    return Number(percent) <= 100 ? { kind: "percent", percent: Number(percent) } : undefined;
  }
  const match = /^(\d{1,15})([kmgt]?)$/.exec(text);
  if (match === null) return undefined;
  const bytes = Number(match[1]) * (BYTES_OF_UNIT[match[2] ?? ""] ?? 0);
  return Number.isSafeInteger(bytes) ? { kind: "bytes", bytes } : undefined;
}

/** In bytes, on a file system of that size; null: as much as there is. */
export function budgetBytes(budget: TrashBudget, sizeBytes: number): number | null {
  switch (budget.kind) {
    case "none":
      return null;
    case "bytes":
      return budget.bytes;
    case "percent":
      return Math.floor((sizeBytes * budget.percent) / 100);
    default:
      return budget satisfies never;
  }
}

/** The trash of one driver, as it is known. */
export interface TrashLoad {
  /** What can be restored, in any order. */
  readonly kept: readonly RetiredEntry[];
  /** What will be free when all is purged that is given up already. */
  readonly purgingBytes: number;
  readonly space: TrashSpace;
  /** null: none. */
  readonly budgetBytes: number | null;
}

/**
 * What is to be evicted, oldest first: while the trash takes more than its budget and has more than
 * one entry, while less than 5% of the file system is available, and beyond 100,000 entries. Never
 * what is protected or never purged by itself. Of what was not measured nobody knows what it frees:
 * for space at most one is evicted, before it is looked again, and for the budget none.
 */
export function evictions(load: TrashLoad): readonly RetiredEntry[] {
  const { space } = load;
  const oldestFirst = load.kept.toSorted((left, right) => left.retiredAtMs - right.retiredAtMs);
  const newest = oldestFirst.at(-1);
  let keptBytes = oldestFirst.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0);
  let keptCount = oldestFirst.length;
  let availableBytes = space.availableBytes + load.purgingBytes;
  const evicted: RetiredEntry[] = [];
  for (const entry of oldestFirst) {
    if (!isEvictable(entry)) continue;
    const isShort = availableBytes < space.sizeBytes * AVAILABLE_PART_MIN;
    const isOver = load.budgetBytes !== null && keptBytes > load.budgetBytes && entry !== newest;
    const isTooMany = keptCount > TRASH_COUNT_MAX;
    if (!isShort && !isOver && !isTooMany) break;
    if (!isShort && !isTooMany && entry.sizeBytes === null) continue;
    evicted.push(entry);
    keptCount -= 1;
    keptBytes -= entry.sizeBytes ?? 0;
    availableBytes += entry.sizeBytes ?? 0;
    if (isShort && entry.sizeBytes === null) break;
  }
  return evicted;
}

function isEvictable({ purgeAtMs, volume }: RetiredEntry): boolean {
  return purgeAtMs !== null && volume.protection === null;
}
