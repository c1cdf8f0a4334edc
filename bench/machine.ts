// What a figure depends on: the machine, the programs and the commit it was measured with.
import { cpus, release, totalmem } from "node:os";
import { programPath, run, runAnyway } from "./processes.ts";

/** The surroundings of a run, each fact with its name, in the order of the page. */
export type Surroundings = readonly (readonly [name: string, fact: string])[];

/** Asks the machine. `directory` is where the file system's image lies. */
export async function surroundings(request: {
  readonly directory: string;
  readonly versions: Surroundings;
  /** Processes that wanted a processor, on average of the minute before the bench began. */
  readonly loadBefore: number;
  readonly signal: AbortSignal;
}): Promise<Surroundings> {
  const { directory, versions, loadBefore, signal } = request;
  const kind = await run({ command: ["stat", "-f", "-c", "%T", directory], signal });
  const client = await run({ command: [programPath("docker", "docker.io"), "--version"], signal });
  const processors = cpus();
  return [
    ["date", new Date().toISOString().slice(0, 16).replace("T", " ").concat(" UTC")],
    ["processors", `${processors.length} × ${processors[0]?.model.trim() ?? "unknown"}`],
    ["memory", `${(totalmem() / 1024 ** 3).toFixed(1)} GiB`],
    [
      "load average before",
      `${loadBefore.toFixed(1)} (more than a few tenths: not a quiet machine)`,
    ],
    ["kernel", `Linux ${release()}`],
    ["file system", `ext4 on a loop device, its image on ${kind.trim()}`],
    ...versions,
    ["docker client", client.trim().replace("Docker version ", "")],
    ["Bun", Bun.version],
    ["commit", await commit(signal)],
  ];
}

async function commit(signal: AbortSignal): Promise<string> {
  const cwd = ["git", "-C", import.meta.dir];
  const head = await runAnyway({ command: [...cwd, "rev-parse", "--short=12", "HEAD"], signal });
  if (head.exitCode !== 0) {
    return "none yet";
  }
  const changed = await runAnyway({ command: [...cwd, "status", "--porcelain"], signal });
  return head.output.trim() + (changed.output.trim() === "" ? "" : " with uncommitted changes");
}
