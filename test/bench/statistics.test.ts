// The bench's arithmetic: order statistics, pairs, and the order of the rounds.
import { describe, expect, test } from "bun:test";
import { measureRounds, subjectOrder } from "../../bench/measure.ts";
import { medians } from "../../bench/rows/command.ts";
import { quantile, ratios, summarise } from "../../bench/statistics.ts";

const never = new AbortController().signal;

describe("statistics", () => {
  test("the median of an even series lies between its middle two", () => {
    expect(summarise([4, 1, 3, 2]).median).toBe(2.5);
  });

  test("quartiles are interpolated, whatever the order", () => {
    expect(summarise([50, 10, 40, 20, 30])).toEqual({
      count: 5,
      min: 10,
      lowerQuartile: 20,
      median: 30,
      upperQuartile: 40,
      max: 50,
    });
    expect(quantile([1, 2], 0.25)).toBe(1.25);
  });

  test("numbers are sorted as numbers", () => {
    expect(summarise([10, 9, 100]).median).toBe(10);
  });

  test("what cannot be summarised is refused", () => {
    expect(() => summarise([])).toThrow("empty series");
    expect(() => summarise([1, Number.NaN])).toThrow("finite");
    expect(() => quantile([1], 1.5)).toThrow("between 0 and 1");
  });

  test("ratios are formed round by round", () => {
    expect(ratios([2, 9], [1, 3])).toEqual([2, 3]);
    expect(() => ratios([1, 2], [1])).toThrow("not paired");
  });

  test("runs are gathered into the medians of their rounds", () => {
    expect(medians([1, 2, 30, 4, 5, 60], 3)).toEqual([2, 5]);
  });
});

describe("measureRounds", () => {
  test("subjects take turns in going first", () => {
    expect(subjectOrder(3, 0)).toEqual([0, 1, 2]);
    expect(subjectOrder(3, 1)).toEqual([2, 1, 0]);
    expect(subjectOrder(2, -1)).toEqual([1, 0]);
  });

  test("the first round warms up and does not count", async () => {
    const calls: string[] = [];
    const figures = await measureRounds({
      subjects: ["a", "b"],
      rounds: 2,
      signal: never,
      steps: [
        {
          name: "work",
          measure: async (subject: string, round: number) => calls.push(`${subject}${round}`),
        },
      ],
    });
    expect(calls).toEqual(["b-1", "a-1", "a0", "b0", "b1", "a1"]);
    expect(figures.get("work")).toEqual({
      outcome: "measured",
      perSubject: [
        [3, 6],
        [4, 5],
      ],
    });
  });

  test("a step that fails hides no other and is not tried again", async () => {
    let tries = 0;
    const figures = await measureRounds({
      subjects: ["a"],
      rounds: 3,
      signal: never,
      steps: [
        {
          name: "broken",
          async measure() {
            tries += 1;
            throw new Error("no such thing");
          },
        },
        { name: "whole", measure: async (_subject: string, round: number) => round },
      ],
    });
    expect(tries).toBe(1);
    expect(figures.get("broken")).toEqual({ outcome: "failed", reason: "no such thing" });
    expect(figures.get("whole")).toEqual({ outcome: "measured", perSubject: [[0, 1, 2]] });
  });

  test("an interrupt ends it, and is not taken for a failure", async () => {
    const stopping = new AbortController();
    const measuring = measureRounds({
      subjects: ["a"],
      rounds: 1,
      signal: stopping.signal,
      steps: [
        {
          name: "work",
          async measure() {
            stopping.abort(new Error("stopped by SIGINT"));
            throw new Error("killed");
          },
        },
      ],
    });
    await expect(measuring).rejects.toThrow("stopped by SIGINT");
  });
});
