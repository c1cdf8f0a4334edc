// What plugins say of single volumes: the time of creation, the place and a status of their own.
//
// Docker asks for it at each inspect. Here it is asked for in the background and remembered, so
// that nobody waits for a plugin that does not answer.
import type { VolumeRecord } from "../../core/driver.ts";
import { toEngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { Operation } from "../../core/operation.ts";
import type { StateStore, VolumeEntry } from "../../core/state-store.ts";
import type { Drivers } from "../drivers.ts";
import { unlessAborted } from "../pause.ts";

/** Of how many volumes it is remembered; what was asked for longest ago goes first. */
const WORDS_COUNT_MAX = 10_000;
/** One volume is asked for no more often than that, in milliseconds. */
const PAUSE_MS = 1_000;
/** How many volumes are asked for at once: a plugin that hangs keeps each of these waiting. */
const ASKED_COUNT_MAX = 8;
/** Longest status that is remembered, in characters of JSON. */
const STATUS_LENGTH_MAX = 65_536;
/** And of all that are remembered together. */
const STATUSES_LENGTH_MAX = 16_777_216;

export interface PluginWordsParts {
  readonly state: StateStore;
  readonly drivers: Drivers;
  readonly host: Pick<Host, "monotonicMs">;
  readonly operation: () => Operation;
}

interface Word {
  readonly driver: string;
  readonly askedMs: number;
  readonly record: VolumeRecord | undefined;
  /** Of the status, in characters of JSON. */
  readonly length: number;
}

const nothing: Readonly<Record<string, unknown>> = {};

export class PluginWords {
  readonly #parts: PluginWordsParts;
  readonly #words = new Map<string, Word>();
  readonly #asking = new Map<string, Promise<void>>();
  /** Of all statuses together. */
  #length = 0;

  constructor(parts: PluginWordsParts) {
    this.#parts = parts;
  }

  /** Asks the plugin, unless that was done a moment ago. Never rejects. */
  ask(entry: VolumeEntry): Promise<void> {
    const { name } = entry;
    const running = this.#asking.get(name);
    if (running !== undefined) return running;
    const known = this.#words.get(name);
    const nowMs = this.#parts.host.monotonicMs();
    const isFresh = known?.driver === entry.driver && nowMs - known.askedMs < PAUSE_MS;
    if (isFresh || this.#asking.size >= ASKED_COUNT_MAX) return Promise.resolve();
    const asking = this.#ask(entry, nowMs).finally(() => this.#asking.delete(name));
    this.#asking.set(name, asking);
    return asking;
  }

  /** The volume as its plugin described it last, and Docker's `Status`; {} for none. */
  of(entry: VolumeEntry): {
    readonly entry: VolumeEntry;
    readonly status: Readonly<Record<string, unknown>>;
  } {
    const word = this.#words.get(entry.name);
    const record = word?.driver === entry.driver ? word.record : undefined;
    if (record === undefined) return { entry, status: nothing };
    const createdAtMs = record.createdAtMs > 0 ? record.createdAtMs : entry.createdAtMs;
    const mountpoint = record.mountpoint === "" ? entry.mountpoint : record.mountpoint;
    const isSame = createdAtMs === entry.createdAtMs && mountpoint === entry.mountpoint;
    return {
      entry: isSame ? entry : { ...entry, createdAtMs, mountpoint },
      status: record.status ?? nothing,
    };
  }

  /** The volume is gone. */
  forget(name: string): void {
    this.#length -= this.#words.get(name)?.length ?? 0;
    this.#words.delete(name);
  }

  async #ask(entry: VolumeEntry, askedMs: number): Promise<void> {
    const operation = this.#parts.operation();
    try {
      const asking = this.#parts.drivers.of(entry).get(entry.name, operation);
      const presence = await unlessAborted(asking, operation.signal);
      if (!this.#isThere(entry)) return;
      const found = presence.state === "found" ? bounded(presence.record) : nothingFound;
      this.#remember(entry, { driver: entry.driver, askedMs, ...found });
    } catch (error) {
      operation.log.debug("a plugin did not describe a volume", {
        ...{ volume: entry.name, driver: entry.driver, error: toEngineError(error).message },
      });
    }
  }

  /** It may have been removed while its plugin was asked, and another one made. */
  #isThere({ name, createdAtMs }: VolumeEntry): boolean {
    const row = this.#parts.state.read((view) => view.volume(name));
    return row?.createdAtMs === createdAtMs;
  }

  #remember({ name }: VolumeEntry, word: Word): void {
    this.forget(name);
    this.#words.set(name, word);
    this.#length += word.length;
    for (const oldest of this.#words.keys()) {
      const isFull = this.#words.size > WORDS_COUNT_MAX || this.#length > STATUSES_LENGTH_MAX;
      if (!isFull) return;
      this.forget(oldest);
    }
  }
}

const nothingFound = { record: undefined, length: 0 };

function bounded(record: VolumeRecord): Pick<Word, "record" | "length"> {
  const { status } = record;
  const length = status === undefined ? 0 : JSON.stringify(status).length;
  if (length <= STATUS_LENGTH_MAX) return { record, length };
  return { record: { ...record, status: undefined }, length: 0 };
}
