// The table of `holdfast volume ls` for people: what each volume is doing, who has it, since when.
import type { Invocation } from "./command.ts";
import { humanDuration } from "./human.ts";
import { holdersText, type OwnVolume, readOwnVolumes, stateText } from "./own-volume.ts";
import { alarmingWords } from "./plugin-state.ts";
import { colours } from "./style.ts";
import { alignColumns, cutToFit } from "./table.ts";
import type { ApiVolume } from "./volume.ts";

/** States that somebody has to look at. */
const alarming: readonly string[] = ["violated", "not mounted", "data missing", ...alarmingWords];

const stateHeader = "STATE";
const header = ["NAME", "DRIVER", stateHeader, "HOLDERS", "LAST USED"];

/** What a narrow terminal has no room for; names stay whole, for they are copied. */
const narrowable = [
  { column: header.indexOf("HOLDERS"), widthMin: 16 },
  { column: header.indexOf(stateHeader), widthMin: 20 },
];

/** `now`, `5 minutes ago`, `never`; `-` for what is not known. */
function lastUseText(volume: OwnVolume, nowMs: number): string {
  if (volume.holders.some(({ state }) => state !== "stopped")) return "now";
  const usedMs = Date.parse(volume.lastUsedAt ?? "");
  if (!Number.isNaN(usedMs)) return `${humanDuration(Math.max(0, nowMs - usedMs))} ago`;
  return volume.firstUsedAt === null ? "never" : "-";
}

function cells(volume: ApiVolume, own: OwnVolume | undefined, nowMs: number): readonly string[] {
  const { Name, Driver } = volume;
  if (own === undefined) return [Name, Driver, "-", "-", "-"];
  return [Name, Driver, stateText(own, nowMs), holdersText(own.holders), lastUseText(own, nowMs)];
}

export async function renderWideTable(
  volumes: readonly ApiVolume[],
  { client, terminal }: Invocation,
): Promise<string> {
  const nowMs = terminal.nowMs();
  const own = await readOwnVolumes(client);
  const rows = volumes.map((volume) => cells(volume, own.get(volume.Name), nowMs));
  const columns = terminal.outColumns();
  const whole = [header, ...rows];
  const fitting = columns === undefined ? whole : cutToFit(whole, columns, narrowable);
  const text = fitting.map((line) => line.join("\t")).join("\n");
  const [first = "", ...lines] = alignColumns(text).split("\n");
  // Colours come last: they would count as characters.
  const { bold, red } = colours(terminal);
  const stateAt = first.indexOf(stateHeader);
  const coloured = lines.map((line) => {
    const state = alarming.find((word) => line.startsWith(word, stateAt));
    if (state === undefined) return line;
    return line.slice(0, stateAt) + red(state) + line.slice(stateAt + state.length);
  });
  return [bold(first), ...coloured].map((line) => `${line}\n`).join("");
}
