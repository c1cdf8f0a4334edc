// The API over an engine of the test's own, without a socket: a request in, an answer out.
import type { DaemonFacts } from "../../src/api/facts.ts";
import { type ApiParts, makeHandler } from "../../src/api/handler.ts";
import type { AnyResponse, Handler, StreamWriter } from "../../src/http/message.ts";
import { EngineBench, type EngineBenchParts } from "./engine-bench.ts";

export const testFacts: DaemonFacts = {
  version: "1.2.3",
  gitCommit: "abc1234",
  buildTime: "",
  runtime: "bun1",
  id: "boot",
  root: "/var/lib/holdfast",
  places: {
    ...{ root: "/var/lib/holdfast", secretKey: "/etc/holdfast/secret.key" },
    ...{ pluginSocket: null, lockDirectory: "/run/holdfast/locks" },
  },
  hostName: "host",
  kernelVersion: "6.1",
  operatingSystem: "Debian",
  arch: "amd64",
  cpuCount: 2,
  memoryBytes: 1024,
  driverManuals: [],
  warnings: [],
};

export interface ApiRequest {
  /** Text is sent as it is, anything else as JSON; both as application/json. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** A body without a Content-Type. */
  readonly isUntyped?: boolean;
  /** Fires when the client goes away. */
  readonly gone?: AbortSignal;
}

export interface ApiBenchParts extends EngineBenchParts {
  /** Another face; by default that of the API socket. */
  readonly handler?: (parts: ApiParts) => Handler;
  /** An engine that was made already, instead of one of these parts. */
  readonly bench?: EngineBench;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  /** The body as JSON; undefined when it is none. */
  readonly json: unknown;
}

/** What an endless answer has sent, and its end. */
export interface ApiStream {
  readonly lines: readonly string[];
  readonly hasEnded: () => boolean;
  /** The client goes away. */
  leave(): void;
}

export class ApiBench implements AsyncDisposable {
  readonly engine: EngineBench;
  readonly #makeHandler: (parts: ApiParts) => Handler;
  #handler: Handler | undefined;

  constructor(parts: ApiBenchParts = {}) {
    this.engine = parts.bench ?? new EngineBench(parts);
    this.#makeHandler = parts.handler ?? makeHandler;
  }

  async start(facts: Partial<DaemonFacts> = {}): Promise<void> {
    await this.engine.start();
    this.#serve(facts);
  }

  #serve(facts: Partial<DaemonFacts>): void {
    this.#handler = this.#makeHandler({
      engine: this.engine.engine,
      facts: { ...testFacts, ...facts },
      operation: () => this.engine.operation(),
    });
  }

  /** A new life over the same storage. */
  async restart(): Promise<void> {
    await this.engine.restart();
    this.#serve({});
  }

  async send(method: string, target: string, request: ApiRequest = {}): Promise<ApiAnswer> {
    const answer = await this.#answer(method, target, request);
    if (answer.stream !== undefined) throw new Error(`${target} answers with a stream`);
    const body = typeof answer.body === "string" ? answer.body : String(answer.body ?? "");
    return { status: answer.status, headers: headersOf(answer), body, json: parsed(body) };
  }

  async follow(target: string, method = "GET", request: ApiRequest = {}): Promise<ApiStream> {
    const answer = await this.#answer(method, target, request);
    if (answer.stream === undefined) throw new Error(`${target}: ${String(answer.body)}`);
    const lines: string[] = [];
    const gone = new AbortController();
    let hasEnded = false;
    const writer: StreamWriter = {
      write: (chunk) => lines.push(String(chunk)) > 0,
      end: () => {
        hasEnded = true;
      },
      closed: gone.signal,
    };
    answer.stream(writer);
    return { lines, hasEnded: () => hasEnded, leave: () => gone.abort() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine[Symbol.asyncDispose]();
  }

  async #answer(
    method: string,
    target: string,
    { body, headers, isUntyped = false, gone }: ApiRequest,
  ): Promise<AnyResponse> {
    const question = target.indexOf("?");
    const text = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
    const json: [string, string][] =
      text === undefined || isUntyped ? [] : [["content-type", "application/json"]];
    if (this.#handler === undefined) throw new Error("the API has not been started");
    return this.#handler({
      method,
      target,
      path: question < 0 ? target : target.slice(0, question),
      query: question < 0 ? "" : target.slice(question + 1),
      headers: new Map([...json, ...Object.entries(headers ?? {})]),
      body: new TextEncoder().encode(text ?? ""),
      isVersion11: true,
      keepsAlive: true,
      peer: { uid: 0, gid: 0, pid: 1 },
      connectionClosed: gone ?? new AbortController().signal,
      get isClientGone() {
        return gone?.aborted === true;
      },
    });
  }
}

/** An API that can be asked. */
export async function startedApi(
  parts: ApiBenchParts = {},
  facts: Partial<DaemonFacts> = {},
): Promise<ApiBench> {
  const bench = new ApiBench(parts);
  await bench.start(facts);
  return bench;
}

function headersOf(answer: AnyResponse): ReadonlyMap<string, string> {
  return new Map(answer.headers.map(([name, value]) => [name.toLowerCase(), value]));
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
