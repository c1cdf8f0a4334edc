// kill -9 of the daemon, of the FUSE process, of both, while somebody writes with fsync.
import type { ChildProcess } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { eventually, startChild, stopChild } from "../support/child.ts";
import { numberedContent, numberedFile } from "../support/fsync-writer.ts";
import { mustSettle } from "./survive-checks.ts";
import type { TroubledServer } from "./survive-servers.ts";
import { openStage, own, type SurviveStage } from "./survive-stage.ts";

export type Victim = "daemon" | "fuse" | "both";

/** So many files are acknowledged before each kill, and after each healing. */
const fileCount = 15;
/** What nobody asks for is looked at every 15 s; and the machine may be busy. */
const healMs = 60_000;

/** Throws what is wrong: an acknowledged file that is not there, a mount that is not healed. */
export async function killWhileWriting(
  driver: TroubledServer["driver"],
  victims: readonly Victim[],
): Promise<void> {
  await using stage = await openStage(driver);
  await stage.create("wiki");
  const path = await stage.hold("wiki");
  await using writer = startWriter(path);
  for (const victim of victims) {
    await writer.untilMore(fileCount);
    const fuse = fusePid(stage);
    const acknowledged = writer.acknowledged();
    if (victim !== "fuse") process.kill(stage.daemon().pid, "SIGKILL");
    if (victim !== "daemon") process.kill(fuse, "SIGKILL");
    // On the server before anything is mended.
    if (driver === "sshfs") mustBeOnServer(stage, acknowledged);
    if (victim !== "fuse") {
      await stage.daemon().kill();
      await stage.startDaemon();
    }
    await writer.untilMore(fileCount);
    const isAdopted = fusePid(stage) === fuse;
    if (isAdopted !== (victim === "daemon")) throw new Error(`${victim}: adopted: ${isAdopted}`);
    await stage.untilState("wiki", /^in use$/, healMs);
  }
  await writer.stop();
  const all = writer.acknowledged();
  if (driver === "rclone") await stage.done("POST", own("volumes/wiki/flush"));
  mustBeOnServer(stage, all);
  await mustSettle(stage, ["wiki"]);
  await stage.release("wiki");
  await mustSettle(stage, []);
}

/** Of the mount of "wiki". */
function fusePid({ run, server }: SurviveStage): number {
  const note = readFileSync(join(run, "remote", server.driver, "wiki/process.json"), "utf8");
  return Number(JSON.parse(note).pid);
}

function mustBeOnServer({ server }: SurviveStage, count: number): void {
  for (let number = 0; number < count; number++) {
    const file = join(server.served, numberedFile(number));
    if (!existsSync(file)) throw new Error(`${number} of ${count} acknowledged files is missing`);
    if (readFileSync(file, "utf8") === numberedContent(number)) continue;
    throw new Error(`${number} of ${count} acknowledged files is not what was written`);
  }
}

interface Writer extends AsyncDisposable {
  /** How many files are safe, as far as it was said. */
  acknowledged(): number;
  /** Waits until so many more are. */
  untilMore(count: number): Promise<void>;
  stop(): Promise<void>;
}

function startWriter(path: string): Writer {
  const program = resolve(import.meta.dir, "../support/fsync-writer.ts");
  // A test run that is killed takes it along.
  const words = ["--pdeathsig", "KILL", process.execPath, program, path];
  const child: ChildProcess = startChild("setpriv", words);
  let said = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    said += chunk.toString("utf8");
  });
  const acknowledged = () => said.split("\n").length - 1;
  const stop = () => stopChild(child);
  return {
    acknowledged,
    async untilMore(count) {
      const wanted = acknowledged() + count;
      await eventually(() => (acknowledged() >= wanted ? true : undefined), {
        timeoutMs: healMs,
        otherwise: () => `${acknowledged()} files are acknowledged, not ${wanted}`,
      });
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
