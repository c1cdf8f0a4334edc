// What is evicted when the trash takes too much, and how people write budgets.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { retiredRow } from "../../../test/support/recovery-bench.ts";
import { volumeRow } from "../../../test/support/trash-bench.ts";
import { makeTrashId } from "../../core/names.ts";
import type { RetiredEntry } from "../../core/state-store.ts";
import {
  budgetBytes,
  evictions,
  parseBudget,
  TRASH_COUNT_MAX,
  type TrashLoad,
  YOUNG_MS,
} from "./budget.ts";

/** Kept entries, oldest first, by their sizes in bytes. */
function kept(...sizes: readonly (number | null)[]): readonly RetiredEntry[] {
  return sizes.map((sizeBytes, index) =>
    retiredRow(volumeRow(`volume-${index}`), {
      id: makeTrashId(index.toString(16).padStart(16, "0")),
      ...{ phase: "kept", retiredAtMs: index, purgeAtMs: 1_000, sizeBytes },
    }),
  );
}

const roomy = { sizeBytes: 1_000, availableBytes: 900, fileCount: 0, availableFileCount: 0 };
/** When none of `kept` is young any more. */
const LATER_MS = YOUNG_MS + 1_000;

/** The names of what goes. */
function evicted(load: Partial<TrashLoad>): readonly string[] {
  const nothing = { kept: [], purgingBytes: 0, purgingCount: 0, budgetBytes: null };
  const all = { ...nothing, space: roomy, nowMs: LATER_MS, ...load };
  return evictions(all).map(({ volume }) => volume.name);
}

function protectedOne(entry: RetiredEntry): RetiredEntry {
  const protection = { reason: "prod", sinceMs: 1, by: "holdfast" };
  return { ...entry, volume: { ...entry.volume, protection } };
}

describe("for the budget", () => {
  test("nothing goes within it", () => {
    expect(evicted({ kept: kept(50, 50), budgetBytes: 100 })).toEqual([]);
    expect(evicted({ kept: kept(500, 400), budgetBytes: null })).toEqual([]);
  });

  test("the oldest go, until the rest fits", () => {
    expect(evicted({ kept: kept(50, 50, 50, 50), budgetBytes: 100 })).toEqual([
      "volume-0",
      "volume-1",
    ]);
    expect(evicted({ kept: kept(50, 50, 50).toReversed(), budgetBytes: 100 })).toEqual([
      "volume-0",
    ]);
  });

  test("the newest stays, however large it is", () => {
    expect(evicted({ kept: kept(500), budgetBytes: 100 })).toEqual([]);
    expect(evicted({ kept: kept(1, 500), budgetBytes: 100 })).toEqual(["volume-0"]);
  });

  test("what is protected or never purged by itself stays", () => {
    const [first, second, third, fourth] = kept(50, 50, 50, 50);
    if (first === undefined || second === undefined) throw new Error("four were made");
    if (third === undefined || fourth === undefined) throw new Error("four were made");
    const entries = [protectedOne(first), { ...second, purgeAtMs: null }, third, fourth];
    expect(evicted({ kept: entries, budgetBytes: 100 })).toEqual(["volume-2"]);
  });

  test("what was not measured stays: nobody knows what it would free", () => {
    expect(evicted({ kept: kept(null, 80, 80), budgetBytes: 100 })).toEqual(["volume-1"]);
  });
});

describe("for space", () => {
  const short = { ...roomy, availableBytes: 20 };

  test("the oldest go until 5% would be available", () => {
    expect(evicted({ kept: kept(10, 20, 30), space: short })).toEqual(["volume-0", "volume-1"]);
  });

  test("even the last one", () => {
    expect(evicted({ kept: kept(10), space: short })).toEqual(["volume-0"]);
  });

  test("what is being purged counts as free", () => {
    expect(evicted({ kept: kept(10, 20), space: short, purgingBytes: 30 })).toEqual([]);
  });

  test("of what was not measured one goes, and is waited for", () => {
    expect(evicted({ kept: kept(null, null, 30), space: short })).toEqual(["volume-0"]);
  });

  test("what is protected stays", () => {
    expect(evicted({ kept: kept(40, 40).map(protectedOne), space: short })).toEqual([]);
  });
});

