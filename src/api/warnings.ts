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
  const unmounted = volumes.unmounted.filter((name) => !volumes.missing.has(name)).sort();
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
  const unreadable = parts.engine.secrets.unreadable();
  if (unreadable.length > 0) {
    const why = "see why with `holdfast secret inspect`";
    sentences.push(`Secrets cannot be read, ${why}: ${unreadable.join(", ")}.`);
  }
  return [...sentences, ...pluginWarnings(parts.engine)];
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
