// The bench's verdicts and its page: a row that is missed or failed says so.
import { describe, expect, test } from "bun:test";
import { page, type Run, rowLine } from "../../bench/report.ts";
import { type RowPlan, rowFrom, verdict } from "../../bench/rows.ts";

const create: RowPlan = {
  id: "create",
  work: "create",
  unit: "/s",
  judged: "ratio",
  target: { bound: "at_least", value: 1.5 },
  against: "reference",
  how: "Volumes are created.",
};
const list: RowPlan = {
  ...create,
  id: "list",
  work: "ls",
  unit: "ms",
  target: { bound: "at_most", value: 0.75 },
};
const start: RowPlan = {
  ...list,
  work: "start",
  judged: "figure",
  target: { bound: "at_most", value: 1000 },
};

function measured(plan: RowPlan, candidate: readonly number[], reference: readonly number[]) {
  return rowFrom(plan, { outcome: "measured", perSubject: [candidate, reference] });
}

describe("verdict", () => {
  test("a rate must reach its target, by the median of the rounds' ratios", () => {
    expect(verdict(measured(create, [300, 100, 450], [200, 100, 300]))).toBe("met");
    expect(verdict(measured(create, [149, 149, 900], [100, 100, 100]))).toBe("missed");
  });

  test("a time must stay below its target", () => {
    expect(verdict(measured(list, [7], [10]))).toBe("met");
    expect(verdict(measured(list, [8], [10]))).toBe("missed");
  });

  test("a figure is judged by itself, without the reference", () => {
    expect(verdict(measured(start, [900], [100]))).toBe("met");
    expect(verdict(measured(start, [1001], [5000]))).toBe("missed");
  });

  test("a row without a target is a figure, a step that failed or is missing a failed row", () => {
    const { target: _, ...plain } = create;
    expect(verdict(measured(plain, [1], [1]))).toBe("figure");
    expect(verdict(rowFrom(create, { outcome: "failed", reason: "gone" }))).toBe("failed");
    expect(verdict(rowFrom(create, undefined))).toBe("failed");
    expect(verdict(measured(create, [Number.NaN], [1]))).toBe("failed");
  });
});

describe("page", () => {
  const run: Run = {
    candidate: "Holdfast",
    reference: "dockerd",
    rounds: 5,
    isQuick: false,
    surroundings: [["kernel", "Linux 6"]],
    rows: [
      measured(create, [200], [100]),
      measured({ ...list, whyMissed: "It waits." }, [9], [10]),
      rowFrom({ ...create, work: "remove" }, { outcome: "failed", reason: "a|b\nc" }),
    ],
    tables: [{ title: "Floor", note: "As it is.", columns: ["work"], lines: [["mkdir"]] }],
  };

  test("says how many targets are met, and by how much one is missed", () => {
    const text = page(run);
    expect(text).toContain("1 targets met, 1 missed, 1 rows failed to run.");
    expect(text).toContain("- **ls** reached 0.90, 20 % off its target of ≤ 0.75. It waits.");
    expect(text).toContain("- **remove** failed to run: a\\|b c");
    expect(text).toContain("| create | ≥ 1.5 | **2.00** |");
  });

  test("a failed row does not break its table", () => {
    const lines = page(run)
      .split("\n")
      .filter((line) => line.startsWith("| remove"));
    expect(lines.map((line) => line.split("|").length)).toEqual([11]);
  });

  test("a line for the terminal has ratio, spread, target and both figures", () => {
    expect(rowLine(measured(create, [200], [100]))).toBe(
      "create: 2.00 (2.00–2.00; ≥ 1.5: met), 200 /s against 100 /s",
    );
  });
});
