// The way of every command line: find the command, read its options, run it, say what went wrong.
import { compareVersions, DaemonClient } from "./client.ts";
import type { CliParts, Command, RunCommand } from "./command.ts";
import { globalOptions } from "./commands.ts";
import type { Reached } from "./did-you-mean.ts";
import { CliFailure } from "./failure.ts";
import { findCommand } from "./find-command.ts";
import { OptionError, type Options, parseOptions } from "./options.ts";
import { runners } from "./runners.ts";
import { findTarget } from "./target.ts";
import { OutputClosed, type Terminal } from "./terminal.ts";
import { UsageFailure } from "./usage-failure.ts";

/** As a shell reports a program that was ended by SIGPIPE. */
const outputClosedExit = 141;

/** Runs one command line (without the program's own name) and returns the exit code. */
export async function runCli(
  words: readonly string[],
  terminal: Terminal,
  parts: CliParts,
): Promise<number> {
  const reached: Reached = {};
  try {
    return await dispatch(words, terminal, parts, reached);
  } catch (error) {
    if (error instanceof OutputClosed) return outputClosedExit;
    const { reportFailure } = (await import("./rarely.ts")).rarely;
    return reportFailure(error, { words, terminal, reached });
  }
}

async function dispatch(
  words: readonly string[],
  terminal: Terminal,
  parts: CliParts,
  reached: Reached,
): Promise<number> {
  if (words[0] === "__complete") {
    const { complete } = (await import("./rarely.ts")).rarely;
    return complete(words.slice(1), terminal);
  }
  const front = readFront(words);
  if (front.options.flag("version")) {
    await terminal.out(`Holdfast version ${await parts.version()}\n`);
    return 0;
  }
  const command = findCommand(front.positional);
  if (command === undefined) {
    const { explainWithoutCommand } = (await import("./rarely.ts")).rarely;
    return explainWithoutCommand(front.positional, front.wantsHelp, terminal);
  }
  const rest = front.positional.slice(command.words.length);
  const parsed = readOptions(command, rest);
  if (front.wantsHelp || parsed.wantsHelp) {
    const { renderCommandHelp } = (await import("./rarely.ts")).rarely;
    await terminal.out(renderCommandHelp(command));
    return 0;
  }
  checkArgumentCount(command, parsed.positional.length);
  const run = await load(command);
  const target = await findTarget(
    parsed.options.text("host") ?? front.options.text("host"),
    terminal,
  );
  Object.assign(reached, { command, target });
  // Not closed: the process ends now, and the kernel closes faster than we do.
  const client = new DaemonClient(target);
  await checkApiVersion(command, parsed.options, client);
  return run({ ...parsed, client, terminal, parts });
}

function load(command: Command): Promise<RunCommand> {
  const words = command.words.join(" ");
  const runner = runners[words];
  if (runner === undefined) throw new Error(`the command "${words}" has no runner`);
  return runner();
}

/** The options in front of the command. */
function readFront(words: readonly string[]): ReturnType<typeof parseOptions> {
  try {
    return parseOptions(globalOptions, words, { stopsAtArgument: true });
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    throw new UsageFailure(error, undefined);
  }
}

/** `--host` is understood behind the command, too, where the command has no such option itself. */
function readOptions(command: Command, words: readonly string[]): ReturnType<typeof parseOptions> {
  const [host] = globalOptions;
  try {
    return parseOptions(host ? [...command.options, host] : command.options, words);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    throw new UsageFailure(error, command);
  }
}

function plural(count: number): string {
  return `${count} argument${count === 1 ? "" : "s"}`;
}

function checkArgumentCount(command: Command, count: number): void {
  const { min, max } = command.argumentCount;
  if (count >= min && count <= max) return;
  const name = `holdfast ${command.words.join(" ")}`;
  let rule = `requires ${plural(min)}`;
  if (max === 0) rule = "accepts no arguments";
  else if (max === Number.POSITIVE_INFINITY) rule = `requires at least ${plural(min)}`;
  else if (min === 0) rule = `requires at most ${plural(max)}`;
  const verb = max === Number.POSITIVE_INFINITY ? "See" : "Run";
  throw new CliFailure(
    `holdfast: '${name}' ${rule}\n\nUsage:  ${name} ${command.usage}\n\n` +
      `${verb} '${name} --help' for more information`,
    command.countExit,
  );
}

/** Asks the daemon for its version only where an option or the command depends on it. */
async function checkApiVersion(
  command: Command,
  options: Options,
  client: DaemonClient,
): Promise<void> {
  const needs: { readonly what: string; readonly version: string }[] = [];
  if (command.apiVersionMin !== undefined) {
    needs.push({ what: `holdfast ${command.words.join(" ")}`, version: command.apiVersionMin });
  }
  for (const { name, apiVersionMin } of command.options) {
    if (apiVersionMin !== undefined && options.isGiven(name)) {
      needs.push({ what: `"--${name}"`, version: apiVersionMin });
    }
  }
  if (needs.length === 0) return;
  const spoken = await client.negotiate();
  const missing = needs.filter((need) => compareVersions(spoken, need.version) < 0);
  if (missing.length === 0) return;
  throw new CliFailure(
    missing
      .map(
        ({ what, version }) =>
          `${what} requires API version ${version}, ` +
          `but the Holdfast daemon API version is ${spoken}`,
      )
      .join("\n"),
  );
}
