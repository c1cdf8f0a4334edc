// Hands a whole answer to a socket: short ones in one write, long ones slice by slice, so that a
// slow reader costs one slice of buffer and its progress can be seen.
import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { OUTPUT_SLICE_BYTES } from "./limits.ts";
import type { OutputHolder, OutputRoom } from "./output-room.ts";

export class SocketOutput {
  readonly #socket: Socket;
  readonly #room: OutputRoom;
  readonly #holder: OutputHolder;
  /** What was not handed to the socket yet. */
  #left: Buffer | undefined;

  /** `holder` has taken the room that long answers need. */
  constructor(socket: Socket, room: OutputRoom, holder: OutputHolder) {
    this.#socket = socket;
    this.#room = room;
    this.#holder = holder;
  }

  /** True if the next answer may follow; otherwise call `resume` at the next "drain". */
  send(output: string | Buffer): boolean {
    if (typeof output === "string") {
      return this.#socket.write(output);
    }
    this.#left = output;
    return this.resume();
  }

  /** As `send`, for what is left. */
  resume(): boolean {
    while (this.#left !== undefined) {
      const slice = this.#left.subarray(0, OUTPUT_SLICE_BYTES);
      this.#left = slice.length < this.#left.length ? this.#left.subarray(slice.length) : undefined;
      this.#socket.write(slice);
      if (this.#socket.writableLength > 0) {
        break;
      }
    }
    if (this.#left !== undefined || this.#socket.writableNeedDrain) {
      this.#room.progressed(this.#holder);
      return false;
    }
    this.#room.release(this.#holder);
    return true;
  }

  /** The end before the end of the answer, if there is one. */
  release(): void {
    this.#left = undefined;
    this.#room.drop(this.#holder);
  }
}
