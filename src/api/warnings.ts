// What an operator should act on, as sentences: what the start found, and what is wrong now.
import type { Engine } from "../engine/engine.ts";
import type { DaemonFacts } from "./facts.ts";

/** For `info` and `health`. Those of the start stay until the next one. */
export function warnings(parts: {
  readonly engine: Engine;
  readonly facts: DaemonFacts;
}): readonly string[] {
  const missing = [...parts.engine.volumes.missing].sort();
  if (missing.length === 0) return parts.facts.warnings;
  return [...parts.facts.warnings, `The data directory is missing of: ${missing.join(", ")}.`];
}
