// One connection: reads requests in order, one at a time, and writes their answers.
//
// States: reading → handling → (writing | streaming) → reading … → lingering → closed.
// Input that comes while a request is in progress waits, up to a limit, then reading pauses; the
// end of the input is noticed all the same. Nothing here starts a timer: every state that can last
// has a deadline, which the server's sweep compares with the clock.
import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { ConnectionHost } from "./connection-host.ts";
import { Exchange } from "./exchange.ts";
import {
  DISCARDED_BYTES_MAX,
  HEAD_BYTES_MAX,
  UNFINISHED_BYTES_MAX,
  WAITING_INPUT_BYTES_MAX,
} from "./limits.ts";
import type {
  AnyResponse,
  HttpResponse,
  ParsedRequest,
  Peer,
  StreamingResponse,
} from "./message.ts";
import { HttpRefusal, messageResponse } from "./refusal.ts";
import { RequestParser } from "./request-parser.ts";
import { headText, isBodiless, wholeText } from "./response-text.ts";
import { SocketOutput } from "./socket-output.ts";
import { SocketStream } from "./socket-stream.ts";

type State = "reading" | "handling" | "writing" | "streaming" | "lingering" | "closed";

const REHEARSAL = { connectionLine: "", isHead: true };
const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";

export class Connection {
  readonly #socket: Socket;
  readonly #host: ConnectionHost;
  readonly #peer: Peer | undefined;
  readonly #parser: RequestParser;
  readonly #output: SocketOutput;
  #state: State = "reading";
  #deadlineMs: number;
  /** What the deadline of the state "reading" stands for. */
  #awaits: "request" | "head" | "body" = "request";
  #exchange: Exchange | undefined;
  #stream: SocketStream | undefined;
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
    this.#output = new SocketOutput(socket);
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
    const response = messageResponse(refusal.status, refusal.message);
    const head = headText(response.status, response.headers) + this.#host.dateLine;
    const ending = { connectionLine: "Connection: close\r\n", isHead: false };
    this.#socket.write(wholeText(head, response, ending));
    this.#endOutput();
    this.#countUnfinished();
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
        if (error instanceof HttpRefusal) {
          this.refuse(error);
        } else {
          this.#host.onServerError(error);
          this.destroy();
        }
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
      // Proves that it can be written, so that a bad answer to a failure is no failure of its own.
      wholeText(headText(response.status, response.headers), response, REHEARSAL);
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
    let output: string | Buffer;
    try {
      const head = headText(response.status, response.headers) + this.#host.dateLine;
      const isHead = exchange.method === "HEAD";
      const connectionLine = this.#connectionLine(exchange);
      if (response.stream !== undefined) {
        if (!isHead && !isBodiless(response.status)) {
          this.#sendStream(exchange, head, response);
          return;
        }
        output = `${head}${connectionLine}\r\n`;
      } else {
        output = wholeText(head, response, { connectionLine, isHead });
      }
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#send(output);
  }

  #send(output: string | Buffer): void {
    if (this.#output.send(output)) {
      this.#endExchange();
    } else {
      this.#awaitDrain();
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
    if (this.#output.resume()) {
      this.#endExchange();
      this.#advance();
    } else {
      this.#awaitDrain();
    }
  }

  #sendStream(exchange: Exchange, head: string, response: StreamingResponse): void {
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
    const isLastOfInput = this.#hasInputEnded && this.#parser.waitingBytes === 0;
    if (!exchange.keepsAlive || isLastOfInput || this.#host.isDraining) {
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
    const { nowMs, timeouts } = this.#host;
    const isFlushed = this.#socket.writableLength === 0;
    this.#deadlineMs = nowMs + (isFlushed ? timeouts.lingerMs : timeouts.stallMs);
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
    this.#output.release();
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
