// What an operator should act on, as sentences: what the start found, and what is wrong now.
import type { Engine } from "../engine/engine.ts";
import type { DaemonFacts } from "./facts.ts";

/** For `info` and `health`. Those of the start stay until the next one. */
export function warnings(parts: {
  readonly engine: Engine;
  readonly facts: DaemonFacts;
}): readonly string[] {
  const { volumes, adoptions } = parts.engine;
  const missing = [...volumes.missing].sort();
  const moving = adoptions.unfinished.toSorted();
  return [
    ...parts.facts.warnings,
    ...(missing.length > 0 ? [`The data directory is missing of: ${missing.join(", ")}.`] : []),
    ...(moving.length > 0
      ? [`Adopting or releasing is not finished of: ${moving.join(", ")}. It is tried again.`]
      : []),
  ];
}
