// `holdfast __complete WORDS`: one candidate per line for the last word, which may be empty.
import { DaemonClient } from "./client.ts";
import type { Command, OptionSpec } from "./command.ts";
import { commandGroups, commands, daemonSummary, globalOptions } from "./commands.ts";
import { type Candidate, optionCandidates } from "./complete-options.ts";
import { knownDrivers } from "./drivers.ts";
import { engineKeys } from "./engine.ts";
import { CliFailure } from "./failure.ts";
import { findCommand, findGroup } from "./find-command.ts";
import { lockNames } from "./lock-view.ts";
import { sortNaturally } from "./natural-order.ts";
import { pluginNames } from "./own-plugin.ts";
import { secretNames } from "./secret.ts";
import { findTarget } from "./target.ts";
import type { Terminal } from "./terminal.ts";
import { trashWords } from "./trash.ts";
import { listRequest, type VolumeList } from "./volume.ts";

/** A key press must not hang: the daemon has this long to answer, in milliseconds. */
const answerMsMax = 2_000;

const shells = ["bash", "fish", "zsh"];

export async function complete(words: readonly string[], terminal: Terminal): Promise<number> {
  const whole = rejoined(words);
  const typed = whole.at(-1) ?? "";
  // Bash replaces what is behind the `=` alone.
  const cut = whole.length === words.length ? 0 : cutOf(words, typed);
  const candidates = await findCandidates(whole.slice(0, -1), typed, terminal);
  const lines = candidates
    .filter(({ word }) => word.startsWith(typed))
    .map(({ word, summary }) => ({ word: word.slice(cut), summary }))
    .map(({ word, summary }) => (summary === "" ? `${word}\n` : `${word}\t${summary}\n`));
  await terminal.out(lines.join(""));
  return 0;
}

/** Bash makes three words of `secret=nas`: nobody types a `=` that stands alone. */
function rejoined(words: readonly string[]): readonly string[] {
  const whole: string[] = [];
  let isOpen = false;
  for (const word of words) {
    const isJoint = word === "=" && whole.length > 0;
    if (isJoint || isOpen) whole.push(`${whole.pop() ?? ""}${word}`);
    else whole.push(word);
    isOpen = isJoint;
  }
  return whole;
}

/** How much of the last word bash keeps as it is. */
function cutOf(words: readonly string[], typed: string): number {
  const last = words.at(-1) ?? "";
  const isSplit = last === "=" || words.at(-2) === "=";
  return isSplit ? typed.length - (last === "=" ? 0 : last.length) : 0;
}

async function findCandidates(
  before: readonly string[],
  typed: string,
  terminal: Terminal,
): Promise<readonly Candidate[]> {
  const { words, host } = withoutHost(before);
  const command = findCommand(words);
  if (command === undefined) return commandCandidates(words, typed);
  // Another program's words: the shell knows them better.
  if (words.includes("--")) return [];
  const waiting = optionThatWaits(command, words.at(-1));
  if (waiting?.completes === "volumes") {
    const names = await askDaemon(volumeNames, host, terminal);
    return names.map((word) => ({ word, summary: "" }));
  }
  if (waiting?.completes !== undefined) {
    const line = { command, option: waiting, given: words.slice(command.words.length), typed };
    return await askDaemon((client) => optionCandidates(client, line), host, terminal);
  }
  if (waiting) return (waiting.values ?? []).map((word) => ({ word, summary: "" }));
  if (typed.startsWith("-")) return command.options.filter(isShown).map(optionCandidate);
  if (command.words[0] === "completion") return shells.map((word) => ({ word, summary: "" }));
  if (command.completes === "commands") return commandCandidates(words.slice(1), typed);
  const namesOf = sources[command.completes ?? "nothing"];
  const given = words.slice(command.words.length);
  if (namesOf === undefined || wantsDirectory(command, given)) return [];
  const names = await askDaemon(namesOf, host, terminal);
  return names.filter((word) => !given.includes(word)).map((word) => ({ word, summary: "" }));
}

/** What is published comes first, and the shell knows its own files better. */
function wantsDirectory(command: Command, given: readonly string[]): boolean {
  if (command.completes !== "volume paths" || given.includes("--rollback")) return false;
  const isArgument = (word: string, at: number) =>
    (word === "-" || !word.startsWith("-")) && !optionThatWaits(command, given[at - 1]);
  return !given.some(isArgument);
}

/** The names of locks that are held, and of volumes that may have others. */
async function lockWords(client: DaemonClient): Promise<readonly string[]> {
  const volumes = (await volumeNames(client)).map((name) => `${name}/`);
  return [...(await lockNames(client)), ...volumes];
}

async function driverNames(client: DaemonClient): Promise<readonly string[]> {
  return (await knownDrivers(client)).map(({ name }) => name);
}

/** Where the words of an argument come from. */
const sources: Readonly<Record<string, (client: DaemonClient) => Promise<readonly string[]>>> = {
  drivers: driverNames,
  engines: engineKeys,
  locks: lockWords,
  plugins: pluginNames,
  secrets: secretNames,
  trash: trashWords,
  volumes: volumeNames,
  "volume paths": async (client) => (await volumeNames(client)).map((name) => `${name}:/`),
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