describe("for files", () => {
  const short = { ...roomy, fileCount: 1_000, availableFileCount: 20 };

  test("one goes, and is waited for", () => {
    expect(evicted({ kept: kept(0, 20, 30), space: short })).toEqual(["volume-0"]);
    expect(evicted({ kept: kept(0, 20, 30), space: short, purgingCount: 1 })).toEqual([]);
  });

  test("none where there are enough, or as many as there is room for", () => {
    expect(evicted({ kept: kept(1), space: { ...short, availableFileCount: 50 } })).toEqual([]);
    const endless = { ...short, fileCount: 0, availableFileCount: 0 };
    expect(evicted({ kept: kept(1), space: endless })).toEqual([]);
  });
});

describe("what was removed just now", () => {
  const nowMs = 1_000;
  const few = { ...roomy, availableBytes: 20 };

  test("stays beyond the budget, and while there is still some room", () => {
    expect(evicted({ kept: kept(50, 50, 50), budgetBytes: 100, nowMs })).toEqual([]);
    expect(evicted({ kept: kept(10, 20), space: few, nowMs })).toEqual([]);
    const files = { ...roomy, fileCount: 1_000, availableFileCount: 20 };
    expect(evicted({ kept: kept(10, 20), space: files, nowMs })).toEqual([]);
  });

  test("goes when there is next to none", () => {
    expect(evicted({ kept: kept(5, 20), space: { ...few, availableBytes: 5 }, nowMs })).toEqual([
      "volume-0",
    ]);
    const files = { ...roomy, fileCount: 1_000, availableFileCount: 5 };
    expect(evicted({ kept: kept(10, 20), space: files, nowMs })).toEqual(["volume-0"]);
  });

  test("is what is older than ten minutes no more, nor what is of the future", () => {
    const both = kept(60, 60, 60).map((entry, index) => ({
      ...entry,
      retiredAtMs: index === 0 ? 0 : YOUNG_MS,
    }));
    expect(evicted({ kept: both, budgetBytes: 100, nowMs: YOUNG_MS })).toEqual(["volume-0"]);
    expect(evicted({ kept: kept(60, 60), budgetBytes: 100, nowMs: -1 })).toEqual(["volume-0"]);
  });
});

test("beyond 100,000 entries the oldest go", () => {
  const sizes = Array.from({ length: TRASH_COUNT_MAX + 2 }, () => null);
  expect(evicted({ kept: kept(...sizes) })).toEqual(["volume-0", "volume-1"]);
});

describe("a budget", () => {
  test("in percent, bytes or none", () => {
    expect(parseBudget("25%")).toEqual({ kind: "percent", percent: 25 });
    expect(parseBudget("0%")).toEqual({ kind: "percent", percent: 0 });
    expect(parseBudget("none")).toEqual({ kind: "none" });
    expect(parseBudget("10g")).toEqual({ kind: "bytes", bytes: 10 * 1_024 ** 3 });
    expect(parseBudget("512")).toEqual({ kind: "bytes", bytes: 512 });
  });

  test("and nothing else", () => {
    for (const text of ["", "101%", "%", "-1", "1.5g", "10G", "10gb", "off", "1e3", "25 %"]) {
      expect([text, parseBudget(text)]).toEqual([text, undefined]);
    }
    fc.assert(
      fc.property(fc.string(), (text) => {
        const budget = parseBudget(text);
        if (budget?.kind === "bytes") expect(Number.isSafeInteger(budget.bytes)).toBe(true);
      }),
    );
  });

  test("means bytes of a file system", () => {
    expect(budgetBytes({ kind: "percent", percent: 25 }, 1_001)).toBe(250);
    expect(budgetBytes({ kind: "bytes", bytes: 7 }, 1_000)).toBe(7);
    expect(budgetBytes({ kind: "none" }, 1_000)).toBeNull();
  });
});
