// Rounds of create, mount, unmount and remove, after which everything is as before the first one.
import { readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../support/child.ts";
import { readQuietly } from "../support/command-lines.ts";
import { addedOnServer, mustSettle } from "./survive-checks.ts";
import type { TroubledServer } from "./survive-servers.ts";
import { openStage, own, type SurviveStage } from "./survive-stage.ts";

/** Of what is kept for a first use and then for good: by then there is nothing new any more. */
const warmUpRounds = 2;
const purgeMs = 20_000;
/** A collector may be late by so much; a leak of hundred rounds would be more. */
const memoryGrowthMax = 1.3;

/** Throws what is left. */
export async function goRound(driver: TroubledServer["driver"], roundCount: number): Promise<void> {
  await using stage = await openStage(driver);
  const round = async (number: number): Promise<void> => {
    const subpath = number % 2 === 0 ? {} : { subpath: `round-${number}` };
    const { status, json } = await stage.create("wiki", { trash: "off", ...subpath });
    if (status !== 201) throw new Error(`round ${number}: ${JSON.stringify(json)}`);
    const path = await stage.hold("wiki");
    if (number % 2 === 1) writeFileSync(join(path, "page"), `round ${number}`);
    await stage.release("wiki");
    await stage.done("DELETE", own("volumes/wiki?purge=true&confirm=wiki"));
  };
  for (let number = 0; number < warmUpRounds; number++) await round(number);
  await mustSettle(stage, []);
  const before = usageOf(stage);
  for (let number = 0; number < roundCount; number++) await round(number);
  // A purge goes on in the background.
  await eventually(() => (addedOnServer(stage).length === 0 ? true : undefined), {
    timeoutMs: purgeMs,
    otherwise: () => `left on the server: ${addedOnServer(stage).join()}`,
  });
  await mustSettle(stage, []);
  const after = usageOf(stage);
  console.log(`${driver}: ${roundCount} rounds: ${JSON.stringify({ before, after })}`);
  // One more may be a connection that is just being closed.
  if (after.descriptors > before.descriptors + 1)
    throw new Error(`descriptors are left: ${openOf(stage)}`);
  if (after.runFiles > before.runFiles) throw new Error("files are left in the run directory");
  if (after.memoryKilobytes > before.memoryKilobytes * memoryGrowthMax) {
    throw new Error("the daemon has grown");
  }
}

function openOf(stage: SurviveStage): string {
  const folder = `/proc/${stage.daemon().pid}/fd`;
  return readdirSync(folder)
    .map((name) => `${name} ${readlinkSync(join(folder, name))}`)
    .join(", ");
}

function usageOf(stage: SurviveStage) {
  const { pid } = stage.daemon();
  const [, kilobytes = "0"] = /^VmRSS:\s*(\d+)/m.exec(readQuietly(`/proc/${pid}/status`)) ?? [];
  return {
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    runFiles: readdirSync(stage.run, { recursive: true }).length,
    memoryKilobytes: Number(kilobytes),
  };
}
