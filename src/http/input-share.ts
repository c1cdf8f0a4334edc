// One connection's part of what the unfinished requests of all connections together may hold.
import type { ConnectionHost } from "./connection-host.ts";
import { HEAD_BYTES_MAX, UNFINISHED_BYTES_MAX } from "./limits.ts";

export class InputShare {
  readonly #host: ConnectionHost;
  #bytes = 0;

  constructor(host: ConnectionHost) {
    this.#host = host;
  }

  /** Counts what waits now; true if it is too much, with what the others have. */
  count(bytes: number): boolean {
    if (bytes === this.#bytes) {
      return false;
    }
    this.#host.unfinishedBytes += bytes - this.#bytes;
    this.#bytes = bytes;
    return bytes > HEAD_BYTES_MAX && this.#host.unfinishedBytes > UNFINISHED_BYTES_MAX;
  }
}
