// Says on stderr what went wrong and returns the exit code.
import { EngineError } from "../core/errors.ts";
import { suggest } from "../core/suggest.ts";
import type { Command } from "./command.ts";
import { commands, globalOptions } from "./commands.ts";
import { didYouMean, type Reached } from "./did-you-mean.ts";
import { exitOfKind, internalExit } from "./exit-codes.ts";
import { CliFailure, DaemonRefusal } from "./failure.ts";
import { wayOut } from "./hints.ts";
import { optionCalled } from "./other-words.ts";
import { SeveralFailures } from "./several-failures.ts";
import { colours } from "./style.ts";
import type { Terminal } from "./terminal.ts";
import { UsageFailure } from "./usage-failure.ts";

/** A failure of a part that runs in this process, such as the checks of a driver. */
function fromEngine(error: unknown): unknown {
  if (!(error instanceof EngineError) || error.kind === "internal") return error;
  const { code, recovery } = error;
  return new CliFailure(error.message, exitOfKind[error.kind], { code, recovery });
}

interface CommandLine {
  readonly words: readonly string[];
  readonly terminal: Terminal;
  readonly reached: Reached;
}

export async function reportFailure(
  thrown: unknown,
  { words, terminal, reached }: CommandLine,
): Promise<number> {
  const error = fromEngine(thrown);
  if (!(error instanceof CliFailure)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    await terminal.err(
      `holdfast: internal error, which is a bug: ${text}\nPlease report it with this text.\n`,
    );
    return internalExit;
  }
  // Behind `--` are the words of another program.
  const end = words.indexOf("--");
  const own = end < 0 ? words : words.slice(0, end);
  if (own.includes("--json") && !(error instanceof UsageFailure)) {
    await terminal.err(failuresOf(error).map(jsonLine).join(""));
    return error.exitCode;
  }
  if (error instanceof UsageFailure) await terminal.err(usageText(error));
  else await terminal.err(`${error.message}\n${await hints(error, terminal, reached)}`);
  return error.exitCode;
}

function failuresOf(error: CliFailure): readonly CliFailure[] {
  return error instanceof SeveralFailures ? error.failures : [error];
}

function jsonLine(failure: CliFailure): string {
  const { message, code } = failure;
  const status = failure instanceof DaemonRefusal ? failure.status : undefined;
  const error = { message, code, status, recovery: failure.recovery ?? wayOut(message) };
  return `${JSON.stringify({ error })}\n`;
}

/**
 * What a person can do. After a daemon's refusal only on a terminal: a program that compares stderr
 * with Docker's sees Docker's.
 */
async function hints(error: CliFailure, terminal: Terminal, reached: Reached): Promise<string> {
  const isOwn = !(error instanceof DaemonRefusal) && error.recovery !== undefined;
  const isTerminal = await terminal.isErrTerminal();
  if (!isOwn && !isTerminal) return "";
  const ways = failuresOf(error).map((failure) => failure.recovery ?? wayOut(failure.message));
  const meant = isTerminal ? await didYouMean(failuresOf(error), reached) : [];
  const distinct = new Set([...meant, ...ways.filter((way) => way !== undefined)]);
  const dim = isTerminal ? colours(terminal).dim : (text: string): string => text;
  return [...distinct].map((way) => `${dim(way)}\n`).join("");
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
  const called = command && optionCalled(command.words.join(" "), unknown);
  if (called !== undefined) return called;
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
