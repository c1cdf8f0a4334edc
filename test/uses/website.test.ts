// Three nginx and a publisher share a volume: whoever loads a page gets all of one release of it.
import { afterAll, beforeAll, expect } from "bun:test";
import { HoldsBench } from "../support/holds-bench.ts";
import { needs, whenPossible } from "../support/needs.ts";
import {
  needsOfWebsite,
  openWebsite,
  overwrite,
  publish,
  servers,
  siteVolume,
  startServer,
  visitDuring,
} from "./website.ts";

const timeoutMs = 120_000;
const swapCount = 300;

let bench: HoldsBench;
beforeAll(async () => {
  if (needs(...needsOfWebsite).skip !== undefined) return;
  bench = new HoldsBench();
  await bench.start();
  await openWebsite(bench);
}, timeoutMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), timeoutMs);

function when(name: string, run: () => Promise<void>): void {
  whenPossible(needsOfWebsite, name, run, timeoutMs);
}

const readers = servers.map((name) => `${name} running ro`);

when("no page is torn or missing while its content is swapped by rename", async () => {
  await bench.holders(siteVolume, "publisher running rw", ...readers);
  const visit = await visitDuring(bench, publish(bench, 2, swapCount));
  expect(visit.faults).toEqual([]);
  expect(visit.loads).toBeGreaterThan(2_000);
  expect(visit.releases.size).toBeGreaterThan(swapCount / 3);
});

when("a server that is killed and replaced goes on with the newest release", async () => {
  await bench.docker("rm", "-f", "web3");
  await bench.holders(siteVolume, "publisher running rw", ...readers.slice(0, 2));
  await startServer(bench, "web3");
  await bench.holders(siteVolume, "publisher running rw", ...readers);
  const newest = swapCount + 20;
  const visit = await visitDuring(bench, publish(bench, swapCount + 1, newest));
  expect(visit.faults).toEqual([]);
  const after = await visitDuring(bench, Promise.resolve());
  expect([...after.releases]).toEqual([String(newest)]);
  await bench.docker("exec", "web3", "/bin/sh", "-c", "! touch /site/page.html");
});

when("a second writer is refused, the first goes on", async () => {
  const started = bench.run("intruder", "-v", `${siteVolume}:/site`);
  const refusal = "has sharing=onewriter, and publisher has it read-write";
  await expect(started).rejects.toThrow(refusal);
  await bench.docker("rm", "intruder");
  await bench.holders(siteVolume, "publisher running rw", ...readers);
  await publish(bench, 1, 1);
});

when("pages that are written in place are found torn: the visitors do look", async () => {
  const visit = await visitDuring(bench, overwrite(bench, 1, 200));
  expect(visit.faults.length).toBeGreaterThan(0);
});
