// One connection: reads requests in order, one at a time, and writes their answers.
//
// States: reading → handling → (writing | streaming) → reading … → lingering → closed, and from
// handling to waiting (for room) and back.
// Input that comes while a request is in progress waits, up to a limit, then reading pauses; the
// end of the input is noticed all the same. Nothing here starts a timer: every state that can last
// has a deadline, which the server's sweep compares with the clock.
import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { ConnectionHost } from "./connection-host.ts";
import { Exchange } from "./exchange.ts";
import { InputShare } from "./input-share.ts";
import { DISCARDED_BYTES_MAX, WAITING_INPUT_BYTES_MAX } from "./limits.ts";
import type { AnyResponse, ParsedRequest, Peer, StreamingResponse } from "./message.ts";
import type { OutputHolder, WaitingAnswer } from "./output-room.ts";
import { HttpRefusal, malformed } from "./refusal.ts";
import { RequestBody } from "./request-body.ts";
import { RequestParser } from "./request-parser.ts";
import { failureResponse, headText, isBodiless, refusalText, wholeText } from "./response-text.ts";
import { SocketOutput } from "./socket-output.ts";
import { SocketStream } from "./socket-stream.ts";

type State = "reading" | "handling" | "waiting" | "writing" | "streaming" | "lingering" | "closed";

const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";

