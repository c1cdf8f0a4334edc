// The installed plugins in memory, as their records on disk say; every change goes through here.
import { EngineError, toEngineError } from "../../core/errors.ts";
import { goQuote } from "../../core/names.ts";
import type { Log, Operation } from "../../core/operation.ts";
import type { PluginId } from "../../core/plugin.ts";
import type { PluginFiles } from "./files.ts";
import { findPlugin, nameTaken } from "./naming.ts";
import { NewerRecord, type PluginRecord, parseRecord } from "./record.ts";

export interface TableParts {
  readonly files: PluginFiles;
  readonly log: Log;
  readonly nowMs: () => number;
  readonly randomHex: (bytes: number) => string;
}

/** One for each directory of plugins. */
export class PluginTable {
  readonly #parts: TableParts;
  readonly #records = new Map<PluginId, PluginRecord>();
  /** Since when each is as enabled or disabled as it is now, in milliseconds since the epoch. */
  readonly #since = new Map<PluginId, number>();
  /** Names of plugins that are being installed. */
  readonly #reserved = new Set<string>();
  readonly #last = new Map<PluginId, Promise<void>>();
  readonly #listeners = new Set<() => void>();
  /** There are records of a newer Holdfast: what they name is not known here. */
  #hasUnread = false;
  #buildingCount = 0;

  constructor(parts: TableParts) {
    this.#parts = parts;
  }

  /**
   * Reads all records. What is damaged is put aside, what is newer is left where it is; the log
   * tells of both. Throws `storage.*` when the directory cannot be listed.
   */
  load(): void {
    for (const id of this.#parts.files.look().installed) {
      try {
        const record = parseRecord(this.#parts.files.read(id), id);
        const twin = this.#named(record.name);
        // Nobody makes that: two of one name. The one that is read first stays.
        if (twin !== undefined) throw new EngineError("storage.failed", `${twin.id} has its name`);
        this.#records.set(id, record);
        this.#since.set(id, this.#parts.nowMs());
      } catch (thrown) {
        this.#skip(id, thrown);
      }
    }
  }

  #skip(id: PluginId, thrown: unknown): void {
    const { files, log, randomHex } = this.#parts;
    const error = thrown instanceof Error ? thrown.message : String(thrown);
    if (thrown instanceof NewerRecord) {
      this.#hasUnread = true;
      log.error("a plugin of a newer Holdfast is left alone", { plugin: id, error });
      return;
    }
    try {
      const place = files.putAside(id, randomHex(4));
      log.error("a damaged plugin was put aside", { plugin: id, place, error });
    } catch (second) {
      const { message } = toEngineError(second);
      log.error("a damaged plugin is left where it is", { plugin: id, error, second: message });
    }
  }

  /** Sorted by name. */
  records(): readonly PluginRecord[] {
    return [...this.#records.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  /** Throws as `findPlugin`. */
  find(text: string): PluginRecord {
    return findPlugin(this.#records.values(), text);
  }

  /** Throws `plugin.not_found`. */
  get(id: PluginId): PluginRecord {
    const record = this.#records.get(id);
    if (record !== undefined) return record;
    throw new EngineError("plugin.not_found", `plugin ${goQuote(id)} not found`);
  }

  has(id: PluginId): boolean {
    return this.#records.has(id);
  }

  sinceMs(id: PluginId): number {
    return this.#since.get(id) ?? 0;
  }

  /** Throws `plugin.exists` where a plugin has the name, or is being installed with it. */
  checkFree(name: string): void {
    if (this.#named(name) !== undefined) throw nameTaken(name);
    if (!this.#reserved.has(name)) return;
    const text = `plugin ${name} is being installed`;
    throw new EngineError("plugin.exists", text, { details: { name } });
  }

  /** Keeps a name for an installation. Throws `plugin.exists`. */
  reserve(name: string): Disposable {
    this.checkFree(name);
    this.#reserved.add(name);
    return { [Symbol.dispose]: () => void this.#reserved.delete(name) };
  }

  /** Until it is disposed of, blobs may be there that no record names yet. */
  building(): Disposable {
    this.#buildingCount += 1;
    return {
      [Symbol.dispose]: () => {
        this.#buildingCount -= 1;
      },
    };
  }

  /** Whether the records name all blobs that are wanted. */
  get namesAllBlobs(): boolean {
    return this.#buildingCount === 0 && !this.#hasUnread;
  }

  /** Works on one plugin; others that want to wait. Throws what the work throws. */
  async locked<T>(id: PluginId, operation: Operation, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(id);
    const { promise, resolve } = Promise.withResolvers<void>();
    const mine = (before ?? Promise.resolve()).then(() => promise);
    this.#last.set(id, mine);
    try {
      await before;
      operation.signal.throwIfAborted();
      return await work();
    } finally {
      resolve();
      if (this.#last.get(id) === mine) this.#last.delete(id);
    }
  }

  /** Installs what was built in a staging directory. Throws `storage.*`; then it is still there. */
  async add(staging: string, record: PluginRecord): Promise<void> {
    await this.#parts.files.write(staging, record);
    await this.#parts.files.install(staging, record.id);
    this.#records.set(record.id, record);
    this.#since.set(record.id, this.#parts.nowMs());
    this.tell();
  }

  /** Replaces a record. Throws `storage.*`; then all is as before. */
  async put(record: PluginRecord): Promise<void> {
    const { files, nowMs } = this.#parts;
    await files.write(files.of(record.id), record);
    if (this.#records.get(record.id)?.isEnabled !== record.isEnabled) {
      this.#since.set(record.id, nowMs());
    }
    this.#records.set(record.id, record);
    this.tell();
  }

  /** Removes a plugin; what is in its directory is left. Throws `storage.*`. */
  async remove(id: PluginId): Promise<void> {
    await this.#parts.files.remove(id);
    this.#records.delete(id);
    this.#since.delete(id);
    this.tell();
  }

  follow(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #named(name: string): PluginRecord | undefined {
    return [...this.#records.values()].find((each) => each.name === name);
  }
}
