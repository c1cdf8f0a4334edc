// A reboot of the host while its server is late: what was held is mounted by itself when it is up.
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { bareWrites, mustSettle } from "./survive-checks.ts";
import type { TroubledServer } from "./survive-servers.ts";
import { endProcesses, openStage, unmountAll } from "./survive-stage.ts";
import { mustBeOnServer, writeSafely } from "./survive-troubles.ts";

/** How late the server is, and how soon it is mounted then. */
const lateMs = 5_000;
const mountedMs = 5_000;

/** Throws what is wrong. */
export async function reboot(
  driver: TroubledServer["driver"],
  { isServerThere }: { readonly isServerThere: boolean },
): Promise<void> {
  await using stage = await openStage(driver);
  await stage.create("wiki");
  const path = await stage.hold("wiki");
  await writeSafely(stage, path, "before");
  await stage.daemon().kill();
  await endProcesses(stage.root);
  await unmountAll(stage.folder);
  rmSync(stage.run, { recursive: true, force: true });
  if (!isServerThere) await stage.server.kill();
  await stage.startDaemon();
  if (!isServerThere) {
    await stage.untilState("wiki", /^(mounting|not mounted|unreachable: .)/, lateMs);
    // The lateness is what this is about: nothing announces it.
    await delay(lateMs);
    if (existsSync(join(path, "before"))) throw new Error("it is mounted without its server");
    if (bareWrites(stage).length > 0) throw new Error(bareWrites(stage).join());
    await stage.server.start();
  }
  await stage.untilState("wiki", /^in use$/, mountedMs);
  if (readFileSync(join(path, "before"), "utf8") !== "written before")
    throw new Error("it is lost");
  await writeSafely(stage, path, "after");
  mustBeOnServer(stage, "after");
  stage.mustBePrompt();
  await mustSettle(stage, ["wiki"]);
  await stage.release("wiki");
  await mustSettle(stage, []);
}
