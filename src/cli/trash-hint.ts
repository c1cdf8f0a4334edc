// After a removal, for people: where the volume is now, and how it comes back.
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";
import { colours } from "./style.ts";
import { isElsewhere, newestOf } from "./trash.ts";

/** How many volumes are told of; who removes more has a script's work in mind. */
const NAMED_COUNT_MAX = 5;

/** What was removed before `sinceMs` (of this machine's clock) is another volume. */
export async function hintAtTrash(
  names: readonly string[],
  sinceMs: number,
  { client, terminal }: Pick<Invocation, "client" | "terminal">,
): Promise<void> {
  const { dim } = colours(terminal);
  for (const name of names.slice(0, NAMED_COUNT_MAX)) {
    try {
      const entry = await newestOf(client, name);
      if (entry === undefined || Date.parse(entry.removedAt) < sinceMs) continue;
      const until = entry.purgesAt === null ? "" : ` until ${dayText(entry.purgesAt)}`;
      const stays = isElsewhere(entry) ? ", its data stays on the server" : "";
      const way = `holdfast trash restore ${name}`;
      await terminal.err(dim(`${name} is in the trash${until}${stays}: ${way}`).concat("\n"));
    } catch (error) {
      // A hint is worth no failure: the volume is removed.
      if (!(error instanceof CliFailure)) throw error;
      return;
    }
  }
}

/** Of UTC, to the minute: the clock of this terminal may be in any zone. */
function dayText(instant: string): string {
  return `${instant.slice(0, 16).replace("T", " ")} UTC`;
}
