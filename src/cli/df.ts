// `holdfast df`: what the volumes use, and how much of it nobody holds.
import { measuringSilenceMs } from "./client.ts";
import type { Invocation } from "./command.ts";
import { renderRows } from "./format.ts";
import { humanSize } from "./human.ts";
import { sortNaturally } from "./natural-order.ts";
import { type OwnVolume, readOwnVolumes } from "./own-volume.ts";
import { tableText } from "./table.ts";
import { type GoStruct, rowStruct } from "./template/values.ts";
import { readTotals, type TrashTotals } from "./trash.ts";
import type { ApiVolume } from "./volume.ts";
import { volumeObject } from "./volume-object.ts";
import { volumeHeaders, volumeRow } from "./volume-template.ts";

interface DiskUsage {
  readonly Volumes?: readonly ApiVolume[] | null;
}

const headers: Readonly<Record<string, string>> = {
  Type: "TYPE",
  TotalCount: "TOTAL",
  Active: "ACTIVE",
  Size: "SIZE",
  Reclaimable: "RECLAIMABLE",
};

/** The line about all volumes together; a size that is not known (-1) counts as nothing. */
function summaryRow(volumes: readonly ApiVolume[]): GoStruct {
  let sizeBytes = 0;
  let reclaimableBytes = 0;
  let active = 0;
  for (const { UsageData: usage } of volumes) {
    if (!usage) continue;
    if (usage.RefCount > 0) active++;
    if (usage.Size < 0) continue;
    sizeBytes += usage.Size;
    if (usage.RefCount === 0) reclaimableBytes += usage.Size;
  }
  const percent = sizeBytes > 0 ? ` (${Math.trunc((reclaimableBytes * 100) / sizeBytes)}%)` : "";
  const texts = {
    Active: String(active),
    Reclaimable: humanSize(reclaimableBytes) + percent,
    Size: humanSize(sizeBytes),
    TotalCount: String(volumes.length),
    Type: "Local Volumes",
  };
  return rowStruct("*formatter.diskUsageVolumesContext", texts);
}

/** What can be had by purging; a size that is not known counts as nothing. */
function trashRow({ entries, knownBytes }: TrashTotals): GoStruct {
  return rowStruct("*formatter.diskUsageVolumesContext", {
    Active: "0",
    Reclaimable: humanSize(knownBytes) + (knownBytes > 0 ? " (100%)" : ""),
    Size: humanSize(knownBytes),
    TotalCount: String(entries),
    Type: "Trash",
  });
}

/** Those on other machines: nobody measures them, as that would take as long as it takes. */
async function remoteVolumes(client: Invocation["client"]): Promise<readonly OwnVolume[]> {
  const own = [...(await readOwnVolumes(client)).values()];
  return sortNaturally(
    own.filter(({ storage }) => (storage?.server ?? "") !== ""),
    ({ name }) => name,
  );
}

function remoteRow(volumes: readonly OwnVolume[]): GoStruct {
  return rowStruct("*formatter.diskUsageVolumesContext", {
    Active: String(volumes.filter(isActive).length),
    Reclaimable: "-",
    Size: "-",
    TotalCount: String(volumes.length),
    Type: "Remote Volumes",
  });
}

function isActive({ holders }: OwnVolume): boolean {
  return holders.some(({ state }) => state !== "stopped");
}

function remoteTable(volumes: readonly OwnVolume[]): string {
  const rows = volumes.map(({ name, holders, storage }) => [
    ...[name, String(holders.length), "-", storage?.server ?? ""],
  ]);
  const lines = tableText([["VOLUME NAME", "LINKS", "SIZE", "SERVER"], ...rows]);
  return `\nRemote Volumes space usage:\n\n${lines}`;
}

const summaryFormat =
  "table {{.Type}}\\t{{.TotalCount}}\\t{{.Active}}\\t{{.Size}}\\t{{.Reclaimable}}";
const verboseFormat = "table {{.Name}}\\t{{.Links}}\\t{{.Size}}";

export async function showUsage({ options, client, terminal }: Invocation): Promise<number> {
  const usage = await client.json<DiskUsage>({
    method: "GET",
    path: "/system/df?type=volume",
    silenceMs: measuringSilenceMs,
  });
  const volumes = sortNaturally(usage.Volumes ?? [], (volume) => volume.Name);
  if (options.flag("json")) {
    const lines = volumes.map((volume) => `${JSON.stringify(volumeObject(volume))}\n`);
    await terminal.out(lines.join(""));
    return 0;
  }
  const given = options.text("format") ?? "";
  const isStandard = given === "" || given === "table";
  if (options.flag("verbose")) {
    const format = isStandard ? verboseFormat : given;
    const table = renderRows(volumes.map(volumeRow), { format, headers: volumeHeaders });
    const remote = given === "" ? await remoteVolumes(client) : [];
    const further = remote.length === 0 ? "" : remoteTable(remote);
    await terminal.out((isStandard ? `Local Volumes space usage:\n\n${table}` : table) + further);
    return 0;
  }
  const format = isStandard ? summaryFormat : given;
  // A format that was asked for gets Docker's rows.
  const totals = given === "" ? await readTotals(client) : undefined;
  const remote = given === "" ? await remoteVolumes(client) : [];
  const rows = [
    summaryRow(volumes),
    ...(remote.length > 0 ? [remoteRow(remote)] : []),
    ...(totals?.entries ? [trashRow(totals)] : []),
  ];
  await terminal.out(renderRows(rows, { format, headers }));
  return 0;
}
