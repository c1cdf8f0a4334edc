// Room for long output: one bound on what all connections of a server have left to send.
//
// A long answer takes room before it is encoded and gives it back when its last byte is on its way.
// When there is none, whoever has taken nothing for a while is cut off, the longest first. If that
// is not enough (many good readers at once), a request that may be repeated waits without its
// answer and is asked again when room comes: a request costs less memory than an answer. Others
// with the same target then wait without being asked at all, so that a crowd costs no time either.
import { DROPPED_BYTES_MAX, STALLED_SWEEP_COUNT, UNSENT_BYTES_MAX } from "./limits.ts";

/** A connection, as far as its output is concerned. */
export interface OutputHolder {
  /** Ends it: its room is needed. */
  destroy(): void;
  /** There is room now for the answer that found none. */
  retry(): void;
}

/** A request whose answer found no room. */
export interface WaitingAnswer {
  readonly target: string;
  readonly bytes: number;
}

interface Held {
  bytes: number;
  /** The sweep before which the reader was last seen to take something. */
  readonly sweep: number;
}

export class OutputRoom {
  #bytes = 0;
  /** Of answers that nobody will get, since this was last told. */
  #droppedBytes = 0;
  /** Counted instead of time: between two sweeps there was a chance to see a reader's progress. */
  #sweepCount = 0;
  #isWaking = false;
  /** Whose reader has taken nothing for the longest comes first. */
  readonly #held = new Map<OutputHolder, Held>();
  /** In the order in which they came. */
  readonly #waiting = new Map<OutputHolder, WaitingAnswer>();

  /** What is taken, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Takes room for `bytes`, instead of what the holder has taken before. False if there is none
   * although everybody who is stalled was cut off. What is larger than all room together gets it
   * when nobody else has any.
   */
  take(holder: OutputHolder, bytes: number): boolean {
    const own = this.#held.get(holder);
    const more = bytes - (own?.bytes ?? 0);
    this.#makeRoom(holder, more, this.#sweepCount - STALLED_SWEEP_COUNT);
    if (!this.#fits(more)) {
      return false;
    }
    this.#hold(holder, bytes);
    return true;
  }

  /** As `take`, at the expense of anybody if need be: for what cannot be asked for again. */
  claim(holder: OutputHolder, bytes: number): void {
    this.#makeRoom(holder, bytes - (this.#held.get(holder)?.bytes ?? 0), this.#sweepCount);
    this.#hold(holder, bytes);
  }

  /** To be told whenever the reader has taken something. */
  progressed(holder: OutputHolder): void {
    const held = this.#held.get(holder);
    if (held !== undefined) {
      this.#held.delete(holder);
      this.#held.set(holder, { bytes: held.bytes, sweep: this.#sweepCount });
    }
  }

  /** The answer for which there is no room and which others with this target wait for. */
  awaited(target: string): WaitingAnswer | undefined {
    for (const answer of this.#waiting.values()) {
      if (answer.target === target && !this.#fits(answer.bytes)) {
        return answer;
      }
    }
    return undefined;
  }

  /** Calls `retry` when there may be room for the answer; who came last is called first. */
  wait(holder: OutputHolder, answer: WaitingAnswer): void {
    this.#waiting.set(holder, answer);
  }

  /** Gives back what the holder has taken; it waits for nothing any more. Safe to repeat. */
  release(holder: OutputHolder): void {
    this.#waiting.delete(holder);
    const held = this.#held.get(holder);
    if (held !== undefined) {
      this.#held.delete(holder);
      this.#bytes -= held.bytes;
      this.#wakeSoon();
    }
  }

  /** As `release`, of an answer that is not sent to its end: what it held is garbage now. */
  drop(holder: OutputHolder): void {
    this.#droppedBytes += this.#held.get(holder)?.bytes ?? 0;
    this.release(holder);
  }

  /** True if so much was dropped since it was last true that it is worth collecting. */
  takeDropped(): boolean {
    if (this.#droppedBytes < DROPPED_BYTES_MAX) {
      return false;
    }
    this.#droppedBytes = 0;
    return true;
  }

  /** While somebody waits, whoever is stalled is cut off. */
  sweep(): void {
    this.#sweepCount += 1;
    if (this.#waiting.size > 0) {
      let neededBytes = 0;
      for (const { bytes } of this.#waiting.values()) {
        neededBytes += bytes;
      }
      this.#makeRoom(undefined, neededBytes, this.#sweepCount - STALLED_SWEEP_COUNT);
      this.#wakeSoon();
    }
  }

  #fits(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= UNSENT_BYTES_MAX;
  }

  #hold(holder: OutputHolder, bytes: number): void {
    const held = this.#held.get(holder);
    this.#bytes += bytes - (held?.bytes ?? 0);
    if (held === undefined) {
      this.#held.set(holder, { bytes, sweep: this.#sweepCount });
    } else {
      held.bytes = bytes;
    }
  }

  /** Cuts off who has made no progress since `latestSweep`, until `bytes` fit. */
  #makeRoom(asking: OutputHolder | undefined, bytes: number, latestSweep: number): void {
    for (const [holder, { sweep }] of this.#held) {
      if (this.#fits(bytes) || sweep > latestSweep) {
        return;
      }
      if (holder !== asking) {
        holder.destroy();
      }
    }
  }

  /** Not from within what has made the room, and after everything that has arrived meanwhile. */
  #wakeSoon(): void {
    if (!this.#isWaking && this.#waiting.size > 0) {
      this.#isWaking = true;
      setImmediate(() => this.#wake());
    }
  }

  /**
   * The newest first: who has waited for long is likely to be one of those who do not read, and
   * must not stand in front of those who do. One a turn: making a long answer takes its time.
   */
  #wake(): void {
    this.#isWaking = false;
    const [holder] = [...this.#waiting].findLast(([, { bytes }]) => this.#fits(bytes)) ?? [];
    if (holder !== undefined) {
      this.#waiting.delete(holder);
      holder.retry();
      this.#wakeSoon();
    }
  }
}
