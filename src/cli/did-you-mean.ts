// What was meant where a daemon knows no such volume, driver, option or filter.
//
// Only after a failure, and only for people: names are asked of the daemon then, once.

import { driverCalled } from "../core/driver-words.ts";
import { suggest } from "../core/suggest.ts";
import { DaemonClient } from "./client.ts";
import type { Command } from "./command.ts";
import { CliFailure, DaemonRefusal } from "./failure.ts";
import type { ApiPlugin } from "./plugin-api.ts";
import { secretNames } from "./secret.ts";
import type { Target } from "./target.ts";
import { listRequest, type VolumeList } from "./volume.ts";

/** Nobody waits longer for a hint, in milliseconds. */
const answerMsMax = 2_000;

/** What a command line had come to when it failed. */
export interface Reached {
  command?: Command;
  target?: Target;
}

const localOptions = ["type", "device", "o", "size"];

const filtersOf: Readonly<Record<string, readonly string[]>> = {
  "volume ls": ["dangling", "driver", "label", "name"],
  "plugin ls": ["capability", "enabled"],
  "volume prune": ["all", "label", "label!"],
  events: ["type", "event", "volume", "label", "scope"],
};

/** Which word a refusal is about, and where the known ones come from. */
const questions: readonly { readonly about: RegExp; readonly known: keyof Known }[] = [
  { about: /^Error response from daemon: get (\S+): no such volume$/, known: "volumes" },
  { about: /there is no secret (\S+)$/, known: "secrets" },
  { about: /daemon: plugin "([^"]*)" not found$/, known: "plugins" },
  {
    // Of a create: who removes a volume has not typed its driver.
    about: /: create \S+: error looking up volume plugin (\S+): plugin "[^"]*" not found/,
    known: "drivers",
  },
  // Drivers of storage on other machines say themselves what was meant.
  { about: /invalid option: "([^"]*)"$/, known: "options" },
  { about: /invalid filter '([^'=]*)'$/, known: "filters" },
];

/** The known words of each kind; none when nobody can say. */
interface Known {
  volumes(): Promise<readonly string[]>;
  plugins(): Promise<readonly string[]>;
  secrets(): Promise<readonly string[]>;
  drivers(): Promise<readonly string[]>;
  options(): Promise<readonly string[]>;
  filters(): Promise<readonly string[]>;
}

/** "Did you mean gone?" for each failure that has such an answer; never fails itself. */
export async function didYouMean(
  failures: readonly CliFailure[],
  reached: Reached,
): Promise<readonly string[]> {
  const known = knownWords(reached);
  const lines: string[] = [];
  for (const failure of failures) {
    // Failures of Holdfast's own nouns have a code and are no refusal any more.
    const isOwn = failure.code === "secret.not_found" || failure.code === "volume.not_found";
    if (!(failure instanceof DaemonRefusal || isOwn)) continue;
    for (const { about, known: kind } of questions) {
      const typed = about.exec(failure.message)?.[1];
      if (typed === undefined) continue;
      const words = await known[kind]();
      const called = kind === "drivers" ? driverCalled(typed, words) : undefined;
      const meant = called ?? suggest(typed, words);
      if (meant !== undefined && meant !== typed) lines.push(`Did you mean ${meant}?`);
    }
  }
  return lines;
}

function knownWords({ command, target }: Reached): Known {
  const volumes = once(target, async (client) => {
    const { Volumes } = await client.json<VolumeList>(listRequest([]));
    return (Volumes ?? []).map((volume) => volume.Name);
  });
  const drivers = once(target, async (client) => {
    const info = await client.json<{ readonly Plugins?: { readonly Volume?: readonly string[] } }>({
      method: "GET",
      path: "/info",
    });
    return info.Plugins?.Volume ?? [];
  });
  const plugins = once(target, async (client) => {
    const found = await client.json<readonly ApiPlugin[] | null>({
      method: "GET",
      path: "/plugins",
    });
    return (found ?? []).map(({ Name }) => Name.replace(/:latest$/, ""));
  });
  const filters = filtersOf[command?.words.join(" ") ?? ""] ?? [];
  return {
    volumes,
    plugins,
    secrets: once(target, secretNames),
    drivers,
    options: async () => localOptions,
    filters: async () => filters,
  };
}

/** Asks at the first call only, and does without the answer: there was a failure already. */
function once(
  target: Target | undefined,
  ask: (client: DaemonClient) => Promise<readonly string[]>,
): () => Promise<readonly string[]> {
  let asked: Promise<readonly string[]> | undefined;
  const find = async (): Promise<readonly string[]> => {
    if (target === undefined) return [];
    const client = new DaemonClient(target, { silenceMs: answerMsMax });
    try {
      return (await ask(client)).filter(isShowable);
    } catch (error) {
      if (error instanceof CliFailure) return [];
      throw error;
    } finally {
      client.close();
    }
  };
  return () => {
    asked ??= find();
    return asked;
  };
}

/** A terminal obeys control characters, whoever sends them. */
function isShowable(name: string): boolean {
  return /^[\x21-\x7e]+$/.test(name);
}
