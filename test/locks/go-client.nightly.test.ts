// The Go client of docs/guide/locks.md: nightly, for its compiler takes half a gigabyte of disk.
import { afterAll, beforeAll } from "bun:test";
import type { HoldsBench } from "../support/holds-bench.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import {
  diesWithoutTrace,
  givesUpInTime,
  hearsOfLoss,
  openClients,
  outlivesDaemon,
  takesTurns,
} from "./client-checks.ts";
import { type Client, goClient } from "./client-stage.ts";
import { needsOfInside, startInside } from "./inside-bench.ts";

const requirements: readonly Requirement[] = [...needsOfInside, "go"];
const startMs = 400_000;
const testMs = 120_000;

let bench: HoldsBench;
let client: Client;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  bench = await startInside();
  await openClients(bench);
  client = await goClient(bench);
}, startMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), startMs);

function when(what: string, run: (bench: HoldsBench, client: Client) => Promise<void>): void {
  whenPossible(requirements, `Go: ${what}`, async () => await run(bench, client), testMs);
}

when("keeps its lock beyond its time, and the next one waits for it", takesTurns);
when("goes on over the end of the daemon", outlivesDaemon);
when("hears that its lock was taken away", hearsOfLoss);
when("stops its work in time when the daemon hangs", givesUpInTime);
when("leaves nothing locked when it is killed", diesWithoutTrace);
