// A command line that names no command: help for nothing, a suggestion for a wrong word.

import { suggest } from "../core/suggest.ts";
import { commands } from "./commands.ts";
import { CliFailure } from "./failure.ts";
import { findGroup } from "./find-command.ts";
import { renderGroupHelp, renderTopHelp } from "./help.ts";
import { lineCalled } from "./other-words.ts";
import type { Terminal } from "./terminal.ts";

/** Returns the exit code, or throws what there is to say. */
export async function explainWithoutCommand(
  words: readonly string[],
  wantsHelp: boolean,
  terminal: Terminal,
): Promise<number> {
  const [first, ...rest] = words;
  if (first === undefined) {
    await terminal.out(renderTopHelp());
    return 0;
  }
  const group = findGroup(first);
  if (group === undefined) {
    const known = [...commands.map((command) => command.words[0] ?? ""), "daemon"];
    const called = lineCalled(words.slice(0, 2).join(" ")) ?? lineCalled(first);
    throw new CliFailure(unknown(first, called ?? suggest(first, known), undefined));
  }
  const second = rest.find((word) => !word.startsWith("-"));
  const isHelp = wantsHelp || rest.some((word) => word === "--help" || word === "-h");
  const option = rest.find((word) => word.startsWith("-"));
  if (option !== undefined && !isHelp) {
    const what = option.startsWith("--")
      ? `unknown flag: ${option}`
      : `unknown shorthand flag: '${option[1] ?? ""}' in ${option}`;
    throw new CliFailure(`${what}\n\n${groupUsage(group)}`, 125);
  }
  if (second === undefined || isHelp) {
    const help = renderGroupHelp(group);
    // Docker prints the help that nobody asked for on stderr.
    await (isHelp ? terminal.out(help) : terminal.err(help));
    return 0;
  }
  const siblings = commands
    .filter((command) => command.words[0] === group && !command.hidden)
    .flatMap((command) => [command.words[1] ?? "", ...(command.aliases ?? [])]);
  const near = suggest(second, siblings);
  const meant = near === undefined ? undefined : `${group} ${near}`;
  throw new CliFailure(
    unknown(`${group} ${second}`, lineCalled(`${group} ${second}`) ?? meant, group),
  );
}

function groupUsage(group: string): string {
  return `Usage:  holdfast ${group} COMMAND\n\nRun 'holdfast ${group} --help' for more information`;
}

function unknown(words: string, meant: string | undefined, group: string | undefined): string {
  const suggestion = meant === undefined ? "" : `Did you mean 'holdfast ${meant}'?\n\n`;
  const end =
    group === undefined ? "Run 'holdfast --help' for more information" : groupUsage(group);
  return `holdfast: unknown command: holdfast ${words}\n\n${suggestion}${end}`;
}
