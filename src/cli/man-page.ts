// holdfast(1) as roff, made from the table of commands.
import type { DaemonOption } from "../core/installation.ts";
import type { Command, OptionSpec } from "./command.ts";
import { commands, daemonSummary, globalOptions } from "./commands.ts";

export interface ManPageValues {
  readonly version: string;
  readonly daemonOptions: readonly DaemonOption[];
}

/** The whole page, for man(7) macros. The same values give the same text, byte for byte. */
export function renderManPage({ version, daemonOptions }: ManPageValues): string {
  const shown = commands.filter((command) => !command.hidden);
  return [
    '.\\" Made from src/cli/commands.ts by "holdfast install".',
    `.TH HOLDFAST 1 "" "Holdfast ${plain(version)}" "User Commands"`,
    ".SH NAME",
    "holdfast \\- Docker volumes that cannot be lost",
    ".SH SYNOPSIS",
    ".B holdfast",
    "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARG\\fR...]",
    ".SH DESCRIPTION",
    plain(
      "Holdfast keeps the volumes of containers. Its daemon speaks Docker's volume API and is a " +
        "volume driver of Docker and Podman; every other command talks to the daemon.",
    ),
    ".SH OPTIONS",
    "In front of every command:",
    ...globalOptions.flatMap(optionLines),
    ".SH COMMANDS",
    ...shown.flatMap(commandLines),
    `.SS ${bold("holdfast daemon")} [\\fIOPTIONS\\fR]`,
    sentence(daemonSummary),
    ...daemonOptions.flatMap(daemonLines),
    ".SH FILES",
    ...fileLines("/etc/holdfast/config.toml", "What the daemon is told, if it is there."),
    ...fileLines("/var/lib/holdfast", "The volumes and their state."),
    ...fileLines("/run/holdfast/holdfast.sock", "Where clients reach the daemon."),
    ...fileLines("/run/docker/plugins/holdfast.sock", "Where Docker and Podman reach it."),
    ".SH EXIT STATUS",
    plain(
      "0: done. 1: refused, or a problem was found. 2: a request that makes no sense. " +
        "70: a bug. 125: an option that does not exist.",
    ),
    ".SH SEE ALSO",
    ".BR docker (1),",
    ".BR podman (1),",
    ".BR mount (8)",
    "",
  ].join("\n");
}

function commandLines(command: Command): readonly string[] {
  const words = `holdfast ${command.words.join(" ")}`;
  const aliases = command.aliases ? [".PP", `Also: ${plain(command.aliases.join(", "))}.`] : [];
  const examples = command.examples.flatMap(({ line, about }) => [
    ".PP",
    `${plain(about)}:`,
    ...asItStands(line),
  ]);
  return [
    `.SS ${bold(words)} ${plain(command.usage)}`,
    sentence(command.summary),
    ...aliases,
    ...(command.details === undefined ? [] : asItStands(command.details)),
    ...command.options.filter((option) => !option.hidden).flatMap(optionLines),
    ...examples,
  ];
}

/** Lines that are not filled. */
function asItStands(text: string): readonly string[] {
  return [".PP", ".RS 4", ".nf", ...text.split("\n").map(plain), ".fi", ".RE"];
}

function optionLines({ name, short, kind, summary, default: standard }: OptionSpec): string[] {
  const letter = short === undefined ? "" : `${bold(`-${short}`)}, `;
  const value = kind === "flag" ? "" : ` \\fI${plain(kind)}\\fR`;
  const ending = standard === undefined ? "" : ` (default ${plain(standard)})`;
  return [".TP", `${letter}${bold(`--${name}`)}${value}`, `${plain(summary)}${ending}`];
}

function daemonLines(option: DaemonOption): readonly string[] {
  return [
    ".TP",
    bold(option.option),
    plain(`${option.about} Default: ${option.default}. Variable: ${option.variable}.`),
  ];
}

function fileLines(path: string, about: string): readonly string[] {
  return [".TP", `\\fI${plain(path)}\\fR`, plain(about)];
}

function bold(text: string): string {
  return `\\fB${plain(text)}\\fR`;
}

function sentence(summary: string): string {
  return plain(summary.endsWith(".") ? summary : `${summary}.`);
}

/** Text that roff takes as it is: no escapes, no requests, hyphens that can be copied. */
function plain(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("'", "\\(aq")
    .replaceAll("`", "\\(ga")
    .replaceAll("^", "\\(ha")
    .replaceAll("~", "\\(ti")
    .replaceAll(/\n+/g, "\n")
    .replaceAll(/^([.])/gm, "\\&$1");
}
