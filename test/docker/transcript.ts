// The recorded commands, typed again with the real docker CLI: what it prints and its exit status.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Ended, runToEnd } from "../support/child.ts";
import { Hand, isGenerated, recordedVolumes, volumeOf } from "./by-hand.ts";
import { type Explained, isAbout } from "./explained.ts";
import { type PrintReading, printed } from "./printed-form.ts";
import { type Command, type RecordingName, recordings } from "./recordings.ts";
import type { Target } from "./replay.ts";
import {
  type Deed,
  doneBefore,
  leaveOut,
  ruleFor,
  type StandIn,
  seededFrom,
  standIns,
} from "./selection.ts";
import type { WireRequest } from "./wire.ts";

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
  { reason: "is no command of Docker's", line: /^(grep|kill) / },
];

export interface TypingOptions {
  readonly explained: readonly Explained[];
  /** Further commands to leave out, by reason. */
  readonly without?: readonly CommandRule[];
  /** A directory for the CLI's configuration, made when missing. */
  readonly configFolder: string;
}

/** The exit status of timeout(1), under which the recorder ran commands. */
const timedOut = 124;

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
  const hands: Hands = { hand, target };
  await doAll(doneBefore[recording] ?? [], hands);
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
    await bringIntoStep(command, reason !== undefined, hands);
  }
  return { compared, leftOut, problems };
}

/** Compares one command; each field that differs is one line. */
async function typed(
  command: Command,
  target: Target,
  environment: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const { words, input } = parseLine(toOurPlaces(command.line, target));
  const [program = "", ...parameters] = words;
  const ended = await runToEnd(program, parameters, {
    input,
    environment,
    timeoutMs: commandTimeoutMs,
  });
  const places = target.plugins?.places ?? [];
  return printedDifferently(command, ended, { root: target.root, places });
}

function toOurPlaces(text: string, { plugins }: Target): string {
  return (plugins?.places ?? []).reduce(
    (all, [ours, recorded]) => all.replaceAll(recorded, ours),
    text,
  );
}

/** One line for each of exit status, output and errors that is not as recorded. */
export function printedDifferently(
  command: Command,
  ended: Ended,
  reading: PrintReading,
): readonly string[] {
  const { line } = command;
  const [expected, actual] = [printed(command, line), printed(ended, line, reading)];
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
  if (command.exit === timedOut) return "the recorded engine did not answer it in time";
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

/** Who acts by hand, and where. */
interface Hands {
  readonly hand: Hand;
  readonly target: Target;
}

async function doAll(deeds: readonly Deed[], { hand, target }: Hands): Promise<void> {
  for (const { method, path, upload } of deeds) {
    const body = upload === undefined ? undefined : target.plugins?.uploadOf(upload);
    const request: WireRequest = { method, path: toOurPlaces(path, target) };
    await hand.do(body === undefined ? request : { ...request, body });
  }
}

async function doStandIn(standIn: StandIn, hands: Hands): Promise<void> {
  if (standIn.isTyped === true) return;
  await hands.hand.standIn(standIn);
  await doAll(standIn.deeds ?? [], hands);
  if (standIn.untilListed !== undefined) await hands.hand.untilListed(standIn.untilListed);
}

/** Does by hand what a left-out command did, and gives a generated name the recorded one. */
async function bringIntoStep(command: Command, wasLeftOut: boolean, hands: Hands): Promise<void> {
  const { hand } = hands;
  for (const exchange of command.exchanges) {
    const { recording, index, request, answer } = exchange;
    const standIn = standIns.find((one) => one.recording === recording && one.index === index);
    if (standIn !== undefined) await doStandIn(standIn, hands);
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
    else if (wasLeftOut && isLocal(answer.body)) await hand.make([volume]);
  }
}

/** A plugin has its volumes itself. */
function isLocal(body: string): boolean {
  return body.includes('"Driver":"local"');
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
