// The help texts, made from the table of commands and laid out as Docker's.
import type { Command, Invocation, OptionSpec } from "./command.ts";
import { commandGroups, commands, daemonSummary, globalOptions } from "./commands.ts";
import { CliFailure } from "./failure.ts";
import { findCommand, findGroup } from "./find-command.ts";

/** Columns of a help text, as Docker's CLI has them where there is no terminal. */
const columns = 79;
/** A line may be this much longer than asked for, rather than leave a single word. */
const slop = 5;

/** The first line of `text` that fits, and the rest. */
function cut(text: string, width: number): readonly [string, string] {
  if (text.length < width + slop) return [text, ""];
  const head = text.slice(0, width);
  const space = Math.max(head.lastIndexOf(" "), head.lastIndexOf("\n"));
  if (space <= 0) return [text, ""];
  const lineEnd = head.lastIndexOf("\n");
  const end = lineEnd > 0 && lineEnd < space ? lineEnd : space;
  return [text.slice(0, end), text.slice(end + 1)];
}

function wrap(text: string, indent: number): string {
  const width = columns - indent - slop;
  const lines: string[] = [];
  for (let rest = text; rest !== ""; ) {
    const [line, next] = cut(rest, width);
    lines.push(line);
    rest = next;
  }
  return lines.join("\n").replaceAll("\n", `\n${" ".repeat(indent)}`);
}

function optionHead({ name, short, kind }: OptionSpec): string {
  const start = short === undefined ? "      " : `  -${short}, `;
  return `${start}--${name}${kind === "flag" ? "" : ` ${kind}`}`;
}

function defaultOf(option: OptionSpec): string {
  if (option.default !== undefined) {
    const isBare = option.kind === "flag" || option.kind === "int";
    return ` (default ${isBare ? option.default : JSON.stringify(option.default)})`;
  }
  return option.kind === "map" ? " (default map[])" : "";
}

/** The options, sorted by name, in two columns. */
export function renderOptions(options: readonly OptionSpec[]): string {
  const shown = options
    .filter((option) => !option.hidden)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const width = Math.max(...shown.map((option) => optionHead(option).length)) + 3;
  return shown
    .map((option) => {
      const head = optionHead(option).padEnd(width);
      return `${head}${wrap(option.summary + defaultOf(option), width)}\n`;
    })
    .join("");
}

function section(title: string, body: string): string {
  return body === "" ? "" : `\n${title}:\n${body}`;
}

export function renderCommandHelp(command: Command): string {
  const words = `holdfast ${command.words.join(" ")}`;
  const parent = command.words.slice(0, -1);
  const names = (command.aliases ?? []).map((alias) => ["holdfast", ...parent, alias].join(" "));
  const aliases = names.length > 0 ? `  ${[words, ...names].join(", ")}\n` : "";
  const hasOptions = command.options.some((option) => !option.hidden);
  const examples = command.examples.map(({ line, about }) => `  # ${about}\n  ${line}\n`);
  return (
    `Usage:  ${words} ${command.usage}\n\n${command.summary}\n` +
    (command.details === undefined ? "" : `\n${command.details}\n`) +
    section("Aliases", aliases) +
    section("Options", hasOptions ? renderOptions(command.options) : "") +
    section("Examples", examples.join("\n"))
  );
}

interface Row {
  readonly word: string;
  readonly summary: string;
}

function renderCommandList(rows: readonly Row[]): string {
  const width = Math.max(11, ...rows.map(({ word }) => word.length)) + 1;
  return rows.map(({ word, summary }) => `  ${word.padEnd(width)}${summary}\n`).join("");
}

/** In a list of commands one sentence is enough. */
function firstSentence(summary: string): string {
  return summary.split(". ")[0] ?? summary;
}

export function renderGroupHelp(word: string): string {
  const group = commandGroups.find((known) => known.word === word);
  const rows = commands
    .filter((command) => command.words[0] === word && !command.hidden)
    .map((command) => ({ word: command.words[1] ?? "", summary: firstSentence(command.summary) }))
    .toSorted((a, b) => (a.word < b.word ? -1 : 1));
  return (
    `Usage:  holdfast ${word} COMMAND\n\n${group?.summary ?? ""}\n\nCommands:\n` +
    `${renderCommandList(rows)}\n` +
    `Run 'holdfast ${word} COMMAND --help' for more information on a command.\n`
  );
}

export function renderTopHelp(): string {
  const single = commands
    .filter((command) => command.words.length === 1 && !command.hidden)
    .map((command) => ({ word: command.words[0] ?? "", summary: command.summary }));
  const rows = [{ word: "daemon", summary: daemonSummary }, ...single];
  return (
    "Usage:  holdfast [OPTIONS] COMMAND [ARG...]\n\nDocker volumes that cannot be lost\n\n" +
    `Management Commands:\n${renderCommandList(commandGroups)}\n` +
    `Commands:\n${renderCommandList(rows)}\nGlobal Options:\n${renderOptions(globalOptions)}\n` +
    "Run 'holdfast COMMAND --help' for more information on a command.\n"
  );
}

/** `holdfast help [COMMAND]`. */
export async function printHelp({ positional, terminal }: Invocation): Promise<number> {
  const command = findCommand(positional);
  const group = findGroup(positional[0]);
  if (command) await terminal.out(renderCommandHelp(command));
  else if (group !== undefined && positional.length === 1)
    await terminal.out(renderGroupHelp(group));
  else if (positional.length === 0) await terminal.out(renderTopHelp());
  else throw new CliFailure(`unknown help topic: ${positional.join(" ")}`);
  return 0;
}
