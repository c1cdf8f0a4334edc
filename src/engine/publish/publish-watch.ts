// When storage that is published to counts as silent. A client that is slow is not its fault.
import { EngineError } from "../../core/errors.ts";
import type { VolumeName } from "../../core/names.ts";

/** How long the storage may take for what it was just given, in milliseconds. */
const SILENCE_MS_MAX = 120_000;
/** And to have all of it on its disks, in milliseconds: gigabytes may wait in memory. */
const SYNC_MS_MAX = 1_800_000;

/** Fires its signal when the storage was silent for too long. Must be disposed of. */
export class PublishWatch {
  readonly #volume: VolumeName;
  readonly #controller = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(volume: VolumeName) {
    this.#volume = volume;
  }

  /** Its reason is a `driver.timed_out`. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** It has something to do, from now on. */
  busy(msMax = SILENCE_MS_MAX): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const words = `volume ${this.#volume}: its storage was silent for ${msMax / 1000} s`;
      this.#controller.abort(new EngineError("driver.timed_out", words));
    }, msMax);
  }

  /** The same pieces; the storage is busy with one until the next is asked for. */
  async *around(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of pieces) {
      this.busy();
      yield piece;
      clearTimeout(this.#timer);
    }
    this.busy(SYNC_MS_MAX);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
