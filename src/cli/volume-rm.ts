// `holdfast volume rm`: each name on its own, all failures at the end.
import type { Invocation } from "./command.ts";
import { CliFailure, DaemonUnreachable } from "./failure.ts";
import { SeveralFailures } from "./several-failures.ts";
import { volumePath } from "./volume.ts";

export async function removeVolumes(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  if (options.flag("purge") || options.flag("yes")) {
    return await (await import("./rarely.ts")).rarely.purgeVolumes(invocation);
  }
  const query = options.flag("force") ? "?force=1" : "";
  const startedAtMs = terminal.nowMs();
  const removed: string[] = [];
  const failures: CliFailure[] = [];
  for (const name of positional) {
    try {
      await client.send({ method: "DELETE", path: `${volumePath(name)}${query}` });
      const line = options.flag("json") ? JSON.stringify({ Name: name, Removed: true }) : name;
      await terminal.out(`${line}\n`);
      removed.push(name);
    } catch (error) {
      if (!(error instanceof CliFailure)) throw error;
      failures.push(error);
      if (error instanceof DaemonUnreachable) break;
    }
  }
  if (removed.length > 0 && !options.flag("json") && (await terminal.isOutTerminal())) {
    await (await import("./rarely.ts")).rarely.hintAtTrash(removed, startedAtMs, invocation);
  }
  if (failures.length > 0) throw new SeveralFailures(failures);
  return 0;
}
