// One request on its way through a handler, and the news that its client has gone.
import { EngineError } from "../core/errors.ts";
import type { HttpRequest, ParsedRequest, Peer } from "./message.ts";

export class Exchange implements HttpRequest {
  readonly method: string;
  readonly target: string;
  readonly path: string;
  readonly query: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
  readonly isVersion11: boolean;
  readonly keepsAlive: boolean;
  readonly peer: Peer | undefined;
  bodyStream: AsyncIterable<Uint8Array> | undefined;
  /** The connection ends with this answer. */
  isLast = false;
  #isAborted = false;
  #controller: AbortController | undefined;

  constructor(request: ParsedRequest, peer: Peer | undefined) {
    this.method = request.method;
    this.target = request.target;
    this.path = request.path;
    this.query = request.query;
    this.headers = request.headers;
    this.body = request.body;
    this.isVersion11 = request.isVersion11;
    this.keepsAlive = request.keepsAlive;
    this.peer = peer;
  }

  get isClientGone(): boolean {
    return this.#isAborted;
  }

  get connectionClosed(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#isAborted) {
      this.#controller.abort(clientGone());
    }
    return this.#controller.signal;
  }

  /** Also decides whether the connection ends with this answer; `endsAnyway`: for other reasons. */
  connectionLine(endsAnyway: boolean): string {
    if (endsAnyway || !this.keepsAlive) {
      this.isLast = true;
    }
    if (this.isLast) {
      return "Connection: close\r\n";
    }
    return this.isVersion11 ? "" : "Connection: keep-alive\r\n";
  }

  abort(): void {
    this.#isAborted = true;
    this.#controller?.abort(clientGone());
  }
}

/** What becomes of work that nobody waits for any more: not our mistake. */
function clientGone(): EngineError {
  return new EngineError("operation.cancelled", "the client has gone");
}
