// What is counted for the metrics: errors as they are answered, changes by reading the history.
import type { ErrorCode } from "../core/error-table.ts";
import type { HistoryAction } from "../core/state-store.ts";
import type { Engine } from "../engine/engine.ts";

/** How many changes are read before others get their turn: some milliseconds. */
const SLICE_COUNT = 1_000;

export class Counts {
  readonly #history: Engine["history"];
  /** The newest change that is counted, or was there before the start. */
  #cursor: number;
  #counting: Promise<void> | undefined;
  readonly #changes = new Map<HistoryAction, number>();
  readonly #errors = new Map<ErrorCode, number>();

  /** Reads the disk once. */
  constructor({ history }: Pick<Engine, "history">) {
    this.#history = history;
    this.#cursor = history.newest;
  }

  /** Refusals and failures that were answered, on any face, since the start. */
  get errors(): ReadonlyMap<ErrorCode, number> {
    return this.#errors;
  }

  addError(code: ErrorCode): void {
    add(this.#errors, code);
  }

  /**
   * Changes that were done since the start, by their action. A removal pays nothing for being
   * counted; so what the history has dropped between two calls is missing (100,000 changes).
   */
  async changes(): Promise<ReadonlyMap<HistoryAction, number>> {
    this.#counting ??= this.#count().finally(() => {
      this.#counting = undefined;
    });
    await this.#counting;
    return this.#changes;
  }

  async #count(): Promise<void> {
    for (;;) {
      const { entries, next } = this.#history.after(this.#cursor, SLICE_COUNT);
      for (const { action, outcome, cursor } of entries) {
        this.#cursor = cursor;
        if (outcome === "done") add(this.#changes, action);
      }
      if (next === null || entries.length === 0) return;
      await new Promise<void>((resolve) => void setImmediate(resolve));
    }
  }
}

function add<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
