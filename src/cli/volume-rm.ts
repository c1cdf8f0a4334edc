// `holdfast volume rm`: each name on its own, all failures at the end.
import type { Invocation } from "./command.ts";
import { CliFailure, DaemonUnreachable } from "./failure.ts";
import { SeveralFailures } from "./several-failures.ts";
import { volumePath } from "./volume.ts";

export async function removeVolumes(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const query = options.flag("force") ? "?force=1" : "";
  const failures: CliFailure[] = [];
  for (const name of positional) {
    try {
      await client.send({ method: "DELETE", path: `${volumePath(name)}${query}` });
      const line = options.flag("json") ? JSON.stringify({ Name: name, Removed: true }) : name;
      await terminal.out(`${line}\n`);
    } catch (error) {
      if (!(error instanceof CliFailure)) throw error;
      failures.push(error);
      if (error instanceof DaemonUnreachable) break;
    }
  }
  if (failures.length > 0) throw new SeveralFailures(failures);
  return 0;
}
