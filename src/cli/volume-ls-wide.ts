// The table of `holdfast volume ls` for people: when each volume was made, and who holds it.
import { humanDuration } from "./human.ts";
import { colours } from "./style.ts";
import { alignColumns } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import type { ApiVolume } from "./volume.ts";

/** Holdfast's own daemon adds the holders to a volume; Docker's does not say. */
interface WithHolders {
  readonly Holders?: number | readonly unknown[] | null;
}

function ageOf(volume: ApiVolume, nowMs: number): string {
  const createdMs = Date.parse(volume.CreatedAt ?? "");
  // Year 1 is Docker's way to say that a driver did not tell.
  if (Number.isNaN(createdMs) || createdMs <= 0) return "-";
  return `${humanDuration(Math.max(0, nowMs - createdMs))} ago`;
}

function holdersOf(volume: ApiVolume & WithHolders): string {
  const { Holders: holders, UsageData: usage } = volume;
  if (typeof holders === "number") return String(holders);
  if (Array.isArray(holders)) return String(holders.length);
  return usage ? String(usage.RefCount) : "-";
}

export function renderWideTable(volumes: readonly ApiVolume[], terminal: Terminal): string {
  const nowMs = terminal.nowMs();
  const rows = volumes.map((volume) =>
    [volume.Driver, volume.Name, ageOf(volume, nowMs), holdersOf(volume)].join("\t"),
  );
  const table = alignColumns(`${["DRIVER\tVOLUME NAME\tCREATED\tHOLDERS", ...rows].join("\n")}\n`);
  const headerEnd = table.indexOf("\n");
  return colours(terminal).bold(table.slice(0, headerEnd)) + table.slice(headerEnd);
}
