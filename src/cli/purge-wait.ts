// After a purge on a server, which may be silent: whether the data is gone, and why it is not yet.
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";
import { ask, ownPath } from "./own-client.ts";
import { oneLine } from "./table.ts";
import { isElsewhere, type TrashEntry } from "./trash.ts";

/** A purge that goes well is soon over; nobody waits for longer without having said so. */
const LOOK_COUNT = 8;
const LOOK_MS = 250;

type Asking = Pick<Invocation, "client" | "terminal" | "options">;

/** A line on stderr for each that is not gone after two seconds, or could not be purged. */
export async function tellWaiting(
  { client, terminal, options }: Asking,
  entries: readonly TrashEntry[],
): Promise<void> {
  if (options.flag("json") || options.flag("wait")) return;
  let left = entries.filter(isElsewhere);
  for (let look = 1; left.length > 0 && look <= LOOK_COUNT; look += 1) {
    const still: TrashEntry[] = [];
    for (const { id } of left) {
      const entry = await entryOf(client, id);
      if (entry === undefined) continue;
      const reason = entry.waitingFor ?? null;
      if (reason === null && look < LOOK_COUNT) still.push(entry);
      else await terminal.err(`${waitingText(entry, reason)}\n`);
    }
    left = still;
    if (left.length > 0) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** The entry that a purge of a volume has made; none where it is over. */
export async function purgingOf(
  client: Asking["client"],
  name: string,
): Promise<readonly TrashEntry[]> {
  const path = ownPath(["trash"], { name, count: "1" });
  const { entries } = await ask<{ readonly entries: readonly TrashEntry[] }>(client, {
    method: "GET",
    path,
  });
  return entries.filter(({ phase }) => phase === "purging");
}

function waitingText({ id, name }: TrashEntry, reason: string | null): string {
  const why = reason === null ? "the server has not done it yet" : oneLine(reason);
  return `${name} (${id}) is not destroyed yet, and is tried again: ${why}`;
}

/** undefined: it is gone. */
async function entryOf(client: Asking["client"], id: string): Promise<TrashEntry | undefined> {
  try {
    return await ask<TrashEntry>(client, { method: "GET", path: ownPath(["trash", id]) });
  } catch (error) {
    if (error instanceof CliFailure && error.code === "trash.not_found") return undefined;
    throw error;
  }
}
