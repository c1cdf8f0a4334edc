// What the bench reads: its command line, the answers of its C programs, the kernel's figures.
import { describe, expect, test } from "bun:test";
import { burstArguments, checkedLoad, parseLoad, parseProcessTimes } from "../../bench/load.ts";
import { parseSmapsRollup } from "../../bench/memory.ts";
import { parseOptions } from "../../bench/options.ts";
import { selectedGroups } from "../../bench/rows/all.ts";

const load = {
  operations: 10,
  seconds: 0.5,
  processorSeconds: 0.01,
  wrong: 0,
  firstWrong: "",
  latencyMs: { p50: 1, p90: 2, p99: 3, max: 4 },
};

describe("command line", () => {
  test("nothing means a whole run of Holdfast", () => {
    expect(parseOptions([])).toEqual({
      isQuick: false,
      only: [],
      rounds: undefined,
      directory: undefined,
      candidate: "holdfast",
      executable: undefined,
      output: undefined,
    });
  });

  test("values stand after a space or an equals sign", () => {
    expect(parseOptions(["--only", "create,list", "--rounds=7", "--quick"])).toMatchObject({
      only: ["create", "list"],
      rounds: 7,
      isQuick: true,
    });
  });

  test.each([
    [["--rounds", "0"], "whole number from 1"],
    [["--rounds", "2.5"], "whole number from 1"],
    [["--dir"], "--dir needs a value"],
    [["--candidate", "podman"], "holdfast or dockerd"],
    [["create"], "not an option"],
  ])("%j is refused", (words, message) => {
    expect(() => parseOptions(words)).toThrow(message);
  });

  test("--only selects by group, by row, and by the first part of a row's id", () => {
    const names = (words: readonly string[]) => selectedGroups(words).map(({ name }) => name);
    expect(names(["create"])).toEqual(["change"]);
    expect(names(["growth-list", "ls"])).toEqual(["ls", "growth"]);
    expect(names(["start", "list"])).toEqual(["list", "memory"]);
    expect(() => names(["lis"])).toThrow("lis selects nothing");
    expect(() => names(["crate"])).toThrow("crate selects nothing");
  });
});

describe("answers of the C programs", () => {
  test("a load is read whole", () => {
    expect(parseLoad(JSON.stringify(load))).toEqual(load);
  });

  test("a missing or broken number is refused", () => {
    expect(() => parseLoad(JSON.stringify({ ...load, seconds: "0.5" }))).toThrow("seconds");
    expect(() => parseLoad(JSON.stringify({ ...load, latencyMs: {} }))).toThrow("p50");
    expect(() => parseProcessTimes("{}")).toThrow("wallMs");
  });

  test("one wrong reply makes the load count for nothing", () => {
    const wrong = { ...load, wrong: 1, firstWrong: "unexpected status, status 500: no space" };
    expect(() => checkedLoad("create", wrong)).toThrow("no space");
    expect(checkedLoad("create", load)).toBe(load);
  });

  test("a burst becomes arguments, without what was not given", () => {
    const burst = { mode: "list", socket: "/s", connections: 2, prefix: "x" } as const;
    expect(burstArguments({ ...burst, amount: { seconds: 1.5 }, expect: 0 })).toEqual([
      "--mode=list",
      "--socket=/s",
      "--connections=2",
      "--prefix=x",
      "--seconds=1.5",
      "--expect=0",
    ]);
  });
});

describe("memory", () => {
  test("resident and proportional sets are read in MiB", () => {
    const text = "5581-7ffc ---p 00000000 00:00 0 [rollup]\nRss:   84992 kB\nPss:   2048 kB\n";
    expect(parseSmapsRollup(text)).toEqual({ rssMib: 83, pssMib: 2 });
  });

  test("fields are found by their whole name", () => {
    expect(() => parseSmapsRollup("Rss: 1 kB\nPss_Dirty: 7 kB\n")).toThrow("no line Pss");
  });
});
