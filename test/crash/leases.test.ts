// A real process that gives leases is killed again and again: what it answered holds in the next.
import { afterAll, expect, test } from "bun:test";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sourceRoot } from "../../tools/source-root.ts";
import { startChild } from "../support/child.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-leases-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const LIFE_COUNT = 12;

/** Runs one life until it has said this many lines, kills it, and returns all that it said. */
async function life(lineCount: number): Promise<readonly (readonly [string, bigint])[]> {
  const program = join(sourceRoot, "test/support/lease-holder.ts");
  const child = startChild(process.execPath, [program, folder]);
  const ended = once(child, "close");
  let text = "";
  child.stdout?.setEncoding("latin1");
  child.stdout?.on("data", (part: string) => {
    text += part;
    if (text.split("\n").length > lineCount) child.kill("SIGKILL");
  });
  let errors = "";
  child.stderr?.on("data", (part: Buffer) => {
    errors += part.toString();
  });
  await ended;
  expect(errors).toBe("");
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => {
      const [what = "", fence = "0"] = line.split(" ");
      return [what, BigInt(fence)];
    });
}

test("after a kill the next life holds what was answered, and gives larger fences", async () => {
  let held = new Set<bigint>();
  let releasing: bigint | undefined;
  let last = 0n;
  for (let number = 0; number < LIFE_COUNT; number++) {
    const said = await life(100 + 211 * number);
    const kept = said.filter(([what]) => what === "kept").map(([, fence]) => fence);
    // It may have been killed between the grant and its answer, or in a release.
    const missing = [...held].filter((fence) => !kept.includes(fence) && fence !== releasing);
    expect(missing).toEqual([]);
    const surplus = kept.filter((fence) => !held.has(fence));
    expect(surplus.length).toBeLessThanOrEqual(1);
    expect(surplus.every((fence) => fence > last)).toBe(true);
    for (const fence of kept) if (fence > last) last = fence;
    held = new Set();
    releasing = undefined;
    for (const [what, fence] of said) {
      if (what === "granted") {
        expect(fence).toBeGreaterThan(last);
        last = fence;
        held.add(fence);
      }
      if (what === "releasing") releasing = fence;
      if (what === "released") held.delete(fence);
    }
  }
});
