// What an operator should act on, as sentences: what the start found, and what is wrong now.
import type { PluginStatus } from "../core/plugin.ts";
import type { Engine } from "../engine/engine.ts";
import type { DaemonFacts } from "./facts.ts";

/** For `info` and `health`. Those of the start stay until the next one. */
export function warnings(parts: {
  readonly engine: Engine;
  readonly facts: DaemonFacts;
}): readonly string[] {
  const { volumes, adoptions } = parts.engine;
  const sentences = [...parts.facts.warnings];
  const missing = [...volumes.missing].sort();
  if (missing.length > 0)
    sentences.push(`The data directory is missing of: ${missing.join(", ")}.`);
  const held = volumes.unmounted.filter((name) => !volumes.missing.has(name)).sort();
  const waiting = held.filter((name) => parts.engine.health.of(name) !== undefined);
  if (waiting.length > 0) {
    sentences.push(`Mounted again as soon as their storage answers: ${waiting.join(", ")}.`);
  }
  const unmounted = held.filter((name) => !waiting.includes(name));
  if (unmounted.length > 0) {
    sentences.push(
      `Not mounted though held, see the log: ${unmounted.join(", ")}. Mount it again for one of ` +
        "its holders, or end them.",
    );
  }
  const moving = adoptions.unfinished.toSorted();
  if (moving.length > 0) {
    sentences.push(`Adopting or releasing is not finished of: ${moving.join(", ")}.`);
  }
  sentences.push(...parts.engine.unfitData.warnings.map((words) => `${words}.`));
  const unreadable = parts.engine.secrets.unreadable();
  if (unreadable.length > 0) {
    const why = "see why with `holdfast secret inspect`";
    sentences.push(`Secrets cannot be read, ${why}: ${unreadable.join(", ")}.`);
  }
  return [
    ...[...sentences, ...storageWarnings(parts.engine), ...conflictWarnings(parts.engine)],
    ...[...pluginWarnings(parts.engine), ...hiddenPlugins(parts.engine)],
  ];
}

/** Who has put a plugin there is told why its name means something else. */
function hiddenPlugins({ drivers }: Engine): readonly string[] {
  return drivers
    .hidden()
    .map(
      (name) =>
        `The plugin ${name} cannot be used: ${name} is a built-in driver here. Give its socket, ` +
        "or its specification, another name.",
    );
}

/** How many volumes of one server are named. */
const NAMED_COUNT_MAX = 5;

/** Storage that is not as it should be, each server once. */
function storageWarnings({ health }: Engine): readonly string[] {
  return [...health.troubles().values()].map(({ server, state, names }) => {
    const named = names.slice(0, NAMED_COUNT_MAX).join(", ");
    const more =
      names.length > NAMED_COUNT_MAX ? ` and ${names.length - NAMED_COUNT_MAX} more` : "";
    return `Storage on ${server} is ${state}: ${named}${more}.`;
  });
}

/** How many volumes with conflicts of writers are named. */
const CONFLICT_COUNT_MAX = 5;

function conflictWarnings({ writeGuard }: Engine): readonly string[] {
  const { latest } = writeGuard.reports;
  const named = latest.slice(0, CONFLICT_COUNT_MAX).map(([volume, { words }]) => {
    return `Volume ${volume}: ${words}; see \`holdfast volume conflicts ${volume}\`.`;
  });
  const more = latest.length - named.length;
  return more > 0 ? [...named, `Conflicts of writers in ${more} more volumes.`] : named;
}

/** Plugins that do not answer, and have volumes that nobody can mount now. */
function pluginWarnings({ plugins }: Engine): readonly string[] {
  return plugins
    .ofVolumes()
    .filter(({ status, volumeCount }) => volumeCount > 0 && !isFine(status))
    .map(({ status: { name, state, reason }, volumeCount }) => {
      const volumes = volumeCount === 1 ? "a volume" : `${volumeCount} volumes`;
      const why = reason === "" ? "" : ` (${reason})`;
      return `Plugin ${name}, which has ${volumes}, is ${state}${why}.`;
    });
}

/** Who has just been found or started is about to answer. */
function isFine({ state, reason }: PluginStatus): boolean {
  return state === "ready" || (state === "starting" && reason === "");
}
