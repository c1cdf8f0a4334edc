// What is counted from the start on, for whoever asks for the metrics later: plain numbers.
import type { ErrorCode } from "../core/errors.ts";
import type { HistoryAction } from "../core/state-store.ts";
import type { Engine } from "../engine/engine.ts";

export class Counts {
  /** Changes that were done, by their action. */
  readonly changes = new Map<HistoryAction, number>();
  /** Refusals and failures that were answered, on any face. */
  readonly errors = new Map<ErrorCode, number>();

  constructor(engine: Pick<Engine, "history">) {
    engine.history.follow(({ action, outcome }) => {
      if (outcome === "done") add(this.changes, action);
    });
  }

  addError(code: ErrorCode): void {
    add(this.errors, code);
  }
}

function add<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
