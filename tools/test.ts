// Runs the tests: `npm test [-- part-of-a-path…]`, and `npm run test:nightly` with --nightly.
//
// The last line is `N passed, N failed, N skipped`. The static checks and the build count as one
// test each; with parts of paths only the build and the test files they name are run.
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { build } from "./build.ts";
import { staticChecks } from "./check.ts";
import { installPackages } from "./install-packages.ts";
import { writeNightly } from "./nightly-report.ts";
import { listFiles } from "./source-files.ts";
import { type FileOutcome, runTestFile } from "./test-file.ts";

const minuteMs = 60_000;

/** A file that takes longer hangs: `npm test` as a whole has 20 minutes on two cores. */
const fileLimitMs = { daily: 10 * minuteMs, nightly: 180 * minuteMs } as const;

/**
 * How many files run at once. Most of what a test of a daemon does is to wait; no file may rely on
 * being alone on its machine.
 */
const laneCount = Math.min(2, availableParallelism());

/**
 * Files that run before the lanes begin. Copies of a file system have the identity of their
 * original, which a mount namespace that another test makes may still hold; what measures how fast
 * a mount is does so alone.
 */
const alone: readonly string[] = [
  "test/crash/power-cut.test.ts",
  "test/remote/nas-data.nightly.test.ts",
];

/** Half an hour and more each: the lanes begin with them, so that none ends the night alone. */
const longest: readonly string[] = [
  "test/uses/quiet-uses.nightly.test.ts",
  "test/remote/survive-steps.nightly.test.ts",
];

/** How many of the slowest files the summary names. */
const slowestCount = 5;

const words = process.argv.slice(2);
const nightly = words.includes("--nightly");
const parts = words
  .filter((word) => !word.startsWith("--"))
  .map((word) => word.replace(/^\.\//, ""));

const startedMs = performance.now();
installPackages("test");
if (nightly) installPackages("nightly");
const outcomes: FileOutcome[] = [];
if (!nightly && parts.length === 0) {
  for (const check of staticChecks) await step(check.name, () => check.run());
}
await step("build", () => build(join("src", "main.ts"), join("dist", "holdfast")));
const files = chosenFiles();
const limitMs = fileLimitMs[nightly ? "nightly" : "daily"];
const isAlone = (path: string) => alone.includes(path);
await runLane(files.filter(isAlone).values(), 1);
const isLong = (path: string) => longest.includes(path);
const left = [...files.filter(isLong), ...files.filter((path) => !isAlone(path) && !isLong(path))];
const waiting = left.values();
const lanes = parts.length > 0 ? 1 : laneCount;
await Promise.all(Array.from({ length: lanes }, () => runLane(waiting, lanes)));
if (files.length === 0) {
  const name = `no test file's path has ${parts.join(" or ") || "a test in it"}`;
  outcomes.push({ path: "tests", tests: [{ name, outcome: "failed" }], durationMs: 0 });
}
summarise();

/** Runs what is left, file by file. With several lanes, what a file prints comes at its end. */
async function runLane(left: Iterable<string>, lanes: number): Promise<void> {
  for (const path of left) {
    const lines: string[] = [];
    const show = lanes === 1 ? console.log : (line: string) => lines.push(line);
    const outcome = await runTestFile(path, { limitMs, show });
    outcomes.push(outcome);
    lines.push(`${path}: ${sentence(outcome)} in ${seconds(outcome.durationMs)}`);
    console.log(lines.join("\n"));
  }
}

/** Test files of this run, in a stable order: the units first, then what needs a machine. */
function chosenFiles(): readonly string[] {
  return ["src", "tools", "bench", "test"]
    .flatMap(listFiles)
    .filter((path) => path.endsWith(".test.ts") && path.endsWith(".nightly.test.ts") === nightly)
    .filter((path) => parts.length === 0 || parts.some((part) => path.includes(part)));
}

async function step(name: string, run: () => Promise<number>): Promise<void> {
  const stepStartedMs = performance.now();
  const code = await run();
  const durationMs = performance.now() - stepStartedMs;
  const outcome = code === 0 ? "passed" : "failed";
  outcomes.push({ path: name, tests: [{ name: "static check", outcome }], durationMs });
  console.log(`${name}: ${code === 0 ? "fine" : "FAILED"} in ${seconds(durationMs)}`);
}

function named(outcome: "failed" | "skipped"): readonly string[] {
  return outcomes.flatMap(({ path, tests }) =>
    tests.filter((one) => one.outcome === outcome).map((one) => `${path}: ${one.name}`),
  );
}

function summarise(): void {
  const durationMs = performance.now() - startedMs;
  const tests = outcomes.flatMap((one) => one.tests);
  const counts = sentence({ tests });
  const skipped = named("skipped");
  if (skipped.length > 0) console.log(`\nskipped, ${skipped.length}:\n  ${skipped.join("\n  ")}`);
  const failed = named("failed");
  if (failed.length > 0) console.log(`\nfailed, ${failed.length}:\n  ${failed.join("\n  ")}`);
  const slowest = outcomes.toSorted((a, b) => b.durationMs - a.durationMs).slice(0, slowestCount);
  const lines = slowest.map((one) => `${seconds(one.durationMs)} ${one.path}`);
  console.log(`\n${seconds(durationMs)} in all, of it:\n  ${lines.join("\n  ")}\n`);
  if (nightly) writeNightly({ counts, durationMs, skipped, failed });
  console.log(counts);
  process.exitCode = failed.length === 0 ? 0 : 1;
}

function sentence({ tests }: Pick<FileOutcome, "tests">): string {
  const count = (outcome: string) => tests.filter((one) => one.outcome === outcome).length;
  return `${count("passed")} passed, ${count("failed")} failed, ${count("skipped")} skipped`;
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1_000).toFixed(1)} s`;
}
