// What must not happen by mistake is confirmed by typing the name, or by an option that says it.
import { errorTable } from "../core/error-table.ts";
import { exitOfKind } from "./exit-codes.ts";
import { CliFailure } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

/**
 * Asks on a terminal, and returns when the name was typed. Throws `CliFailure` for anything else,
 * and where there is nobody to ask: then `option` says what to write.
 */
export async function typedName(
  terminal: Terminal,
  name: string,
  { warning, option }: { readonly warning: string; readonly option: string },
): Promise<void> {
  if (!(await terminal.isErrTerminal())) {
    throw missing(`${warning} Nobody can be asked here.`, `Add ${option} if it is meant.`);
  }
  await terminal.err(`${warning}\nType ${name} to go on: `);
  const answer = ((await terminal.readLine()) ?? "").trim();
  if (answer !== name) throw missing("that is not the name: nothing was done");
}

function missing(message: string, way?: string): CliFailure {
  const code = "confirmation.missing";
  const { kind, recovery: standard } = errorTable[code];
  const recovery = way ?? standard;
  return new CliFailure(message, exitOfKind[kind], { code, recovery });
}
