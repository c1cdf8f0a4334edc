// One connection: reads requests in order, one at a time, and writes their answers.
//
// States: reading → handling → (writing | streaming) → reading … → lingering → closed.
// Input that comes while a request is in progress waits, up to a limit, then reading pauses; the end
// of the input is noticed all the same. Nothing here starts a timer: every state that can last has
// a deadline, which the server's sweep compares with the clock.
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { Exchange } from "./exchange.ts";
import {
  DISCARDED_BYTES_MAX,
  HEAD_BYTES_MAX,
  OUTPUT_SLICE_BYTES,
  UNFINISHED_BYTES_MAX,
  WAITING_INPUT_BYTES_MAX,
} from "./limits.ts";
import type {
  AnyResponse,
  Handler,
  HttpRequest,
  HttpResponse,
  ParsedRequest,
  Peer,
  StreamingResponse,
} from "./message.ts";
import { HttpRefusal, messageResponse } from "./refusal.ts";
import { RequestParser } from "./request-parser.ts";
import { headText, isBodiless } from "./response-text.ts";
import { SocketStream } from "./socket-stream.ts";

/** How long each state may last, in milliseconds. */
export interface ConnectionTimeouts {
  /** Between two requests of a connection. */
  readonly idleMs: number;
  /** From the first byte of a request to the end of its head. */
  readonly headMs: number;
  /** From the end of the head to the end of the body. */
  readonly bodyMs: number;
  /** A client takes none of the output that waits for it. */
  readonly stallMs: number;
  /** After the last answer, until the client closes. */
  readonly lingerMs: number;
}

/** What a connection needs of its server. */
export interface ConnectionHost {
  readonly handler: Handler;
  readonly onHandlerError: (error: unknown, request: HttpRequest) => HttpResponse;
  readonly bodyBytesMax: number;
  readonly timeouts: ConnectionTimeouts;
  /** Coarse: the time of the last sweep. */
  readonly nowMs: number;
  /** `Date: …` with its line end, as of the last sweep. */
  readonly dateLine: string;
  readonly isDraining: boolean;
  /** Sum over all connections, see `UNFINISHED_BYTES_MAX`. */
  unfinishedBytes: number;
  forget(connection: Connection): void;
}

type State = "reading" | "handling" | "writing" | "streaming" | "lingering" | "closed";

const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";

