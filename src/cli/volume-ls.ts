// `holdfast volume ls`: Docker's list; on a terminal a wider one.
import type { Invocation } from "./command.ts";
import { sortNaturally } from "./natural-order.ts";
import { alignPairs } from "./table.ts";
import { type ApiVolume, listRequest, type VolumeList } from "./volume.ts";

/** The part of the work that Docker does too: the sorted list. */
async function readVolumes({ options, client, terminal }: Invocation): Promise<ApiVolume[]> {
  const list = await client.json<VolumeList>(listRequest(options.all("filter")));
  const warnings = list.Warnings ?? [];
  if (warnings.length > 0 && (await terminal.isErrTerminal())) {
    await terminal.err(warnings.map((warning) => `warning: ${warning}\n`).join(""));
  }
  return sortNaturally(list.Volumes ?? [], (volume) => volume.Name);
}

export async function listVolumes(invocation: Invocation): Promise<number> {
  const { options, terminal } = invocation;
  const format = options.text("format") ?? "";
  const isPlain = format === "" && !options.flag("cluster") && !options.flag("json");
  const isWide = isPlain && !options.flag("quiet") && (await terminal.isOutTerminal());
  const volumes = await readVolumes(invocation);
  if (isWide) {
    const { renderWideTable } = (await import("./rarely.ts")).rarely;
    await terminal.out(await renderWideTable(volumes, invocation));
    return 0;
  }
  if (!isPlain) {
    const { renderVolumes } = (await import("./rarely.ts")).rarely;
    await terminal.out(renderVolumes(volumes, options));
    return 0;
  }
  await terminal.out(options.flag("quiet") ? renderNames(volumes) : renderTable(volumes));
  return 0;
}

function renderNames(volumes: readonly ApiVolume[]): string {
  return volumes.map((volume) => `${volume.Name}\n`).join("");
}

function renderTable(volumes: readonly ApiVolume[]): string {
  const rows = volumes.map((volume) => [volume.Driver, volume.Name] as const);
  return alignPairs([["DRIVER", "VOLUME NAME"], ...rows]);
}
