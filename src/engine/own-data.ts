// Gives a volume's data its owner and mode (the options `owner` and `mode`), before it is used.
import { EngineError } from "../core/errors.ts";
import type { DirectoryOwner, Host } from "../core/host.ts";
import type { Operation } from "../core/operation.ts";

/**
 * Changes what differs, and nothing else. Where something is mounted there, its storage may never
 * answer: then programs do it, and are abandoned when the operation's signal fires. Throws
 * `storage.failed` with the program's words, and what `Host.own` and `Host.run` throw.
 */
export async function ownData(
  host: Pick<Host, "own" | "isMountPoint" | "run">,
  data: string,
  wanted: DirectoryOwner,
  operation: Operation,
): Promise<void> {
  if (!host.isMountPoint(data)) {
    host.own(data, wanted);
    return;
  }
  const run = async (program: string, ...args: readonly string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await host.run(program, [...args, "--", data], operation);
    if (exitCode === 0) return stdout.trim();
    const [why = ""] = stderr.split("\n", 1);
    throw new EngineError("storage.failed", `giving ${data} its owner and mode: ${why}`, {
      details: { path: data },
    });
  };
  // Some servers let nobody change an owner, whoever asks, and have the right one already.
  const look = async () => (await run("stat", "--format=%u %g %a")).split(" ");
  const [userId, groupId] = await look();
  const user = String(wanted.userId ?? userId);
  const group = String(wanted.groupId ?? groupId);
  if (user !== userId || group !== groupId) {
    await run("chown", "--no-dereference", `${user}:${group}`);
  }
  const { mode } = wanted;
  if (mode === undefined) return;
  // A change of the owner may have taken set-id bits away.
  const [, , bits = ""] = await look();
  const words = mode.toString(8).padStart(4, "0");
  if (bits.padStart(4, "0") !== words) await run("chmod", words);
}