export class Connection {
  readonly #socket: Socket;
  readonly #host: ConnectionHost;
  readonly #peer: Peer | undefined;
  readonly #parser: RequestParser;
  #state: State = "reading";
  #deadlineMs: number;
  /** What the deadline of the state "reading" stands for. */
  #awaits: "request" | "head" | "body" = "request";
  #exchange: Exchange | undefined;
  #stream: SocketStream | undefined;
  /** The part of a long body that was not handed to the socket yet. */
  #outputLeft: Buffer | undefined;
  #hasInputEnded = false;
  #discardedBytes = 0;
  #countedBytes = 0;
  readonly #onResponse = (response: AnyResponse): void => {
    this.#respond(response);
    this.#advance();
  };
  readonly #onFailure = (error: unknown): void => {
    this.#fail(error);
    this.#advance();
  };

  constructor(socket: Socket, peer: Peer | undefined, host: ConnectionHost) {
    this.#socket = socket;
    this.#peer = peer;
    this.#host = host;
    this.#parser = new RequestParser(host.bodyBytesMax);
    this.#deadlineMs = host.nowMs + host.timeouts.headMs;
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("end", () => this.#onEnd());
    socket.on("drain", () => this.#onDrain());
    socket.on("close", () => this.#onClose());
    // "close" follows every error; what the error was changes nothing.
    socket.on("error", () => undefined);
  }

  /** Called by the sweep: ends what has lasted too long. */
  checkDeadline(nowMs: number): void {
    if (this.#state === "streaming") {
      if (this.#stream?.isStalled(nowMs, this.#host.timeouts.stallMs) === true) {
        this.destroy();
      }
      return;
    }
    if (nowMs < this.#deadlineMs) {
      return;
    }
    if (this.#state === "reading" && this.#awaits !== "request") {
      this.refuse(new HttpRefusal(408, `the ${this.#awaits} of the request took too long`));
    } else {
      this.destroy();
    }
  }

  /** The server stops: what is idle ends now, what is in progress ends with its answer. */
  drain(): void {
    if (this.#state === "reading" && this.#parser.isIdle) {
      this.#endOutput();
    } else if (this.#state === "streaming" && this.#stream?.isEndless === true) {
      this.#stream.cut();
    }
  }

  destroy(): void {
    this.#socket.destroy();
    this.#onClose();
  }

  /** Answers in the server's own name and ends the connection. */
  refuse(refusal: HttpRefusal): void {
    const { status, headers, body } = messageResponse(refusal.status, refusal.message);
    const length = Buffer.byteLength(body as string);
    this.#parser.release();
    this.#countUnfinished();
    this.#socket.write(
      `${headText(status, headers)}${this.#host.dateLine}Content-Length: ${length}\r\n` +
        `Connection: close\r\n\r\n${body}`,
    );
    this.#endOutput();
  }

  #onData(chunk: Buffer): void {
    if (this.#state === "closed") {
      return;
    }
    if (this.#state === "lingering") {
      this.#discardedBytes += chunk.length;
      if (this.#discardedBytes > DISCARDED_BYTES_MAX) {
        this.destroy();
      }
      return;
    }
    this.#parser.feed(chunk);
    if (this.#state === "reading") {
      this.#advance();
    } else if (this.#parser.waitingBytes > WAITING_INPUT_BYTES_MAX) {
      this.#socket.pause();
    }
    this.#countUnfinished();
  }

  /** Handles what has come, until a request must wait for its answer or input is missing. */
  #advance(): void {
    while (this.#state === "reading") {
      let request: ParsedRequest | undefined;
      try {
        request = this.#parser.next();
      } catch (error) {
        if (!(error instanceof HttpRefusal)) {
          throw error;
        }
        this.refuse(error);
        return;
      }
      if (request === undefined) {
        this.#awaitInput();
        return;
      }
      this.#handle(request);
    }
  }

  #awaitInput(): void {
    if (this.#hasInputEnded) {
      this.#endOutput();
      return;
    }
    const { nowMs, timeouts } = this.#host;
    const awaits = this.#parser.isIdle ? "request" : this.#parser.isInBody ? "body" : "head";
    if (awaits === "request") {
      if (this.#host.isDraining) {
        this.#endOutput();
        return;
      }
      this.#deadlineMs = nowMs + timeouts.idleMs;
    } else if (awaits !== this.#awaits) {
      this.#deadlineMs = nowMs + (awaits === "head" ? timeouts.headMs : timeouts.bodyMs);
    }
    this.#awaits = awaits;
    if (this.#parser.takeContinue()) {
      this.#socket.write(CONTINUE);
    }
    if (this.#socket.isPaused()) {
      this.#socket.resume();
    }
  }

  #handle(request: ParsedRequest): void {
    this.#state = "handling";
    this.#deadlineMs = Number.POSITIVE_INFINITY;
    this.#awaits = "request";
    const exchange = new Exchange(request, this.#peer);
    this.#exchange = exchange;
    if (this.#hasInputEnded) {
      exchange.abort();
    }
    let result: AnyResponse | Promise<AnyResponse>;
    try {
      result = this.#host.handler(exchange);
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (result instanceof Promise) {
      result.then(this.#onResponse, this.#onFailure);
    } else {
      this.#respond(result);
    }
  }

  #fail(error: unknown): void {
    const exchange = this.#exchange;
    if (exchange === undefined) {
      return;
    }
    let response: HttpResponse;
    try {
      response = this.#host.onHandlerError(error, exchange);
      headText(response.status, response.headers);
    } catch {
      response = messageResponse(500, "internal error");
    }
    this.#respond(response);
  }

  #respond(response: AnyResponse): void {
    const exchange = this.#exchange;
    if (exchange === undefined) {
      return;
    }
    if (this.#state !== "handling") {
      // The client has gone. The exchange was kept until now for the sake of error reports.
      this.#exchange = undefined;
      return;
    }
    let head: string;
    try {
      head = headText(response.status, response.headers) + this.#host.dateLine;
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (response.stream !== undefined) {
      this.#sendStream(exchange, head, response);
    } else {
      this.#sendWhole(exchange, head, response);
    }
  }

  #sendWhole(exchange: Exchange, headStart: string, response: HttpResponse): void {
    const body = response.body ?? "";
    const isText = typeof body === "string";
    let head = headStart;
    if (isBodiless(response.status)) {
      head += `${this.#connectionLine(exchange)}\r\n`;
    } else {
      const length = isText ? Buffer.byteLength(body) : body.length;
      head += `Content-Length: ${length}\r\n${this.#connectionLine(exchange)}\r\n`;
    }
    if (isBodiless(response.status) || exchange.method === "HEAD") {
      this.#send(head);
    } else if (isText && body.length < OUTPUT_SLICE_BYTES) {
      this.#send(head + body);
    } else {
      this.#outputLeft = Buffer.concat([Buffer.from(head), isText ? Buffer.from(body) : body]);
      this.#sendSlices();
    }
  }

  #send(text: string): void {
    if (this.#socket.write(text)) {
      this.#endExchange();
    } else {
      this.#awaitDrain();
    }
  }

  #sendSlices(): void {
    let output = this.#outputLeft;
    while (output !== undefined && this.#state !== "closed") {
      const slice = output.subarray(0, OUTPUT_SLICE_BYTES);
      output = slice.length < output.length ? output.subarray(slice.length) : undefined;
      this.#outputLeft = output;
      this.#socket.write(slice);
      if (this.#socket.writableLength > 0) {
        break;
      }
    }
    if (this.#socket.writableNeedDrain) {
      this.#awaitDrain();
    } else if (output === undefined) {
      this.#endExchange();
    }
  }

  #awaitDrain(): void {
    this.#state = "writing";
    this.#deadlineMs = this.#host.nowMs + this.#host.timeouts.stallMs;
  }

  #onDrain(): void {
    if (this.#state !== "writing") {
      return;
    }
    if (this.#outputLeft !== undefined) {
      this.#sendSlices();
    } else {
      this.#endExchange();
    }
    // The state has changed behind the back of the type checker.
    this.#advance();
  }

  #sendStream(exchange: Exchange, head: string, response: StreamingResponse): void {
    if (exchange.method === "HEAD" || isBodiless(response.status)) {
      this.#send(`${head}${this.#connectionLine(exchange)}\r\n`);
      return;
    }
    const { isVersion11 } = exchange;
    if (!isVersion11) {
      exchange.isLast = true;
    }
    const encoding = isVersion11 ? "Transfer-Encoding: chunked\r\n" : "";
    this.#state = "streaming";
    this.#socket.write(`${head}${encoding}${this.#connectionLine(exchange)}\r\n`);
    const stream = new SocketStream(this.#socket, {
      isChunked: isVersion11,
      isEndless: response.endless,
      nowMs: this.#host.nowMs,
      onEnd: () => this.#onStreamEnd(stream),
      onOverflow: () => this.destroy(),
    });
    this.#stream = stream;
    try {
      response.stream(stream);
    } catch (error) {
      // The head is gone, so the client must see that the answer is not whole.
      this.#host.onHandlerError(error, exchange);
      this.destroy();
      return;
    }
    if (this.#stream === stream && this.#hasInputEnded) {
      this.destroy();
    } else if (this.#host.isDraining && response.endless) {
      stream.cut();
    }
  }

  #onStreamEnd(stream: SocketStream): void {
    if (this.#state !== "streaming" || this.#stream !== stream) {
      return;
    }
    this.#stream = undefined;
    if (this.#socket.writableNeedDrain) {
      this.#awaitDrain();
    } else {
      this.#endExchange();
      // Not from within the handler's own call.
      queueMicrotask(() => this.#advance());
    }
  }

  /** Also decides whether the connection ends with this answer. */
  #connectionLine(exchange: Exchange): string {
    if (!exchange.keepsAlive || this.#hasInputEnded || this.#host.isDraining) {
      exchange.isLast = true;
    }
    if (exchange.isLast) {
      return "Connection: close\r\n";
    }
    return exchange.isVersion11 ? "" : "Connection: keep-alive\r\n";
  }

  #endExchange(): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    if (exchange === undefined || exchange.isLast) {
      this.#endOutput();
    } else {
      this.#state = "reading";
    }
  }

  #endOutput(): void {
    this.#state = "lingering";
    this.#deadlineMs = this.#host.nowMs + this.#host.timeouts.lingerMs;
    this.#parser.release();
    this.#socket.end();
    this.#socket.resume();
  }

  #onEnd(): void {
    this.#hasInputEnded = true;
    if (this.#state === "reading") {
      this.#endOutput();
    } else if (this.#state === "handling") {
      this.#exchange?.abort();
    } else if (this.#state === "streaming") {
      this.destroy();
    }
  }

  #onClose(): void {
    if (this.#state === "closed") {
      return;
    }
    const wasHandling = this.#state === "handling";
    this.#state = "closed";
    this.#parser.release();
    this.#countUnfinished();
    this.#outputLeft = undefined;
    this.#stream?.abort();
    this.#stream = undefined;
    this.#exchange?.abort();
    if (!wasHandling) {
      this.#exchange = undefined;
    }
    this.#host.forget(this);
  }

  #countUnfinished(): void {
    const bytes = this.#parser.waitingBytes;
    if (bytes === this.#countedBytes) {
      return;
    }
    this.#host.unfinishedBytes += bytes - this.#countedBytes;
    this.#countedBytes = bytes;
    if (
      bytes > HEAD_BYTES_MAX &&
      this.#host.unfinishedBytes > UNFINISHED_BYTES_MAX &&
      this.#state === "reading"
    ) {
      this.refuse(new HttpRefusal(503, "too many large requests at once, try again later"));
    }
  }
}
