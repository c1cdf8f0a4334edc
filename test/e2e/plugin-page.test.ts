// The plugin of docs/guide/write-a-plugin.md: as short as it says, and TypeScript that holds.
// That it works and keeps its promises is shown by the page's own tours (documents.test.ts).
import { expect, test } from "bun:test";
import { readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sourceRoot } from "../../tools/source-root.ts";
import { runToEnd } from "../support/child.ts";
import { temporaryDirectory } from "../support/daemon.ts";
import { readFiles } from "./tour.ts";

const page = readFileSync(join(sourceRoot, "docs/guide/write-a-plugin.md"), "utf8");
const linesMax = Number(/in (\d+) lines/.exec(page)?.[1]);

/** Compiling takes some seconds beside other tests. */
const timeoutMs = 120_000;

test("the plugin has no more lines than the page's title says", () => {
  const lines = (readFiles(page).get("disks.ts") ?? "").trimEnd().split("\n");
  expect(linesMax).toBe(50);
  expect(lines.length).toBeLessThanOrEqual(linesMax);
  expect(lines.filter((line) => line.length > 100)).toEqual([]);
});

test(
  "the compiler finds nothing in it, as strict as it can be",
  async () => {
    const folder = temporaryDirectory();
    symlinkSync(join(sourceRoot, "node_modules"), join(folder, "node_modules"));
    writeFileSync(join(folder, "disks.ts"), readFiles(page).get("disks.ts") ?? "");
    // Node takes types away, and does no more than that.
    const compilerOptions = { erasableSyntaxOnly: true, noEmit: true };
    const config = { extends: join(sourceRoot, "tsconfig.json"), compilerOptions };
    const file = join(folder, "tsconfig.json");
    writeFileSync(file, JSON.stringify({ ...config, include: ["disks.ts"] }));
    const compiler = join(folder, "node_modules/.bin/tsc");
    const { exit, stdout } = await runToEnd(compiler, ["--project", file], { timeoutMs });
    rmSync(folder, { recursive: true });
    expect([exit, stdout]).toEqual([0, ""]);
  },
  timeoutMs,
);
