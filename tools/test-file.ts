// Runs one test file in a process of its own and answers what became of every test in it.
//
// A process each, because a test that ends the process, a crash of the runtime, a leak or a hang
// must cost one file and be counted: Bun's runner alone ends with 0 when a test calls exit(0).
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseJunit, type TestOutcome } from "./junit.ts";
import { sourceRoot } from "./source-root.ts";

/** What a single test may take when it does not say otherwise. */
const testLimitMs = 60_000;

/** From SIGTERM to SIGKILL. */
const graceMs = 5_000;

/** Lines of the runner that the summary says better, and passing tests. */
const noise =
  /^(bun test v.*|\S+\.test\.ts:|\s*\d+ (pass|fail|skip|todo|error|expect\(\) calls).*|)$/;
const closing = /^Ran \d+ tests? across 1 file/;

export interface FileOutcome {
  readonly path: string;
  readonly tests: readonly TestOutcome[];
  readonly durationMs: number;
}

export interface TestFileRun {
  /** After this the file is stopped, and has failed. */
  readonly limitMs: number;
  /** Gets what the tests print and what the runner says of failures, line by line. */
  readonly show: (line: string) => void;
}

/** Never rejects: whatever goes wrong with the file is a failed test of that file. */
export async function runTestFile(path: string, run: TestFileRun): Promise<FileOutcome> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-report-"));
  const report = join(folder, "report.xml");
  const startedMs = performance.now();
  try {
    const ended = await runBunTest(path, report, run);
    const tests = judge(readReport(report), ended);
    return { path, tests, durationMs: performance.now() - startedMs };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Adds the failure that the report does not show. `ended` is the exit code, or a sentence when
 * there is none.
 */
export function judge(
  tests: readonly TestOutcome[],
  ended: number | string,
): readonly TestOutcome[] {
  if (typeof ended === "string") return [...tests, { name: `(${ended})`, outcome: "failed" }];
  if (tests.length === 0) {
    const name = `(no test reported its end; the runner ended with ${ended})`;
    return [{ name, outcome: "failed" }];
  }
  if (ended !== 0 && tests.every(({ outcome }) => outcome !== "failed")) {
    return [...tests, { name: `(the runner ended with ${ended})`, outcome: "failed" }];
  }
  return tests;
}

function readReport(report: string): readonly TestOutcome[] {
  try {
    return parseJunit(readFileSync(report, "utf8"));
  } catch {
    // The runner writes none when it loads no test or is ended by one; `judge` says so.
    return [];
  }
}

function runBunTest(
  path: string,
  report: string,
  { limitMs, show }: TestFileRun,
): Promise<number | string> {
  const parameters = [
    // What a test leaves running ends with it, also when the time is up.
    ...["test", "--no-orphans", "--only-failures", `--timeout=${testLimitMs}`],
    ...["--reporter=junit", `--reporter-outfile=${report}`, `./${path}`],
  ];
  const child = spawn(process.execPath, parameters, {
    cwd: sourceRoot,
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      if (!noise.test(line) && !closing.test(line)) show(line);
    });
  }
  let timedOut = false;
  const stop = setTimeout(() => {
    timedOut = true;
    child.kill("SIGTERM");
  }, limitMs);
  const kill = setTimeout(() => child.kill("SIGKILL"), limitMs + graceMs);
  return new Promise((resolve) => {
    const settle = (ended: number | string) => {
      clearTimeout(stop);
      clearTimeout(kill);
      resolve(timedOut ? `the file was stopped after ${limitMs / 1_000} s` : ended);
    };
    child.once("error", (error) => settle(`the runner does not start: ${error.message}`));
    child.once("close", (code, signal) => settle(code ?? `the runner was ended by ${signal}`));
  });
}
