// When each volume was mounted or unmounted last, from the history and what has happened since.
import type { VolumeName } from "../core/names.ts";
import { HISTORY_ROWS_MAX, type StateStore } from "../core/state-store.ts";
import type { EventLog } from "./event-log.ts";

export interface LastUseParts {
  readonly state: StateStore;
  readonly events: EventLog;
  readonly nowMs: () => number;
}

export class LastUse {
  readonly #parts: LastUseParts;
  /** Since the start of this life. */
  readonly #recent = new Map<VolumeName, number>();
  /** Before it; read when it is first asked for. */
  #older: ReadonlyMap<VolumeName, number> | undefined;

  constructor(parts: LastUseParts) {
    this.#parts = parts;
    parts.events.watch(({ action, actor }) => {
      if (actor === "") return;
      if (action === "mount" || action === "unmount") this.#recent.set(actor, parts.nowMs());
      if (action === "destroy") this.#recent.delete(actor);
    });
  }

  /**
   * Milliseconds since the epoch; now while the volume has holders; null: never, or longer ago than
   * the history reaches. The first call reads the history once: some 100 ms when it is full.
   */
  of(name: VolumeName): number | null {
    const { state, nowMs } = this.#parts;
    if (state.read((view) => view.holders(name).length > 0)) return nowMs();
    this.#older ??= this.#read();
    return this.#recent.get(name) ?? this.#older.get(name) ?? null;
  }

  /** An older volume of the same name is another volume. */
  #read(): ReadonlyMap<VolumeName, number> {
    const newest = new Map<VolumeName, number>();
    const ended = new Set<VolumeName>();
    const changes = this.#parts.state.history({ countMax: HISTORY_ROWS_MAX });
    for (const { action, volume, atMs } of changes) {
      if (newest.has(volume) || ended.has(volume)) continue;
      if (action === "mount" || action === "unmount") newest.set(volume, atMs);
      else if (action === "remove" || action === "prune") ended.add(volume);
    }
    return newest;
  }
}
