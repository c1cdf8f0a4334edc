// `holdfast __complete WORDS`: one candidate per line for the last word, which may be empty.
import { DaemonClient } from "./client.ts";
import type { Command, OptionSpec } from "./command.ts";
import { commandGroups, commands, daemonSummary, globalOptions } from "./commands.ts";
import { knownDrivers, type OwnDriver } from "./drivers.ts";
import { engineKeys } from "./engine.ts";
import { CliFailure } from "./failure.ts";
import { findCommand, findGroup } from "./find-command.ts";
import { sortNaturally } from "./natural-order.ts";
import { pluginNames } from "./own-plugin.ts";
import { secretNames } from "./secret.ts";
import { findTarget } from "./target.ts";
import type { Terminal } from "./terminal.ts";
import { trashWords } from "./trash.ts";
import { listRequest, type VolumeList } from "./volume.ts";

/** A key press must not hang: the daemon has this long to answer, in milliseconds. */
const answerMsMax = 2_000;

interface Candidate {
  readonly word: string;
  readonly summary: string;
}

const shells = ["bash", "fish", "zsh"];

export async function complete(words: readonly string[], terminal: Terminal): Promise<number> {
  const typed = words.at(-1) ?? "";
  const candidates = await findCandidates(words.slice(0, -1), typed, terminal);
  const lines = candidates
    .filter(({ word }) => word.startsWith(typed))
    .map(({ word, summary }) => (summary === "" ? `${word}\n` : `${word}\t${summary}\n`));
  await terminal.out(lines.join(""));
  return 0;
}

async function findCandidates(
  before: readonly string[],
  typed: string,
  terminal: Terminal,
): Promise<readonly Candidate[]> {
  const { words, host } = withoutHost(before);
  const command = findCommand(words);
  if (command === undefined) return commandCandidates(words, typed);
  const waiting = optionThatWaits(command, words.at(-1));
  if (waiting?.completes !== undefined) {
    const drivers = await askDaemon(knownDrivers, host, terminal);
    return driverCandidates(drivers, waiting, driverIn(words.slice(command.words.length)));
  }
  if (waiting) return (waiting.values ?? []).map((word) => ({ word, summary: "" }));
  if (typed.startsWith("-")) return command.options.filter(isShown).map(optionCandidate);
  if (command.words[0] === "completion") return shells.map((word) => ({ word, summary: "" }));
  if (command.completes === "commands") return commandCandidates(words.slice(1), typed);
  const namesOf = sources[command.completes ?? "nothing"];
  if (namesOf === undefined) return [];
  const given = new Set(words.slice(command.words.length));
  const names = await askDaemon(namesOf, host, terminal);
  return names.filter((word) => !given.has(word)).map((word) => ({ word, summary: "" }));
}

/** Names of drivers, or what can stand behind `-o` for the one that is given. */
function driverCandidates(
  drivers: readonly OwnDriver[],
  { completes }: OptionSpec,
  given: string,
): readonly Candidate[] {
  if (completes === "drivers") return drivers.map(({ name, summary }) => ({ word: name, summary }));
  const options = drivers.find(({ name }) => name === given)?.options ?? [];
  return options.map(({ name, help }) => ({ word: `${name}=`, summary: help }));
}

/** The driver that a command's words name: behind `-d`, or as the first argument. */
function driverIn(words: readonly string[]): string {
  const [first = ""] = words;
  const place = words.findIndex((word) => word === "-d" || word === "--driver");
  const joined = words.find((word) => word.startsWith("--driver="));
  if (place >= 0) return words[place + 1] ?? "";
  if (joined !== undefined) return joined.slice("--driver=".length);
  return first === "" || first.startsWith("-") ? "local" : first;
}

async function driverNames(client: DaemonClient): Promise<readonly string[]> {
  return (await knownDrivers(client)).map(({ name }) => name);
}

/** Where the words of an argument come from. */
const sources: Readonly<Record<string, (client: DaemonClient) => Promise<readonly string[]>>> = {
  drivers: driverNames,
  engines: engineKeys,
  plugins: pluginNames,
  secrets: secretNames,
  trash: trashWords,
  volumes: volumeNames,
};

/** The words without `--host VALUE` in front of the command. */
function withoutHost(words: readonly string[]): {
  readonly words: readonly string[];
  readonly host: string | undefined;
} {
  const [first, second] = words;
  if (first === "-H" || first === "--host") return { words: words.slice(2), host: second };
  if (first?.startsWith("--host=")) return { words: words.slice(1), host: first.slice(7) };
  return { words, host: undefined };
}

function isShown(option: OptionSpec): boolean {
  return !option.hidden;
}

function optionCandidate({ name, summary }: OptionSpec): Candidate {
  return { word: `--${name}`, summary: summary.split("\n")[0] ?? "" };
}

function optionThatWaits(command: Command, word: string | undefined): OptionSpec | undefined {
  return command.options.find(
    ({ name, short, kind }) =>
      kind !== "flag" && (word === `--${name}` || (short !== undefined && word === `-${short}`)),
  );
}

function commandCandidates(words: readonly string[], typed: string): readonly Candidate[] {
  const [first] = words;
  if (first === undefined) {
    if (typed.startsWith("-")) return globalOptions.map(optionCandidate);
    const single = commands
      .filter((command) => command.words.length === 1 && !command.hidden)
      .map((command) => ({ word: command.words[0] ?? "", summary: command.summary }));
    return [...commandGroups, { word: "daemon", summary: daemonSummary }, ...single];
  }
  const group = findGroup(first);
  if (group === undefined || words.length > 1) return [];
  return commands
    .filter((command) => command.words[0] === group && !command.hidden)
    .map((command) => ({ word: command.words[1] ?? "", summary: command.summary }));
}

/** Nothing, when there is no daemon: completion has nobody to complain to. */
async function askDaemon<T>(
  namesOf: (client: DaemonClient) => Promise<readonly T[]>,
  host: string | undefined,
  terminal: Terminal,
): Promise<readonly T[]> {
  try {
    const client = new DaemonClient(await findTarget(host, terminal), { silenceMs: answerMsMax });
    try {
      return await namesOf(client);
    } finally {
      client.close();
    }
  } catch (error) {
    if (error instanceof CliFailure) return [];
    throw error;
  }
}

async function volumeNames(client: DaemonClient): Promise<readonly string[]> {
  const list = await client.json<VolumeList>(listRequest([]));
  const names = (list.Volumes ?? []).map((volume) => volume.Name);
  return sortNaturally(names, (name) => name);
}
