// The table of `holdfast volume ls` for people: when each volume was made, and who holds it.
import type { DaemonClient } from "./client.ts";
import type { Invocation } from "./command.ts";
import { DaemonRefusal } from "./failure.ts";
import { humanDuration } from "./human.ts";
import { colours } from "./style.ts";
import { alignColumns } from "./table.ts";
import type { ApiVolume } from "./volume.ts";

/** The part of Holdfast's own description of a volume that the table shows. */
interface OwnVolume {
  readonly name: string;
  readonly state: string;
  readonly holders: readonly unknown[];
}

/** One page of them, sorted by name. */
interface OwnPage {
  readonly volumes: readonly OwnVolume[];
  readonly next: string | null;
}

/** What to show of each volume's holders; nothing where the daemon is not ours. */
async function readHolders(client: DaemonClient): Promise<ReadonlyMap<string, string>> {
  const shown = new Map<string, string>();
  try {
    for (let after: string | null = ""; after !== null; ) {
      const page: OwnPage = await client.json<OwnPage>({
        method: "GET",
        path: `/holdfast/v1/volumes?after=${encodeURIComponent(after)}`,
      });
      for (const { name, state, holders } of page.volumes) {
        const isAmiss = state === "data missing" || state === "not mounted";
        shown.set(name, isAmiss ? state : String(holders.length));
      }
      after = page.next;
    }
    return shown;
  } catch (error) {
    if (error instanceof DaemonRefusal) return new Map();
    throw error;
  }
}

function ageOf(volume: ApiVolume, nowMs: number): string {
  const createdMs = Date.parse(volume.CreatedAt ?? "");
  // Year 1 is Docker's way to say that a driver did not tell.
  if (Number.isNaN(createdMs) || createdMs <= 0) return "-";
  return `${humanDuration(Math.max(0, nowMs - createdMs))} ago`;
}

export async function renderWideTable(
  volumes: readonly ApiVolume[],
  { client, terminal }: Invocation,
): Promise<string> {
  const nowMs = terminal.nowMs();
  const holders = await readHolders(client);
  const rows = volumes.map((volume) =>
    [volume.Driver, volume.Name, ageOf(volume, nowMs), holders.get(volume.Name) ?? "-"].join("\t"),
  );
  const table = alignColumns(`${["DRIVER\tVOLUME NAME\tCREATED\tHOLDERS", ...rows].join("\n")}\n`);
  const headerEnd = table.indexOf("\n");
  return colours(terminal).bold(table.slice(0, headerEnd)) + table.slice(headerEnd);
}
