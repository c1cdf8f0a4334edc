// The words of HTTP that handlers speak: requests, answers, streams, and who is calling.

/** The process at the other end of a Unix socket, as the kernel recorded it at connect time. */
export interface Peer {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
}

/** What the parser makes of the bytes. */
export interface ParsedRequest {
  readonly method: string;
  /** As sent, but without `http://host` in front. Bytes over 0x7F are read as UTF-8. */
  readonly target: string;
  /** The target before its first `?`, still percent-encoded. */
  readonly path: string;
  /** The target after its first `?`, still percent-encoded; empty if there is none. */
  readonly query: string;
  /** By lower-cased name. Fields that came more than once are joined by a comma and a space. */
  readonly headers: ReadonlyMap<string, string>;
  /** The whole body; empty if there is none, and if it is streamed. */
  readonly body: Uint8Array;
  /** HTTP/1.1; otherwise HTTP/1.0. */
  readonly isVersion11: boolean;
  /** The client wants to send another request after this one. */
  readonly keepsAlive: boolean;
}

/** What a handler gets. */
export interface HttpRequest extends ParsedRequest {
  /**
   * The body, while it comes, of a request that the server was told to stream: in pieces of any
   * size, each once; who stops reading may go on later. Throws `operation.cancelled` if it does not
   * come whole. What is not read when the request is answered is lost, and then the connection ends
   * unless that was little. undefined: there is no body, or all of it is in `body`.
   */
  readonly bodyStream?: AsyncIterable<Uint8Array> | undefined;
  /** Undefined where the kernel knows no peer, such as on TCP. */
  readonly peer: Peer | undefined;
  /**
   * Fires if the client goes away before its answer is complete. A client that only ends its
   * sending side counts as gone too (Go's server does the same), but still gets the answer of a
   * handler that gives one. Made at the first use: a handler that never looks pays nothing.
   */
  readonly connectionClosed: AbortSignal;
  /** Whether that has fired, or would have: for a single look, which makes nothing. */
  readonly isClientGone: boolean;
}

export type Header = readonly [name: string, value: string];

/**
 * A whole answer. `Date`, `Content-Length`, `Connection` and `Transfer-Encoding` are the server's
 * business: a handler that sets one, or a value with a control character, has a bug and gets its
 * error back through `onHandlerError`. For HEAD, give the body that GET would have.
 */
export interface HttpResponse {
  readonly status: number;
  readonly headers: readonly Header[];
  readonly body: string | Uint8Array | undefined;
  /** Closes the connection instead: for a client that takes any answer for more than it says. */
  readonly hangsUp?: true;
  readonly stream?: undefined;
}

/** An answer whose end is not known when it starts. Its head is sent at once. */
export interface StreamingResponse {
  readonly status: number;
  readonly headers: readonly Header[];
  /** A stream that only ends when somebody ends it: a draining server does. */
  readonly endless: boolean;
  /** Called once, after the head is on its way; not for HEAD. Must not throw. */
  readonly stream: (writer: StreamWriter) => void;
}

/** The sending side of a stream. */
export interface StreamWriter {
  /**
   * Sends now or buffers. False: the client is gone, or was cut off because it left more than
   * `STREAM_UNSENT_BYTES_MAX` unread, or the stream has ended. Nothing is sent then.
   */
  write(chunk: string | Uint8Array): boolean;
  /** Ends the stream in order. Safe to repeat. */
  end(): void;
  /** Fires when nothing more can be sent, for whatever reason but a call of `end`. */
  readonly closed: AbortSignal;
}

export type AnyResponse = HttpResponse | StreamingResponse;

/**
 * A GET may be asked twice: when there is no room for its long answer, the answer is dropped and
 * asked for again later. So GET must change nothing.
 */
export type Handler = (request: HttpRequest) => AnyResponse | Promise<AnyResponse>;
