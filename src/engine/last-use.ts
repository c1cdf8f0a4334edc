// When each volume was in use last, and whose.
import type { VolumeName } from "../core/names.ts";
import type { StateStore } from "../core/state-store.ts";

export interface LastUseParts {
  readonly state: StateStore;
  readonly nowMs: () => number;
}

export class LastUse {
  readonly #parts: LastUseParts;

  constructor(parts: LastUseParts) {
    this.#parts = parts;
  }

  /** Milliseconds since the epoch; now while the volume has holders; null: never, or not known. */
  of(name: VolumeName): number | null {
    const { state, nowMs } = this.#parts;
    return state.read((view) =>
      view.holders(name).length > 0 ? nowMs() : (view.volume(name)?.lastUse?.atMs ?? null),
    );
  }

  /**
   * Who had it last: a container's name or id, or a client's holder; who has it now stands with the
   * volume's holders. null: nobody had it yet, or it is not known.
   */
  holderOf(name: VolumeName): string | null {
    return this.#parts.state.read((view) => view.volume(name)?.lastUse?.holder ?? null);
  }
}
