// Says on a terminal what is waited for, when it takes longer than one blinks.
import { colours } from "./style.ts";
import type { Terminal } from "./terminal.ts";

/** What ends sooner needs no word. */
const QUIET_MS = 400;

/** Ends as `work` does. The line is taken away then. */
export async function withNotice<Result>(
  terminal: Terminal,
  text: string,
  work: Promise<Result>,
): Promise<Result> {
  const { dim } = colours(terminal);
  let shown: Promise<void> | undefined;
  const timer = setTimeout(() => {
    // What cannot be said is no reason to fail.
    shown = showIt().catch(() => undefined);
  }, QUIET_MS);
  async function showIt(): Promise<void> {
    if (await terminal.isErrTerminal()) await terminal.err(`${dim(text)}\r`);
  }
  try {
    return await work;
  } finally {
    clearTimeout(timer);
    await shown;
    // To the start of the line, which is cleared.
    if (shown !== undefined && (await terminal.isErrTerminal())) {
      await terminal.err("\x1b[K").catch(() => undefined);
    }
  }
}
