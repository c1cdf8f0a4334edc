// What completion offers behind `-o`: names of options, and the values of those that have a choice.
import type { DaemonClient } from "./client.ts";
import type { Command, OptionSpec } from "./command.ts";
import { knownDrivers, type OwnDriver } from "./drivers.ts";
import { DaemonRefusal } from "./failure.ts";
import { secretNames } from "./secret.ts";
import { type ApiVolume, volumePath } from "./volume.ts";

export interface Candidate {
  readonly word: string;
  readonly summary: string;
}

/** What was typed of a command, without the command's own words. */
export interface TypedLine {
  readonly command: Command;
  readonly option: OptionSpec;
  readonly given: readonly string[];
  readonly typed: string;
}

type Offered = Pick<NonNullable<OwnDriver["options"]>[number], "name" | "value" | "help">;

/** `on|off`: a choice, and not a word for what must be known. */
const choicePattern = /^[a-z0-9-]+(?:\|[a-z0-9-]+)+$/;

/** Those that a volume of any driver has. */
const ofAll: readonly Offered[] = [
  { name: "sharing", value: "all|none|onewriter|readonly", help: "How many may have it at once" },
  { name: "database", value: "warn|exclusive|off", help: "A second writer of a database" },
  { name: "owner", value: "UID:GID", help: "Who owns its directory" },
  { name: "mode", value: "MODE", help: "The mode of its directory" },
  { name: "trash", value: "TIME", help: "How long it stays in the trash" },
  { name: "reclaim", value: "retain|trash|delete", help: "What becomes of removed storage" },
  { name: "on-stale", value: "warn|restart", help: "Containers that lost their storage" },
  { name: "guard", value: "warn|off", help: "Two that write one file" },
];

/** Names of drivers; or what can stand behind `-o` for the driver or the volume that is given. */
export async function optionCandidates(
  client: DaemonClient,
  line: TypedLine,
): Promise<readonly Candidate[]> {
  const drivers = await knownDrivers(client);
  if (line.option.completes === "drivers") {
    return drivers.map(({ name, summary }) => ({ word: name, summary }));
  }
  const isOfVolume = line.command.words[0] === "volume";
  const driver = await driverOf(client, line);
  const own = drivers.find(({ name }) => name === driver)?.options ?? [];
  const offered: readonly Offered[] = isOfVolume ? [...own, ...ofAll] : own;
  const equals = line.typed.indexOf("=");
  if (equals < 0) return offered.map(({ name, help }) => ({ word: `${name}=`, summary: help }));
  const option = offered.find(({ name }) => name === line.typed.slice(0, equals));
  const values = option === undefined ? [] : await valuesOf(client, option);
  return values.map((value) => ({ word: `${option?.name}=${value}`, summary: "" }));
}

async function valuesOf(
  client: DaemonClient,
  { name, value }: Offered,
): Promise<readonly string[]> {
  if (name === "secret") return await secretNames(client);
  return choicePattern.test(value) ? value.split("|") : [];
}

/** "": it is not known. */
async function driverOf(client: DaemonClient, { command, given }: TypedLine): Promise<string> {
  if (command.words.join(" ") !== "volume update") return driverIn(given);
  const [name] = positionalOf(command, given);
  if (name === undefined) return "";
  try {
    return (await client.json<ApiVolume>({ method: "GET", path: volumePath(name) })).Driver;
  } catch (error) {
    if (error instanceof DaemonRefusal) return "";
    throw error;
  }
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

/** What is neither an option nor the value of one. */
function positionalOf({ options }: Command, words: readonly string[]): readonly string[] {
  const takesNext = (word: string): boolean =>
    options.some(
      ({ kind, name, short }) =>
        kind !== "flag" && (word === `--${name}` || (short !== undefined && word === `-${short}`)),
    );
  return words.filter((word, place) => !word.startsWith("-") && !takesNext(words[place - 1] ?? ""));
}
