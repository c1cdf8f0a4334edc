// What follows when two containers wrote one file: an event, a line of history and of the log, and
// what the volume's state shows for a while.
import { toEngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { StateStore, VolumeEntry } from "../../core/state-store.ts";
import type { ContainerLists } from "../container-lists.ts";
import type { EventLog } from "../event-log.ts";
import { historyEntry } from "../history-entry.ts";
import {
  conflictLine,
  fileText,
  GONE_FILE,
  parseConflictLine,
  type WrittenConflict,
  writerNamed,
  writerText,
} from "./conflict-words.ts";
import type { Conflict, ConflictWriter } from "./write-conflicts.ts";

/** How long after the last one a volume's state tells of conflicts, in milliseconds. */
const SHOWN_MS = 3_600_000;
/** How many changes a start looks at for conflicts that are still shown. */
const RESTORED_COUNT_MAX = 1_000;
/** How many writers of a volume are counted. */
const WRITER_COUNT_MAX = 64;

export interface ConflictReportsParts {
  readonly state: Pick<StateStore, "read" | "write" | "history">;
  readonly host: Host;
  readonly events: EventLog;
  readonly lists: Pick<ContainerLists, "nameOf" | "shownName" | "ask">;
  /** A fresh operation of the daemon's own. */
  readonly operation: () => Operation;
}

/** The last conflict of a volume, for as long as it is shown. */
export interface LatestConflict {
  /** When two last wrote one file, in milliseconds since the epoch. */
  readonly atMs: number;
  /** How many containers were in conflicts since it was quiet. */
  readonly writerCount: number;
  /** `shop-web-1 (nginx) and shop-job-1 wrote /index/segments_7`. */
  readonly words: string;
}

interface Latest {
  atMs: number;
  readonly writers: Set<string>;
  words: string;
}

export class ConflictReports {
  readonly #parts: ConflictReportsParts;
  readonly #latest = new Map<VolumeName, Latest>();
  readonly #telling = new Set<Promise<void>>();
  #count = 0;

  constructor(parts: ConflictReportsParts) {
    this.#parts = parts;
    this.#restore();
    parts.events.watch(({ type, action, actor, attributes }) => {
      if (type !== "volume" || actor === "") return;
      if (action === "destroy") this.#latest.delete(actor);
      else if (action === "rename") this.#renamed(attributes["from"], actor);
    });
  }

  /** Reports of this life of the daemon. */
  get count(): number {
    return this.#count;
  }

  latestOf(volume: VolumeName): LatestConflict | undefined {
    const found = this.#latest.get(volume);
    if (found === undefined) return undefined;
    const { atMs, writers, words } = found;
    if (this.#parts.host.nowMs() - atMs <= SHOWN_MS) {
      return { atMs, writerCount: writers.size, words };
    }
    this.#latest.delete(volume);
    return undefined;
  }

  /** All that are shown, sorted by volume. */
  get latest(): readonly (readonly [VolumeName, LatestConflict])[] {
    return [...this.#latest.keys()].sort().flatMap((volume) => {
      const found = this.latestOf(volume);
      return found === undefined ? [] : [[volume, found] as const];
    });
  }

  /** Two that were reported, or would have been, go on. */
  goesOn(volume: VolumeName): void {
    const latest = this.#latest.get(volume);
    if (latest !== undefined) latest.atMs = this.#parts.host.nowMs();
  }

  /** Tells of a conflict. `directory`: where the volume's data is seen here. Never throws. */
  report(volume: VolumeName, conflict: Conflict, directory: string): void {
    const { host, state } = this.#parts;
    const entry = state.read((view) => view.volume(volume));
    if (entry === undefined) return;
    this.#count += 1;
    const atMs = host.nowMs();
    const file = this.#fileOf(directory, conflict);
    const telling = this.#tell({ entry, conflict, file, atMs });
    this.#telling.add(telling);
    void telling.finally(() => this.#telling.delete(telling));
  }

  /** Resolves when all that was begun is told. */
  async settled(): Promise<void> {
    await Promise.all(this.#telling);
  }

  /** Now: a moment later the file may be gone. */
  #fileOf(directory: string, { file }: Conflict): string {
    try {
      const path = this.#parts.host.pathOfWritten(directory, file);
      return path === undefined ? GONE_FILE : fileText(path);
    } catch {
      return GONE_FILE;
    }
  }

  async #tell(found: {
    readonly entry: VolumeEntry;
    readonly conflict: Conflict;
    readonly file: string;
    readonly atMs: number;
  }): Promise<void> {
    const { entry, conflict, file, atMs } = found;
    const { state, host, events } = this.#parts;
    const operation = this.#parts.operation();
    const [first, second] = conflict.writers;
    const writers = [
      await this.#named(first, operation),
      await this.#named(second, operation),
    ] as const;
    const subject = conflictLine({ file, writers });
    this.#show(entry.name, { file, writers }, atMs);
    events.volume("conflict", entry.name, {
      ...{ driver: entry.driver, file, at: new Date(atMs).toISOString() },
      containers: conflict.writers.map(({ container }) => container).join(","),
      names: writers.map(({ name }) => name).join(","),
      programs: writers.map(({ program }) => program).join(","),
    });
    operation.log.warn("two containers wrote one file at nearly the same time", {
      ...{ volume: entry.name, file, writers: writers.map(writerText) },
    });
    try {
      const row = historyEntry(host, { action: "conflict", entry, subject }, operation);
      await state.write((transaction) => transaction.addHistory({ ...row, atMs }));
    } catch (error) {
      const { message } = toEngineError(error);
      const fields = { volume: entry.name, error: message };
      operation.log.warn("a conflict of writers is not in the history", fields);
    }
  }

  async #named({ container, program }: ConflictWriter, operation: Operation) {
    const { lists } = this.#parts;
    if (lists.nameOf(container) === undefined) await lists.ask(operation);
    return writerNamed(container, lists.shownName(container), program);
  }

  #show(volume: VolumeName, { file, writers }: WrittenConflict, atMs: number): void {
    const known = this.latestOf(volume) === undefined ? undefined : this.#latest.get(volume);
    const latest = known ?? { atMs, writers: new Set<string>(), words: "" };
    latest.atMs = Math.max(latest.atMs, atMs);
    latest.words = `${writers.map(writerText).join(" and ")} wrote ${file}`;
    for (const { name, container } of writers) {
      if (latest.writers.size < WRITER_COUNT_MAX) latest.writers.add(`${name}@${container}`);
    }
    this.#latest.set(volume, latest);
  }

  /** What the last life has told of is still shown. */
  #restore(): void {
    const { state, host } = this.#parts;
    const query = { order: "newest first", countMax: RESTORED_COUNT_MAX } as const;
    const rows = state.history(query).entries;
    for (const { action, atMs, volume, subject } of rows.toReversed()) {
      if (action !== "conflict" || host.nowMs() - atMs > SHOWN_MS) continue;
      const conflict = parseConflictLine(subject);
      if (conflict === undefined) continue;
      if (state.read((view) => view.volume(volume)) !== undefined) {
        this.#show(volume, conflict, atMs);
      }
    }
  }

  #renamed(from: string | undefined, to: VolumeName): void {
    for (const [volume, latest] of this.#latest) {
      if (volume !== from) continue;
      this.#latest.delete(volume);
      this.#latest.set(to, latest);
    }
  }
}
