// Says on stderr what went wrong and returns the exit code.
import type { Command } from "./command.ts";
import { commands, globalOptions } from "./commands.ts";
import { CliFailure, DaemonRefusal } from "./failure.ts";
import { wayOut } from "./hints.ts";
import { SeveralFailures } from "./several-failures.ts";
import { colours } from "./style.ts";
import { suggest } from "./suggest.ts";
import type { Terminal } from "./terminal.ts";
import { UsageFailure } from "./usage-failure.ts";

/** A bug in this program (STYLE.md, section 6). */
const internalExit = 70;

export async function reportFailure(
  error: unknown,
  words: readonly string[],
  terminal: Terminal,
): Promise<number> {
  if (!(error instanceof CliFailure)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    await terminal.err(
      `holdfast: internal error, which is a bug: ${text}\nPlease report it with this text.\n`,
    );
    return internalExit;
  }
  if (words.includes("--json") && !(error instanceof UsageFailure)) {
    await terminal.err(failuresOf(error).map(jsonLine).join(""));
    return error.exitCode;
  }
  if (error instanceof UsageFailure) await terminal.err(usageText(error));
  else await terminal.err(`${error.message}\n${await hints(error, terminal)}`);
  return error.exitCode;
}

function failuresOf(error: CliFailure): readonly CliFailure[] {
  return error instanceof SeveralFailures ? error.failures : [error];
}

function jsonLine(failure: CliFailure): string {
  const refusal = failure instanceof DaemonRefusal ? failure : undefined;
  const { message } = failure;
  const recovery = refusal?.recovery ?? wayOut(message);
  const error = { message, code: refusal?.code, status: refusal?.status, recovery };
  return `${JSON.stringify({ error })}\n`;
}

/** For people only: a program that compares stderr with Docker's sees Docker's. */
async function hints(error: CliFailure, terminal: Terminal): Promise<string> {
  if (!(await terminal.isErrTerminal())) return "";
  const ways = failuresOf(error).map((failure) => {
    const recovery = failure instanceof DaemonRefusal ? failure.recovery : undefined;
    return recovery ?? wayOut(failure.message);
  });
  const distinct = new Set(ways.filter((way) => way !== undefined));
  return [...distinct].map((way) => `${colours(terminal).dim(way)}\n`).join("");
}

function usageText({ option, command }: UsageFailure): string {
  const name = command ? `holdfast ${command.words.join(" ")}` : "holdfast";
  const usage = command ? `${name} ${command.usage}` : "holdfast [OPTIONS] COMMAND [ARG...]";
  const meant = option.unknown === undefined ? undefined : suggestOption(option.unknown, command);
  const suggestion = meant === undefined ? "" : `\nDid you mean ${meant}?\n`;
  return (
    `${option.message}\n${suggestion}\nUsage:  ${usage}\n\n` +
    `Run '${name} --help' for more information\n`
  );
}

/** Options are also looked for in other commands: the answer may be "that is of `volume ls`". */
function suggestOption(unknown: string, command: Command | undefined): string | undefined {
  const names = (specs: Command["options"]): string[] =>
    specs.filter((spec) => !spec.hidden).map((spec) => `--${spec.name}`);
  const own = command ? names(command.options) : names(globalOptions);
  const near = unknown.startsWith("--") ? suggest(unknown, [...own, "--help"]) : undefined;
  if (near !== undefined || command === undefined) return near;
  const [group] = command.words;
  const sibling = commands.find(
    (other) => other.words[0] === group && names(other.options).includes(unknown),
  );
  if (sibling === undefined || sibling === command) return undefined;
  return `'holdfast ${sibling.words.join(" ")} ${unknown}'`;
}
