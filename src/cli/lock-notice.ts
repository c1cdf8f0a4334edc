// Says on a terminal who has the lock that is waited for, and which place in the queue is ours.
import { DaemonClient } from "./client.ts";
import { CliFailure } from "./failure.ts";
import { type LockPlace, placeText } from "./lock-place.ts";
import { ownerText, readLocks } from "./lock-view.ts";
import { colours } from "./style.ts";
import type { Target } from "./target.ts";
import type { Terminal } from "./terminal.ts";

/** Nobody needs to know it so much that they would wait for that. */
const ANSWER_MS_MAX = 2_000;

interface Waiting {
  readonly target: Target;
  readonly place: LockPlace;
  /** 1: we are next. */
  readonly at: number;
}

/** Returns what takes the line away again. */
export async function lockNotice(
  terminal: Terminal,
  { target, place, at }: Waiting,
): Promise<() => Promise<void>> {
  if (!(await terminal.isErrTerminal())) return async () => undefined;
  const who = await ownersOf(target, place);
  const has = who === "" ? "" : `${who} has it; `;
  const where = at === 1 ? "we are next" : `${at - 1} more before us`;
  const text = `waiting for the lock ${placeText(place)}: ${has}${where}`;
  await terminal.err(`\r\x1b[K${colours(terminal).dim(text)}\r`);
  return async () => await terminal.err("\x1b[K");
}

async function ownersOf(target: Target, place: LockPlace): Promise<string> {
  const client = new DaemonClient(target, { silenceMs: ANSWER_MS_MAX });
  try {
    const locks = await readLocks(client, place.volume);
    const owners = locks.filter(({ lock }) => lock === place.lock);
    return owners.map(({ holder }) => ownerText(holder)).join(", ");
  } catch (error) {
    if (error instanceof CliFailure) return "";
    throw error;
  } finally {
    client.close();
  }
}
