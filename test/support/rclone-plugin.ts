// rclone's volume plugin, as it runs beside a container engine: a real one, with FUSE mounts.
import type { ChildProcess } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { descendants, eventually, startChild, stopChild } from "./child.ts";

export interface RclonePlugin extends AsyncDisposable {
  readonly child: ChildProcess;
  /** Killed, with its mounts under the feet of whoever uses them. */
  kill(): Promise<void>;
  /** What a volume has as its options to be a plain directory. */
  optionsFor(directory: string): Readonly<Record<string, string>>;
}

/**
 * Listens at `socketPath`; everything else of it lies below `folder`, which is a new one for each:
 * rclone 1.60 never listens when it finds that a killed one had something mounted.
 */
export async function startRclonePlugin(socketPath: string, folder: string): Promise<RclonePlugin> {
  const [mounts, cache, config] = ["mounts", "cache", "rclone.conf"].map((name) =>
    join(folder, name),
  ) as [string, string, string]; // Three names, three paths.
  for (const directory of [mounts, cache]) mkdirSync(directory, { recursive: true });
  writeFileSync(config, "");
  // What a killed one left.
  rmSync(socketPath, { force: true });
  const child = startChild(
    "rclone",
    ["serve", "docker", "--socket-addr", socketPath, "--base-dir", mounts, "--cache-dir", cache],
    { RCLONE_CONFIG: config, AWS_CA_BUNDLE: "" },
  );
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    said += chunk.toString("utf8");
  });
  await eventually(() => isListening(socketPath), {
    timeoutMs: 20_000,
    otherwise: () => `rclone does not listen: ${said}`,
  });
  return {
    child,
    async kill() {
      const pids = await descendants(child.pid ?? 0);
      const { promise, resolve } = Promise.withResolvers<void>();
      child.once("exit", () => resolve());
      for (const pid of pids) process.kill(pid, "SIGKILL");
      await promise;
    },
    optionsFor: (directory) => ({ remote: `:local:${directory}` }),
    [Symbol.asyncDispose]: () => stopChild(child),
  };
}

async function isListening(path: string): Promise<true | undefined> {
  const { promise, resolve } = Promise.withResolvers<true | undefined>();
  const socket = connect({ path });
  socket.once("connect", () => resolve(true));
  socket.once("error", () => resolve(undefined));
  const answer = await promise;
  socket.destroy();
  return answer;
}
