// The guides' commands with a real Docker Engine beside Holdfast print what the guides show.
import { afterAll, describe, expect } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { sourceRoot } from "../../tools/source-root.ts";
import { differences } from "../e2e/comparison.ts";
import { readTours, type Step, type Tour } from "../e2e/tour.ts";
import type { Ended } from "../support/child.ts";
import { HoldsBench } from "../support/holds-bench.ts";
import { whenPossible } from "../support/needs.ts";
import { testImage } from "../support/test-image.ts";

/** A tour starts daemons and dozens of programs. */
const tourMs = 120_000;

for (const name of readdirSync(join(sourceRoot, "docs/guide")).toSorted()) {
  const document = `docs/guide/${name}`;
  const text = readFileSync(join(sourceRoot, document), "utf8");
  for (const tour of readTours(document, text, "docker")) describeTour(tour);
}

function describeTour({ document, blocks }: Tour): void {
  describe(document, () => {
    let bench: HoldsBench | undefined;
    afterAll(async () => {
      // Stopped with dockerd, each would be waited for.
      const ids = (await bench?.docker("ps", "--all", "--quiet"))?.split("\n") ?? [];
      await bench?.dockerd.docker("rm", "--force", ...ids);
      await bench?.[Symbol.asyncDispose]();
    }, tourMs);
    for (const { line, steps } of blocks) {
      whenPossible(
        ["root", "dockerd", "docker-cli-23", "busybox", "mount"],
        `the docker tour of ${document}:${line} prints what it shows`,
        async () => {
          bench ??= await opened();
          const found: string[] = [];
          for (const step of steps) found.push(...(await untruth(bench, step)));
          expect(found).toEqual([]);
        },
        tourMs,
      );
    }
  });
}

/** The guides call our test image by a name that everybody knows. */
async function opened(): Promise<HoldsBench> {
  const bench = new HoldsBench();
  await bench.start();
  await bench.docker("tag", testImage, "busybox");
  return bench;
}

async function untruth(bench: HoldsBench, step: Step): Promise<readonly string[]> {
  const { stdout, stderr } = await play(bench, step.words);
  const found = differences(step.shown, shown(bench, `${stdout}${stderr}`));
  return found.length === 0 ? [] : [`line ${step.line}, ${step.command}\n${found.join("\n")}`];
}

async function play(bench: HoldsBench, words: readonly string[]): Promise<Ended> {
  const [program, ...rest] = words;
  if (program === "docker") return await bench.dockerd.docker(...rest);
  if (program === "holdfast") return await bench.holdfast(...rest);
  throw new Error(`a docker tour may not run ${program}`);
}

/** Places as on a machine of its own; what dockerd was given last at a place is not shown. */
function shown(bench: HoldsBench, text: string): string {
  return text.replaceAll(bench.root, "/var/lib/holdfast").replaceAll(/volume '[^']*':/g, "volume:");
}
