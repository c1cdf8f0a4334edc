// A daemon made of canned answers on a Unix socket, and a terminal that remembers what was printed.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CliParts } from "../../src/cli/command.ts";
import { runCli } from "../../src/cli/run.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import type { VerifyDriver, VerifyPlugin } from "../../src/cli/verify.ts";

export interface FakeRequest {
  readonly method: string;
  /** Percent-decoded, with the version in front. */
  readonly path: string;
  /** As text; of a body in chunks without their sizes. */
  readonly body: string;
  /** The same, as bytes. */
  readonly bytes: Uint8Array;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
}

export interface FakeReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** "raw" answers write what they like to the socket. */
export type Answer = (
  request: FakeRequest,
  socket: Socket,
) => FakeReply | "raw" | Promise<FakeReply | "raw">;

export function json(value: unknown, status = 200): FakeReply {
  return { status, body: `${JSON.stringify(value)}\n` };
}

/** Listens in a directory of its own below `directory`, until it is disposed of. */
export class FakeDaemon implements AsyncDisposable {
  readonly requests: FakeRequest[] = [];
  readonly #directory = mkdtempSync(join(tmpdir(), "holdfast-cli-"));
  readonly socketPath = join(this.#directory, "d.sock");
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(answer: Answer) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => {});
      let received = Buffer.alloc(0);
      let work = Promise.resolve();
      socket.on("data", (bytes: Buffer) => {
        received = Buffer.concat([received, bytes]);
        for (let taken = take(received); taken; taken = take(received)) {
          const { request, rest } = taken;
          received = rest;
          this.requests.push(request);
          work = work.then(async () => send(socket, request, await answer(request, socket)));
        }
      });
    });
  }

  static async start(answer: Answer): Promise<FakeDaemon> {
    const daemon = new FakeDaemon(answer);
    await new Promise<void>((resolve) => daemon.#server.listen(daemon.socketPath, resolve));
    return daemon;
  }

  get host(): string {
    return `unix://${this.socketPath}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function take(
  bytes: Buffer,
): { readonly request: FakeRequest; readonly rest: Buffer<ArrayBuffer> } | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [first = "", ...lines] = bytes.subarray(0, end).toString("latin1").split("\r\n");
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  const behind = bytes.subarray(end + 4);
  const isInChunks = headers.get("transfer-encoding") === "chunked";
  const length = Number(headers.get("content-length") ?? 0);
  const taken = isInChunks ? takeChunks(behind) : takeBytes(behind, length);
  if (taken === undefined) return undefined;
  const [method = "", path = ""] = first.split(" ");
  const body = taken.body.toString("utf8");
  const decoded = decodeURIComponent(path);
  const request = { method, path: decoded, body, bytes: taken.body, headers };
  return { request, rest: Buffer.from(taken.rest) };
}

interface TakenBody {
  readonly body: Buffer;
  readonly rest: Buffer;
}

function takeBytes(bytes: Buffer, length: number): TakenBody | undefined {
  if (bytes.length < length) return undefined;
  return { body: bytes.subarray(0, length), rest: bytes.subarray(length) };
}

function takeChunks(bytes: Buffer): TakenBody | undefined {
  const chunks: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = bytes.indexOf("\r\n", at);
    if (line < 0) return undefined;
    const size = Number.parseInt(bytes.subarray(at, line).toString("latin1"), 16);
    const next = line + 2 + size + 2;
    if (bytes.length < next) return undefined;
    if (size === 0) return { body: Buffer.concat(chunks), rest: bytes.subarray(next) };
    chunks.push(bytes.subarray(line + 2, line + 2 + size));
    at = next;
  }
}

function send(socket: Socket, request: FakeRequest, reply: FakeReply | "raw"): void {
  if (reply === "raw") return;
  const body = Buffer.from(reply.body ?? "");
  const headers = { "Content-Type": "application/json", ...reply.headers };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const length = reply.status === 204 ? "" : `Content-Length: ${body.length}\r\n`;
  socket.write(`HTTP/1.1 ${reply.status} Status\r\n${lines.join("")}${length}\r\n`);
  if (request.method !== "HEAD" && reply.status !== 204) socket.write(body);
}

export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: number;
}

export interface Surroundings {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** What is typed where nothing is shown, one line each. */
  readonly hidden?: readonly string[];
  readonly isTerminal?: boolean;
  /** Of the terminal; undefined: it does not say. */
  readonly columns?: number;
  readonly nowMs?: number;
  readonly verifyDriver?: VerifyDriver;
  readonly verifyPlugin?: VerifyPlugin;
  readonly installer?: CliParts["installer"];
  readonly doctor?: CliParts["doctor"];
  readonly isRoot?: boolean;
}

/** Runs one command line in this process. */
export async function runWords(
  words: readonly string[],
  host: string,
  surroundings: Surroundings = {},
): Promise<Outcome> {
  let stdout = "";
  let stderr = "";
  const isTerminal = surroundings.isTerminal ?? false;
  const hidden = [...(surroundings.hidden ?? [])];
  const terminal: Terminal = {
    env: { HOLDFAST_HOST: host, ...surroundings.env },
    userId: () => Promise.resolve(surroundings.isRoot === true ? 0 : 1000),
    exists: () => Promise.resolve(false),
    out: (text) => {
      stdout += text;
      return Promise.resolve();
    },
    err: (text) => {
      stderr += text;
      return Promise.resolve();
    },
    errWithin: (text) => {
      stderr += text;
      return Promise.resolve();
    },
    isOutTerminal: () => Promise.resolve(isTerminal),
    isErrTerminal: () => Promise.resolve(isTerminal),
    outColumns: () => surroundings.columns,
    readLine: () => Promise.resolve(surroundings.input),
    isInTerminal: () => Promise.resolve(isTerminal),
    readAll: () => Promise.resolve(new TextEncoder().encode(surroundings.input ?? "")),
    readHidden: (prompt) => {
      stderr += prompt;
      return Promise.resolve(hidden.shift());
    },
    nowMs: () => surroundings.nowMs ?? Date.parse("2026-11-22T12:00:00Z"),
  };
  const { verifyDriver, verifyPlugin, installer, doctor } = surroundings;
  const parts = {
    version: () => Promise.resolve("0.1.0"),
    ...(verifyDriver ? { verifyDriver } : {}),
    ...(verifyPlugin ? { verifyPlugin } : {}),
    ...(installer ? { installer } : {}),
    ...(doctor ? { doctor } : {}),
  };
  const exit = await runCli(words, terminal, parts);
  return { stdout, stderr, exit };
}

/** Splits a line as a shell does, as far as quotes; nothing is expanded. */
export function shellWords(line: string): string[] {
  const words: string[] = [];
  const pattern = /((?:[^\s'"]|'[^']*'|"[^"]*")+)/g;
  for (const [word] of line.matchAll(pattern)) {
    words.push(word.replace(/'([^']*)'|"([^"]*)"/g, (_, single, double) => single ?? double ?? ""));
  }
  return words;
}
