// The clients of docs/guide/locks.md, each in a real container, through whatever may happen to it.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sourceRoot } from "../../tools/source-root.ts";
import { readFiles } from "../e2e/tour.ts";
import type { HoldsBench } from "../support/holds-bench.ts";
import { needs, whenPossible } from "../support/needs.ts";
import {
  diesWithoutTrace,
  givesUpInTime,
  hearsOfLoss,
  openClients,
  outlivesDaemon,
  takesTurns,
} from "./client-checks.ts";
import { type Client, clients, page } from "./client-stage.ts";
import { needsOfInside, startInside } from "./inside-bench.ts";

const startMs = 120_000;
const testMs = 120_000;
/** Without imports, comments and empty lines, in all languages alike. */
const linesMax = 30;
const noCode = /^\s*(?:(?:#|\/\/|\/\*\*|""").*)?$/;

let bench: HoldsBench;
beforeAll(async () => {
  if (needs(...needsOfInside).skip !== undefined) return;
  bench = await startInside();
  await openClients(bench);
}, startMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), startMs);

for (const name of ["curl", "node", "python", "bun"]) {
  describe(name, () => {
    const when = (
      what: string,
      run: (bench: HoldsBench, client: Client) => Promise<void>,
    ): void => {
      const play = async () => {
        const make = clients(bench)[name];
        if (make === undefined) throw new Error(`there is no client ${name}`);
        await run(bench, make());
      };
      whenPossible(needsOfInside, what, play, testMs);
    };
    when("keeps its lock beyond its time, and the next one waits for it", takesTurns);
    // The same source as Node's, with its types.
    if (name === "bun") return;
    when("goes on over the end of the daemon", outlivesDaemon);
    when("hears that its lock was taken away", hearsOfLoss);
    when("stops its work in time when the daemon hangs", givesUpInTime);
    when("leaves nothing locked when it is killed", diesWithoutTrace);
  });
}

test("no client is long", () => {
  const files = readFiles(readFileSync(join(sourceRoot, page), "utf8"));
  expect([...files.keys()]).toEqual(["with-lock", "lock.ts", "lock.py", "lock.go"]);
  for (const [name, text] of files) {
    const lines = withoutImports(text)
      .split("\n")
      .filter((line) => !noCode.test(line));
    console.log(`${name}: ${lines.length} lines`);
    expect(lines.length).toBeLessThanOrEqual(linesMax);
  }
});

function withoutImports(text: string): string {
  const imports = /^(?:import \([^)]*\)|import .*|from .* import .*)$/gm;
  return text.replace(imports, "");
}
