// `holdfast volume inspect`: everything about each volume, what is missing at the end.
import type { Invocation } from "./command.ts";
import { CliFailure, DaemonUnreachable } from "./failure.ts";
import { SeveralFailures } from "./several-failures.ts";
import { type ApiVolume, volumePath } from "./volume.ts";
import { escapeHtml, volumeObject } from "./volume-object.ts";

interface Found {
  readonly volumes: readonly ApiVolume[];
  readonly failures: CliFailure[];
}

async function find({ positional, client }: Invocation): Promise<Found> {
  const volumes: ApiVolume[] = [];
  const failures: CliFailure[] = [];
  for (const name of positional) {
    try {
      volumes.push(await client.json<ApiVolume>({ method: "GET", path: volumePath(name) }));
    } catch (error) {
      if (!(error instanceof CliFailure)) throw error;
      failures.push(error);
      if (error instanceof DaemonUnreachable) break;
    }
  }
  return { volumes, failures };
}

export async function inspectVolumes(invocation: Invocation): Promise<number> {
  const { options, terminal } = invocation;
  if (options.flag("full")) return (await import("./rarely.ts")).rarely.inspectFully(invocation);
  const format = options.text("format") ?? "";
  const isTemplate = format !== "" && format !== "json";
  const render = isTemplate
    ? (await import("./rarely.ts")).rarely.parseInspectFormat(format)
    : undefined;
  const { volumes, failures } = await find(invocation);
  if (render) {
    const rendered = render(volumes);
    await terminal.out(rendered.text);
    failures.push(...rendered.failures);
  } else if (options.flag("json")) {
    const lines = volumes.map((volume) => `${JSON.stringify(volumeObject(volume))}\n`);
    await terminal.out(lines.join(""));
  } else {
    const json = JSON.stringify(volumes.map(volumeObject), undefined, format === "json" ? 0 : 4);
    await terminal.out(`${escapeHtml(json)}\n`);
  }
  if (failures.length > 0) throw new SeveralFailures(failures);
  return 0;
}
