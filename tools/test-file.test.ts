// Tests that no way for a test file to go wrong is counted as success.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { sourceRoot } from "./source-root.ts";
import { judge, runTestFile } from "./test-file.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-test-file-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const limitMs = 20_000;

async function outcomes(name: string, lines: readonly string[], limit = limitMs) {
  const path = join(folder, `${name}.test.ts`);
  writeFileSync(path, ['import { test } from "bun:test";', ...lines].join("\n"));
  const { tests } = await runTestFile(relative(sourceRoot, path), {
    limitMs: limit,
    show: () => {},
  });
  return tests.map(({ name, outcome }) => `${outcome}: ${name}`);
}

const passing = 'test("fine", () => {});';

test("a file of passing and skipped tests is reported as it is", async () => {
  expect(await outcomes("good", [passing, 'test.skip("later [why]", () => {});'])).toEqual([
    "passed: fine",
    "skipped: later [why]",
  ]);
});

test("a failing test fails", async () => {
  const lines = [passing, 'test("bad", () => { throw new Error("on purpose"); });'];
  expect(await outcomes("bad", lines)).toEqual(["passed: fine", "failed: bad"]);
});

test("a test that ends the process with 0 fails the file", async () => {
  expect(await outcomes("exit", [passing, 'test("exit", () => process.exit(0));'])).toEqual([
    "failed: (no test reported its end; the runner ended with 0)",
  ]);
});

test("a file that does not load fails", async () => {
  const lines = ['import { gone } from "./gone.ts";', 'test("never", () => gone());'];
  expect(await outcomes("load", lines)).toEqual([
    "failed: (no test reported its end; the runner ended with 1)",
  ]);
});

test("a file without tests fails", async () => {
  expect(await outcomes("empty", ["export { test };"])).toEqual([
    "failed: (no test reported its end; the runner ended with 0)",
  ]);
});

test("a file that is killed fails", async () => {
  const lines = ['test("kill", () => { process.kill(process.pid, "SIGKILL"); });'];
  expect(await outcomes("kill", lines)).toEqual(["failed: (the runner was ended by SIGKILL)"]);
});

test("a file that never ends is stopped and fails", async () => {
  const lines = ['test("loop", () => { for (;;); });'];
  expect(await outcomes("loop", lines, 500)).toEqual([
    "failed: (the file was stopped after 0.5 s)",
  ]);
});

test("an exit code that no test explains is a failure", () => {
  expect(judge([{ name: "fine", outcome: "passed" }], 1)).toHaveLength(2);
  expect(judge([{ name: "bad", outcome: "failed" }], 1)).toHaveLength(1);
});
