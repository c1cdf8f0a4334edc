// The checks of Docker's plugin protocol: a plugin that keeps all, and for each one that breaks it.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { brokenOnes, runChecks } from "../src/conformance/check.ts";
import { openPluginBench, type PluginBench } from "../src/conformance/plugin-bench.ts";
import { pluginAdvice, pluginChecks } from "../src/conformance/plugin-checks.ts";
import { openBenchFiles } from "../src/daemon/bench-files.ts";
import { linuxHost } from "../src/host/linux.ts";
import { sourceRoot } from "../tools/source-root.ts";
import { type BrokenPlugin, brokenPlugins } from "./support/broken-plugins.ts";
import { asCallPlugin, modelPluginCalls, type PluginCalls } from "./support/model-plugin.ts";

const all = [...pluginChecks, ...pluginAdvice];
/** The promise that only a server with content types can break; test/plugin-verify does. */
const withoutBreaker = ["The content type of a request MUST NOT matter."];

let folder: string;
let leftBehind: string[];
beforeEach(() => {
  folder = mkdtempSync("/dev/shm/holdfast-plugin-checks-");
  leftBehind = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface BenchChoice {
  readonly seesData?: boolean;
  readonly breaks?: BrokenPlugin["break"];
}

let volumesCount = 0;

function openBench({ seesData = true, breaks }: BenchChoice = {}): PluginBench {
  const volumes = join(folder, `volumes-${volumesCount++}`);
  mkdirSync(volumes);
  const calls: PluginCalls = modelPluginCalls(volumes);
  return openPluginBench({
    call: asCallPlugin(breaks?.(calls, volumes) ?? calls),
    files: seesData ? openBenchFiles(join(folder, "outside")) : undefined,
    options: { size: "1g" },
    randomHex: linuxHost().randomHex,
    leftBehind: (what) => leftBehind.push(what),
  });
}

for (const seesData of [true, false]) {
  test(`a plugin that keeps all, ${seesData ? "with" : "without"} its data`, async () => {
    const outcomes = await runChecks(all, () => openBench({ seesData }));
    expect(brokenOnes(outcomes)).toEqual([]);
    const others = outcomes.filter(({ outcome }) => outcome === "not_applicable");
    expect(others.length > 0).toBe(!seesData);
    expect(leftBehind).toEqual([]);
  });
}

describe("a plugin that", () => {
  for (const broken of brokenPlugins) {
    test(`${broken.fault} is caught`, async () => {
      const checks = all.filter(({ promise }) => promise === broken.promise);
      expect(checks).toHaveLength(1);
      const open = () => openBench({ breaks: broken.break });
      const outcomes = await runChecks(checks, open, { timeoutMs: 500 });
      expect(brokenOnes(outcomes).map(({ promise }) => promise)).toEqual([broken.promise]);
    });
  }

  test("breaks it exists for every promise", () => {
    const breakable = new Set([...withoutBreaker, ...brokenPlugins.map(({ promise }) => promise)]);
    expect(all.filter(({ promise }) => !breakable.has(promise))).toEqual([]);
  });
});

test("what cannot be removed is told", async () => {
  const breaks: BrokenPlugin["break"] = (calls) => ({
    ...calls,
    "VolumeDriver.Remove": () => ({ Err: "the disk is read-only" }),
  });
  await runChecks(pluginChecks.slice(0, 3), () => openBench({ breaks }));
  expect(leftBehind[0]).toMatch(/^volume holdfast-verify-.*: the disk is read-only$/);
});

describe("the page and the checks say the same", () => {
  const page = readFileSync(join(sourceRoot, "docs/reference/plugin-protocol.md"), "utf8");
  const sentences = page.match(/^- .*$/gm)?.map((line) => line.slice(2)) ?? [];

  test("each promise is a line of the page, and each line is one check", () => {
    expect(all.map(({ promise }) => promise).toSorted()).toEqual(sentences.toSorted());
  });

  test("what must be and what should be are told apart", () => {
    expect(pluginChecks.filter(({ promise }) => !promise.includes("MUST"))).toEqual([]);
    expect(pluginAdvice.filter(({ promise }) => !promise.includes("SHOULD"))).toEqual([]);
  });
});
