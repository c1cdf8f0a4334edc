// The recorded commands, typed again with the real docker CLI: what it prints and its exit status.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Ended, runToEnd } from "../support/child.ts";
import { Hand, isGenerated, recordedVolumes, volumeOf } from "./by-hand.ts";
import { recordedRoot } from "./comparable.ts";
import { type Explained, isAbout } from "./explained.ts";
import { type Command, type RecordingName, recordings } from "./recordings.ts";
import type { Target } from "./replay.ts";
import { leaveOut, ruleFor, seededFrom, standIns } from "./selection.ts";

const commandTimeoutMs = 30_000;

export interface TranscriptReport {
  readonly compared: number;
  /** Counts by reason. */
  readonly leftOut: ReadonlyMap<string, number>;
  readonly problems: readonly string[];
}

/** Commands that are left out, by their text. */
export interface CommandRule {
  readonly reason: string;
  readonly line: RegExp;
}

/** Commands that are not typed again for what they are, by their text. */
const commandsLeftOut: readonly CommandRule[] = [
  { reason: "asks a shell to put one command into another", line: /\$\(/ },
  { reason: "prints the versions of the engine", line: /^docker version$/ },
  { reason: "prints sizes of images", line: /^docker system (df|prune)/ },
];

export interface TypingOptions {
  readonly explained: readonly Explained[];
  /** Further commands to leave out, by reason. */
  readonly without?: readonly CommandRule[];
  /** A directory for the CLI's configuration, made when missing. */
  readonly configFolder: string;
}

/** Types every command of a recording again. The engine must be fresh: without any volume. */
export async function typeAgain(
  recording: RecordingName,
  commands: readonly Command[],
  target: Target,
  options: TypingOptions,
): Promise<TranscriptReport> {
  const hand = new Hand(target);
  const seed = seededFrom[recording];
  const exchanges = commands.flatMap((command) => command.exchanges);
  if (seed !== undefined) await hand.make(recordedVolumes(exchanges[seed]));
  const leftOut = new Map<string, number>();
  const problems: string[] = [];
  let compared = 0;
  mkdirSync(options.configFolder, { recursive: true });
  writeFileSync(join(options.configFolder, "config.json"), "{}\n");
  const environment = {
    DOCKER_HOST: `unix://${target.socketPath}`,
    DOCKER_API_VERSION: recordings[recording].api,
    DOCKER_CONFIG: options.configFolder,
  };
  for (const command of commands) {
    const reason = whyLeftOut(command, options);
    if (reason !== undefined) leftOut.set(reason, (leftOut.get(reason) ?? 0) + 1);
    else {
      compared += 1;
      problems.push(...(await typed(command, target, environment)));
    }
    await bringIntoStep(command, reason !== undefined, hand);
  }
  return { compared, leftOut, problems };
}

/** Compares one command; each field that differs is one line. */
async function typed(
  command: Command,
  target: Target,
  environment: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const { words, input } = parseLine(command.line);
  const [program = "", ...parameters] = words;
  const ended = await runToEnd(program, parameters, {
    input,
    environment,
    timeoutMs: commandTimeoutMs,
  });
  return printedDifferently(command, ended, target.root);
}

/** One line for each of exit status, output and errors that is not as recorded. */
export function printedDifferently(
  command: Command,
  ended: Ended,
  root: string,
): readonly string[] {
  const [expected, actual] = [printed(command), printed(ended, root)];
  const fields = ["exit", "stdout", "stderr"] as const;
  return fields
    .filter((field) => expected[field] !== actual[field])
    .map(
      (field) =>
        `${command.line}: ${field}: expected ${JSON.stringify(expected[field])} ` +
        `but got ${JSON.stringify(actual[field])}`,
    );
}

/** Pings differ by their headers only, which the CLI does not print. */
function whyLeftOut(command: Command, options: TypingOptions): string | undefined {
  const rules = [...commandsLeftOut, ...(options.without ?? [])];
  const byLine = rules.find(({ line }) => line.test(command.line));
  if (byLine !== undefined) return byLine.reason;
  for (const exchange of command.exchanges) {
    const rule = ruleFor(leaveOut, exchange);
    if (rule !== undefined) return rule.reason;
    const isDifferent = options.explained.some((entry) => isAbout(entry, exchange));
    if (isDifferent && !exchange.request.path.endsWith("/_ping")) {
      return "its answer differs for an explained reason, which the replay compares";
    }
  }
  return undefined;
}

/** Does by hand what a left-out command did, and gives a generated name the recorded one. */
async function bringIntoStep(command: Command, wasLeftOut: boolean, hand: Hand): Promise<void> {
  for (const exchange of command.exchanges) {
    const { recording, index, request, answer } = exchange;
    const standIn = standIns.find((one) => one.recording === recording && one.index === index);
    if (standIn !== undefined) await hand.standIn(standIn);
    const isOwn = wasLeftOut && ruleFor(leaveOut, exchange) === undefined;
    const removed = /^\/v[\d.]+\/volumes\/([^/?]+)$/.exec(request.path)?.[1];
    if (isOwn && request.method === "DELETE" && answer.status === 204 && removed !== undefined) {
      await hand.remove(removed);
    }
    if (answer.status !== 201 || !request.path.endsWith("/volumes/create")) continue;
    const volume = volumeOf(JSON.parse(answer.body));
    if (volume === undefined || ruleFor(leaveOut, exchange) !== undefined) continue;
    const sent = typeof request.body === "string" ? request.body : "";
    const isNamed = sent.includes(`"Name":"${volume.name}"`);
    if (!isNamed && isGenerated(volume.name)) await hand.giveName(volume, recordedNames());
    else if (wasLeftOut) await hand.make([volume]);
  }
}

/** The generated names that the recordings speak of. */
function recordedNames(): ReadonlySet<string> {
  const made = standIns.flatMap((standIn) => standIn.create ?? []).map(({ name }) => name);
  return new Set(made);
}

interface Line {
  readonly words: readonly string[];
  readonly input: string;
}

/** `printf 'text' | docker …` or a command alone; words may be in single quotes. Asks no shell. */
export function parseLine(line: string): Line {
  const piped = /^printf '([^']*)' \| (.*)$/.exec(line);
  if (piped === null) return { words: words(line), input: "" };
  return { words: words(piped[2] ?? ""), input: (piped[1] ?? "").replaceAll("\\n", "\n") };
}

function words(text: string): readonly string[] {
  const found = text.match(/(?:[^\s']+|'[^']*')+/g) ?? [];
  return found.map((word) => word.replaceAll("'", ""));
}

/** The CLI prints labels in the random order of a Go map. */
const labelList = /[\w.]+=\w*(?:,[\w.]+=\w*)+/g;

/** Times, the root and generated names set aside; labels and names of a prune in one order. */
function printed(ended: Ended, root?: string): Ended {
  const moved = (text: string) =>
    root === undefined ? text : text.replaceAll(`${root}/volumes`, `${recordedRoot}/volumes`);
  const stdout = moved(ended.stdout)
    .replaceAll(/"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)"/g, '"<time>"')
    .replace(/^[0-9a-f]{64}\n$/, "<id>\n")
    .replaceAll(labelList, (labels) => labels.split(",").sort().join(","))
    .replace(/(Deleted Volumes:\n)((?:.+\n)*)/, (_, title, names) => title + sortedLines(names));
  return { exit: ended.exit, stdout, stderr: moved(ended.stderr) };
}

function sortedLines(text: string): string {
  return text
    .split("\n")
    .filter(Boolean)
    .sort()
    .map((line) => `${line}\n`)
    .join("");
}
