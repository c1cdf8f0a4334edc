// The host's side of a plugin's /run/docker/plugins, taken away: the plugin may have put anything
// there, as much and as deep as it liked, and mounts too.
import fs from "node:fs";
import { EngineError } from "../../core/errors.ts";
import type { Host, MountInfo } from "../../core/host.ts";
import { isAtOrBelow } from "../../core/mount-of.ts";
import type { Operation } from "../../core/operation.ts";
import { detachAll } from "./propagated-mounts.ts";

/** For some millions of files. */
const REMOVE_MS_MAX = 60_000;

/**
 * Succeeds when nothing is there. Another program removes it: this one has others to serve. Throws
 * `plugin.failed` when something of it stays; what is mounted there is never gone through.
 */
export async function endSocketDirectory(
  host: Pick<Host, "mounts" | "run">,
  directory: string,
  operation: Operation,
): Promise<void> {
  const isThere = ({ target }: MountInfo) => isAtOrBelow(target, directory);
  await detachAll(host, isThere, operation);
  const left = host.mounts().find(isThere);
  if (left !== undefined) throw stays(directory, `something is mounted at ${left.target}`);
  if (!fs.existsSync(directory)) return;
  const words = ["--recursive", "--force", "--one-file-system", "--", directory];
  const signal = AbortSignal.timeout(REMOVE_MS_MAX);
  const { exitCode, stderr } = await host.run("rm", words, { ...operation, signal });
  if (exitCode !== 0) throw stays(directory, stderr.trim().slice(0, 200));
}

function stays(directory: string, words: string): EngineError {
  return new EngineError("plugin.failed", `${directory} cannot be removed: ${words}`, {
    details: { path: directory },
  });
}
