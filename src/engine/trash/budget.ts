// How much room the trash may take, and what is evicted when it takes more. Pure.
import type { TrashSpace } from "../../core/driver.ts";
import type { RetiredEntry } from "../../core/state-store.ts";

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

/** What of a file system, in bytes or files, is to be available. */
interface Floor {
  readonly part: number;
  /** That many are enough, however large it is. */
  readonly bytesMax: number;
}

/** With less the trash makes room. */
const roomFloor: Floor = { part: 0.05, bytesMax: 10 * 1_024 ** 3 };
/** With less it does so with what was removed just now too. */
const needFloor: Floor = { part: 0.01, bytesMax: 1_024 ** 3 };

/** So long after a removal somebody may find out that it was a mistake, in milliseconds. */
export const YOUNG_MS = 600_000;

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
  readonly purgingCount: number;
  readonly space: TrashSpace;
  /** null: none. */
  readonly budgetBytes: number | null;
  /** By the wall clock, in milliseconds. */
  readonly nowMs: number;
}

/**
 * What is to be evicted, oldest first: while the trash takes more than its budget and has more than
 * one entry, while less than 5% of the file system is available (10 GiB where that is less) or of
 * the files that it can have, and beyond 100,000 entries. Never what is protected or never purged
 * by itself. What was removed within 10 minutes goes only while less than 1% is available (1 GiB),
 * and beyond 100,000. Nobody knows how many files it frees, and of what was not measured how many
 * bytes: for them at most one is evicted, before it is looked again, and for the budget none.
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
    const isYoung = isYoungAt(entry, load.nowMs);
    const floor = isYoung ? needFloor : roomFloor;
    const isFewFiles = load.purgingCount === 0 && space.availableFileCount < filesOf(space, floor);
    const isShort = availableBytes < bytesOf(space, floor);
    const isOver = load.budgetBytes !== null && keptBytes > load.budgetBytes && entry !== newest;
    const isTooMany = keptCount > TRASH_COUNT_MAX;
    if (!isFewFiles && !isShort && !(isOver && !isYoung) && !isTooMany) break;
    const isBlind = isFewFiles || (isShort && entry.sizeBytes === null);
    if (!isBlind && !isTooMany && entry.sizeBytes === null) continue;
    evicted.push(entry);
    keptCount -= 1;
    keptBytes -= entry.sizeBytes ?? 0;
    availableBytes += entry.sizeBytes ?? 0;
    if (isBlind) break;
  }
  return evicted;
}

/** A clock that was set back makes nothing young. */
function isYoungAt({ retiredAtMs }: RetiredEntry, nowMs: number): boolean {
  return nowMs >= retiredAtMs && nowMs - retiredAtMs < YOUNG_MS;
}

function bytesOf({ sizeBytes }: TrashSpace, { part, bytesMax }: Floor): number {
  return Math.min(sizeBytes * part, bytesMax);
}

function filesOf({ fileCount }: TrashSpace, { part }: Floor): number {
  return fileCount * part;
}

/** Whether it may go when space is wanted. */
export function isEvictable({ purgeAtMs, volume }: RetiredEntry): boolean {
  return purgeAtMs !== null && volume.protection === null;
}