export class Connection implements OutputHolder {
  readonly #socket: Socket;
  readonly #host: ConnectionHost;
  readonly #peer: Peer | undefined;
  readonly #parser: RequestParser;
  readonly #input: InputShare;
  readonly #output: SocketOutput;
  #state: State = "reading";
  #deadlineMs: number;
  /** What the deadline of the state "reading" stands for. */
  #awaits: "request" | "head" | "body" = "request";
  #exchange: Exchange | undefined;
  #stream: SocketStream | undefined;
  /** Of the request that is being handled, if its body is streamed. */
  #body: RequestBody | undefined;
  #hasInputEnded = false;
  #discardedBytes = 0;
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
    this.#parser = new RequestParser(host.bodyBytesMax, host.streamsBody);
    this.#input = new InputShare(host);
    this.#output = new SocketOutput(socket, host.room, this);
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
      if (this.#stream?.isStalled(nowMs, this.#host.timeouts.stallMs) === true) this.destroy();
      return;
    }
    const isBodyLate = this.#body?.isLate === true;
    if (nowMs < this.#deadlineMs && !isBodyLate) return;
    if (isBodyLate || (this.#state === "reading" && this.#awaits !== "request")) {
      const late = isBodyLate ? "body" : this.#awaits;
      this.refuse(new HttpRefusal(408, `the ${late} of the request took too long`));
    } else if (this.#state === "waiting") {
      this.#exchange = undefined;
      this.#output.release();
      this.refuse(new HttpRefusal(503, "too many long answers at once, try again later"));
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
    this.#socket.write(refusalText(refusal, this.#host.dateLine));
    this.#endOutput();
    this.#input.count(this.#parser.waitingBytes);
  }

  #onData(chunk: Buffer): void {
    if (this.#state === "closed") return;
    if (this.#state === "lingering") {
      this.#discardedBytes += chunk.length;
      if (this.#discardedBytes > DISCARDED_BYTES_MAX) this.destroy();
      return;
    }
    this.#parser.feed(chunk);
    this.#body?.wake();
    if (this.#state === "reading") this.#advance();
    else if (this.#parser.waitingBytes > WAITING_INPUT_BYTES_MAX) this.#socket.pause();
    const isTooMuch = this.#input.count(this.#parser.waitingBytes);
    if (isTooMuch && this.#state === "reading") {
      this.refuse(new HttpRefusal(503, "too many large requests at once, try again later"));
    }
  }

  /** Handles what has come, until a request must wait for its answer or input is missing. */
  #advance(): void {
    while (this.#state === "reading") {
      let request: ParsedRequest | undefined;
      try {
        request = this.#parser.next();
      } catch (error) {
        this.#onMistake(error);
        return;
      }
      if (request === undefined) {
        this.#awaitInput();
        return;
      }
      this.#handle(request);
    }
  }

  /** The parser has thrown. */
  #onMistake(error: unknown): void {
    if (error instanceof HttpRefusal) {
      this.refuse(error);
      return;
    }
    this.#host.onServerError(error);
    this.destroy();
  }

  #awaitInput(): void {
    if (this.#hasInputEnded) {
      this.#endOfInput();
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
    this.#wantInput();
  }

  #wantInput(): void {
    if (this.#parser.takeContinue()) this.#socket.write(CONTINUE);
    if (this.#socket.isPaused()) this.#socket.resume();
  }

  #handle(request: ParsedRequest): void {
    this.#awaits = "request";
    const exchange = new Exchange(request, this.#peer);
    this.#exchange = exchange;
    if (this.#parser.isStreaming) this.#body = exchange.bodyStream = this.#makeBody();
    if (this.#hasInputEnded) exchange.abort();
    this.#ask(exchange);
  }

  #makeBody(): RequestBody {
    return new RequestBody(this.#parser, this.#host, {
      awaitBody: () => (this.#hasInputEnded ? this.#endOfInput() : this.#wantInput()),
      onTaken: () => this.#input.count(this.#parser.waitingBytes),
      onMistake: (error) => this.#onMistake(error),
    });
  }

  #failBody(): void {
    this.#body?.fail("the body of the request did not come whole");
    this.#body = undefined;
  }

  #ask(exchange: Exchange): void {
    const awaited = this.#host.room.awaited(exchange.target);
    if (awaited !== undefined && exchange.method === "GET") {
      this.#wait(awaited);
      return;
    }
    this.#state = "handling";
    this.#deadlineMs = Number.POSITIVE_INFINITY;
    let result: AnyResponse | Promise<AnyResponse>;
    try {
      result = this.#host.handler(exchange);
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (result instanceof Promise) result.then(this.#onResponse, this.#onFailure);
    else this.#respond(result);
  }

  #fail(error: unknown): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    this.#host.room.release(this);
    this.#respond(failureResponse(() => this.#host.onHandlerError(error, exchange)));
  }

  #respond(response: AnyResponse): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    if (this.#state !== "handling") {
      // The client has gone. The exchange was kept until now for the sake of error reports.
      this.#exchange = undefined;
      return;
    }
    // Where more of the body is to come, nobody will read it.
    if (this.#body?.leave() === false) exchange.isLast = true;
    this.#body = undefined;
    let output: string | Buffer;
    try {
      const head = headText(response.status, response.headers) + this.#host.dateLine;
      const isHead = exchange.method === "HEAD";
      const connectionLine = exchange.connectionLine(this.#endsAnyway);
      if (response.stream !== undefined) {
        if (!isHead && !isBodiless(response.status)) {
          this.#sendStream(exchange, head, response);
          return;
        }
        output = `${head}${connectionLine}\r\n`;
      } else {
        const answer = wholeText(head, response, { connectionLine, isHead });
        if (typeof answer !== "string" && !this.#takeRoom(exchange, answer.bytes)) return;
        output = typeof answer === "string" ? answer : answer.encode();
      }
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (response.stream === undefined && response.hangsUp === true) this.destroy();
    else this.#settle(this.#output.send(output));
  }

  /** False: the answer is dropped, and its request asked again when there is room. */
  #takeRoom({ method, target }: Exchange, bytes: number): boolean {
    if (method !== "GET") {
      this.#host.room.claim(this, bytes);
    } else if (!this.#host.room.take(this, bytes)) {
      this.#wait({ target, bytes });
      return false;
    }
    return true;
  }

  #wait(answer: WaitingAnswer): void {
    this.#state = "waiting";
    this.#deadlineMs = this.#host.nowMs + this.#host.timeouts.stallMs;
    this.#host.room.wait(this, answer);
  }

  retry(): void {
    if (this.#state === "waiting" && this.#exchange !== undefined) {
      this.#ask(this.#exchange);
      this.#advance();
    }
  }

  #settle(isSent: boolean): void {
    if (isSent) {
      this.#endExchange();
    } else {
      this.#state = "writing";
      this.#deadlineMs = this.#host.nowMs + this.#host.timeouts.stallMs;
    }
  }

  #onDrain(): void {
    if (this.#state === "streaming") {
      this.#host.room.release(this);
    } else if (this.#state === "writing") {
      this.#settle(this.#output.resume());
      this.#advance();
    }
  }

  #sendStream(exchange: Exchange, head: string, response: StreamingResponse): void {
    const { isVersion11 } = exchange;
    if (!isVersion11) exchange.isLast = true;
    const encoding = isVersion11 ? "Transfer-Encoding: chunked\r\n" : "";
    this.#state = "streaming";
    this.#socket.write(`${head}${encoding}${exchange.connectionLine(this.#endsAnyway)}\r\n`);
    const stream = new SocketStream(this.#socket, {
      isChunked: isVersion11,
      isEndless: response.endless,
      nowMs: this.#host.nowMs,
      takeRoom: (bytes) => this.#host.room.take(this, bytes),
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
    if (this.#stream === stream && this.#hasInputEnded) this.destroy();
    else if (this.#host.isDraining && response.endless) stream.cut();
  }

  #onStreamEnd(stream: SocketStream): void {
    if (this.#state !== "streaming" || this.#stream !== stream) return;
    this.#stream = undefined;
    if (this.#socket.writableNeedDrain) {
      this.#settle(false);
    } else {
      this.#endExchange();
      // Not from within the handler's own call.
      queueMicrotask(() => this.#advance());
    }
  }

  get #endsAnyway(): boolean {
    return this.#host.isDraining || (this.#hasInputEnded && this.#parser.waitingBytes === 0);
  }

  #endExchange(): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    if (exchange === undefined || exchange.isLast) this.#endOutput();
    else this.#state = "reading";
  }

  #endOutput(): void {
    this.#state = "lingering";
    this.#failBody();
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
      this.#endOfInput();
    } else if (this.#state === "handling" || this.#state === "waiting") {
      this.#exchange?.abort();
      this.#body?.wake();
    } else if (this.#state === "streaming") {
      this.destroy();
    }
  }

  /** Who has ended its side may still read: a request that will never be whole is answered. */
  #endOfInput(): void {
    if (this.#parser.isIdle) this.#endOutput();
    else this.refuse(malformed("the input ended before the request did"));
  }

  #onClose(): void {
    if (this.#state === "closed") return;
    const wasHandling = this.#state === "handling";
    this.#state = "closed";
    this.#parser.release();
    this.#input.count(this.#parser.waitingBytes);
    this.#output.release();
    this.#stream?.abort();
    this.#stream = undefined;
    this.#exchange?.abort();
    this.#failBody();
    if (!wasHandling) this.#exchange = undefined;
    this.#host.forget(this);
  }
}
