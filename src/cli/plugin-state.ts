// The state of a plugin, of its volumes, of those on remote storage and of shared databases, in a
// column: what is wrong, since when, and why.
import { shortDuration } from "./human.ts";
import { oneLine } from "./table.ts";

/** States that somebody has to look at, in the words of the API. */
const alarming: readonly string[] = [
  "unreachable",
  "restarting",
  "gone",
  "not listed",
  "degraded",
  "read-only",
  "stale",
  "conflict",
  "shared database",
];

/** How many characters of a reason a line has room for. */
const REASON_LENGTH_MAX = 60;

export interface PluginCondition {
  readonly state: string;
  /** null: not known. */
  readonly since: string | null;
  readonly reason: string | null;
}

/** `UNREACHABLE 12m (connection refused)`, `DISABLED 3h`. */
export function conditionText({ state, since, reason }: PluginCondition, nowMs: number): string {
  const age = since === null ? "" : ` ${shortDuration(nowMs - Date.parse(since))}`;
  return `${state.toUpperCase()}${age}${reason === null ? "" : ` (${shortened(oneLine(reason))})`}`;
}

/** What such a text begins with, where it is alarming. */
export const alarmingWords: readonly string[] = alarming.map((word) => word.toUpperCase());

function shortened(text: string): string {
  const isLong = text.length > REASON_LENGTH_MAX;
  return isLong ? `${text.slice(0, REASON_LENGTH_MAX - 1)}…` : text;
}
