// `holdfast volume history`: who did what to a volume, what else it was about, how it ended.
import type { DaemonClient } from "./client.ts";
import type { Invocation } from "./command.ts";
import { ask, badWords, ownPath, refuseEmpty } from "./own-client.ts";
import { oneLine, tableText } from "./table.ts";

/** A change (src/api/holdfast/history-contract.ts). */
export interface Change {
  readonly cursor: string;
  readonly at: string;
  readonly action: string;
  readonly volume: string;
  readonly by: string;
  readonly subject: string;
  readonly outcome: string;
}

interface ChangePage {
  readonly changes: readonly Change[];
  readonly next: string | null;
}

/** At most so many are asked for at once. */
const PAGE_COUNT_MAX = 1_000;

export async function showHistory(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const [name = ""] = positional;
  refuseEmpty(name);
  const text = options.text("count") ?? "";
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (count < 1) throw badWords(`--count ${text}: a whole number from 1 to 999999 is needed`);
  const changes = await readChanges(client, name, count);
  await terminal.out(
    options.flag("json")
      ? changes.map((change) => `${JSON.stringify(change)}\n`).join("")
      : renderChanges(changes),
  );
  return 0;
}

async function readChanges(
  client: DaemonClient,
  volume: string,
  countMax: number,
): Promise<readonly Change[]> {
  const found: Change[] = [];
  let before: Readonly<Record<string, string>> = {};
  for (;;) {
    const count = String(Math.min(PAGE_COUNT_MAX, countMax - found.length));
    const path = ownPath(["history"], { volume, count, ...before });
    const { changes, next } = await ask<ChangePage>(client, { method: "GET", path });
    found.push(...changes);
    if (next === null || found.length >= countMax) return found;
    before = { before: next };
  }
}

function renderChanges(changes: readonly Change[]): string {
  const rows = changes.map(({ at, action, by, subject, outcome }) => [
    `${at.slice(0, 19)}Z`,
    action,
    by === "" ? "-" : by,
    subject === "" ? "-" : oneLine(subject),
    outcome,
  ]);
  return tableText([["TIME", "ACTION", "BY", "SUBJECT", "OUTCOME"], ...rows]);
}
