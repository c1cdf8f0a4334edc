// A volume plugin of plain directories that misbehaves on command, at any call, in any way.
//
// It speaks HTTP by hand, because no library sends half an answer, or no end of it.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";

/**
 * What a call is answered with instead:
 * "hang": nothing, ever. "crash": the connection is closed after the request. "trickle": a byte
 * each 20 ms. "flood": no end of bytes, "flood_head": no end of headers. "cut": half of the answer.
 * "refuse": status 500 with an `Err`. "page": status 502 with a text. "not_http": other bytes.
 * "empty": `{}`. "no_json", "no_object", "wrong_types", "wrong_time", "other_name": lies in JSON.
 * Or a text as `Err`, an answer of your own, the right answer after a while, or "mute": what is
 * asked for is done, and nothing is said.
 */
export type Misbehaviour =
  | (typeof misbehaviours)[number]
  | "mute"
  | { readonly err: string }
  | { readonly answer: unknown }
  | { readonly delayMs: number };

/** Those that need no text of their own, for tables. */
export const misbehaviours = [
  "hang",
  "crash",
  "trickle",
  "flood",
  "flood_head",
  "cut",
  "refuse",
  "page",
  "not_http",
  "empty",
  "no_json",
  "no_object",
  "wrong_types",
  "wrong_time",
  "other_name",
] as const;

/** As it came over the wire. */
export interface FaultRequest {
  /** `VolumeDriver.Mount` */
  readonly call: string;
  /** The request line and the headers. */
  readonly head: string;
  readonly body: string;
}

export interface FaultPlugin extends AsyncDisposable {
  /** The calls so far, as `VolumeDriver.Mount wiki`. */
  readonly calls: readonly string[];
  readonly requests: readonly FaultRequest[];
  /** From now on, until it is told otherwise; "*": every call. undefined: it behaves. */
  misbehave(call: string, how: Misbehaviour | undefined): void;
  /** The IDs of those that have the volume mounted, as this life of the plugin counts them. */
  mountsOf(volume: string): readonly string[];
  /** Ends every connection: whoever waits for an answer gets none. */
  hangUp(): void;
  /** Ends as a killed process does: its socket file stays, and nobody listens. */
  die(): Promise<void>;
}

export interface FaultPluginOptions {
  readonly scope?: "local" | "global";
  /** What `Plugin.Activate` says. */
  readonly implementations?: readonly string[];
  /** Where Mount says that a volume is; by default where it is. */
  readonly shownPath?: (volume: string) => string;
}

/**
 * Listens on a Unix socket. `folder` gets a directory for each volume, and what is in it already
 * are volumes: a plugin that is started again has those of its earlier life.
 */
export async function startFaultPlugin(
  socketPath: string,
  folder: string,
  options: FaultPluginOptions = {},
): Promise<FaultPlugin> {
  const orders = new Map<string, Misbehaviour>();
  const requests: FaultRequest[] = [];
  const connections = new Set<Socket>();
  const volumes = new Volumes(folder, options);
  const server = createServer((socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
    socket.on("error", () => undefined);
    readRequests(socket, (request) => {
      requests.push(request);
      const how = orders.get(request.call) ?? orders.get("*");
      const isLate = typeof how === "object" && "delayMs" in how;
      const isDone = how === undefined || how === "mute" || isLate;
      void reply(socket, { answer: isDone ? volumes.answer(request) : {}, how });
    });
  });
  rmSync(socketPath, { force: true });
  await listen(server, socketPath);
  const close = async () => {
    for (const socket of connections) socket.destroy();
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    await promise;
  };
  return {
    requests,
    get calls() {
      return requests.map(({ call, body }) => `${call} ${nameIn(body)}`.trim());
    },
    misbehave(call, how) {
      if (how === undefined) orders.delete(call);
      else orders.set(call, how);
    },
    mountsOf: (volume) => volumes.mountsOf(volume),
    hangUp() {
      for (const socket of connections) socket.destroy();
    },
    async die() {
      await close();
      await leaveDeadSocket(socketPath);
    },
    [Symbol.asyncDispose]: close,
  };
}

async function listen(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(path, resolve);
  await promise;
}

/** Closing a server removes its socket's file, which a killed process cannot do. */
async function leaveDeadSocket(path: string): Promise<void> {
  const server = createServer();
  rmSync(path, { force: true });
  await listen(server, `${path}.tmp`);
  renameSync(`${path}.tmp`, path);
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  await promise;
}

/** What a good plugin of directories does. */
class Volumes {
  readonly #folder: string;
  readonly #options: FaultPluginOptions;
  readonly #mounts = new Map<string, Set<string>>();

  constructor(folder: string, options: FaultPluginOptions) {
    this.#folder = folder;
    this.#options = options;
    mkdirSync(folder, { recursive: true });
  }

  mountsOf(volume: string): readonly string[] {
    return [...(this.#mounts.get(volume) ?? [])];
  }

  answer({ call, body }: FaultRequest): unknown {
    const name = nameIn(body);
    const path = join(this.#folder, name);
    switch (call) {
      case "Plugin.Activate":
        return { Implements: this.#options.implementations ?? ["VolumeDriver"] };
      case "VolumeDriver.Capabilities":
        return { Capabilities: { Scope: this.#options.scope ?? "local" } };
      case "VolumeDriver.Create":
        mkdirSync(path, { recursive: true });
        return {};
      case "VolumeDriver.List":
        return { Volumes: readdirSync(this.#folder).map((each) => this.#shown(each)) };
      default:
        return existsSync(path) ? this.#answerOf(call, body) : { Err: `no such volume: ${name}` };
    }
  }

  #answerOf(call: string, body: string): unknown {
    const name = nameIn(body);
    const { ID: id = "" } = JSON.parse(body) as { ID?: string };
    const ids = this.#mounts.get(name) ?? new Set();
    switch (call) {
      case "VolumeDriver.Get":
        return { Volume: { ...this.#shown(name), CreatedAt: "2026-01-02T03:04:05Z" } };
      case "VolumeDriver.Mount":
        this.#mounts.set(name, ids.add(id));
        return { Mountpoint: this.#shown(name).Mountpoint };
      case "VolumeDriver.Unmount":
        return ids.delete(id) ? {} : { Err: `volume ${name} is not mounted by ${id}` };
      case "VolumeDriver.Remove":
        if (ids.size > 0) return { Err: `volume ${name} is mounted` };
        rmSync(join(this.#folder, name), { recursive: true });
        return {};
      default:
        return { Err: `no call ${call}` };
    }
  }

  #shown(name: string): { readonly Name: string; readonly Mountpoint: string } {
    return { Name: name, Mountpoint: this.#options.shownPath?.(name) ?? join(this.#folder, name) };
  }
}

const lies: Readonly<Partial<Record<(typeof misbehaviours)[number], unknown>>> = {
  empty: {},
  no_object: ["no", "object"],
  wrong_types: {
    Implements: "VolumeDriver",
    Capabilities: [],
    Mountpoint: 7,
    Volume: "wiki",
    Volumes: { wiki: true },
    Err: { text: "no" },
  },
  wrong_time: {
    Implements: ["VolumeDriver"],
    Volume: { Name: "", Mountpoint: "/", CreatedAt: "yesterday" },
    Volumes: [{ Name: "wiki", CreatedAt: 5 }],
    Mountpoint: "not/absolute",
  },
  other_name: {
    Volume: { Name: "somebody-else", Mountpoint: "/etc" },
    Mountpoint: "/nowhere/else",
  },
};

async function reply(
  socket: Socket,
  { answer, how }: { readonly answer: unknown; readonly how: Misbehaviour | undefined },
): Promise<void> {
  if (how === undefined) return send(socket, answer);
  if (typeof how === "object") {
    if ("err" in how) return send(socket, { Err: how.err });
    if ("answer" in how) return send(socket, how.answer);
    setTimeout(() => send(socket, answer), how.delayMs);
    return;
  }
  const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
  switch (how) {
    case "hang":
    case "mute":
      return;
    case "crash":
      socket.destroy();
      return;
    case "trickle":
      return await pour(socket, { head: `${head}\r\n`, part: " ", pauseMs: 20 });
    case "flood":
      return await pour(socket, { head: `${head}\r\n{"Volumes":[`, part: flood, pauseMs: 0 });
    case "flood_head":
      return await pour(socket, { head, part: "X-More: and more\r\n".repeat(1_000), pauseMs: 0 });
    case "cut":
      socket.end(`${head}Content-Length: 1000\r\n\r\n{"Volumes":[`);
      return;
    case "refuse":
      return send(socket, { Err: "it is refused" }, "500 Internal Server Error");
    case "page":
      socket.end("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 9\r\n\r\nno plugin");
      return;
    case "not_http":
      socket.end("SSH-2.0-OpenSSH_9.2\r\n\r\n");
      return;
    case "no_json":
      socket.end(`${head}Content-Length: 9\r\n\r\n{"Volumes`);
      return;
    default:
      return send(socket, lies[how]);
  }
}

const flood = `{"Name":"${"n".repeat(40)}","Mountpoint":"/nowhere"},`.repeat(1_000);

function send(socket: Socket, answer: unknown, status = "200 OK"): void {
  const body = JSON.stringify(answer);
  socket.write(`HTTP/1.1 ${status}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

/** Writes the same again and again, as fast as it is read, until the other side has gone. */
async function pour(
  socket: Socket,
  {
    head,
    part,
    pauseMs,
  }: { readonly head: string; readonly part: string; readonly pauseMs: number },
): Promise<void> {
  socket.write(head);
  while (!socket.destroyed) {
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once("close", resolve);
    if (!socket.write(part)) socket.once("drain", resolve);
    else setTimeout(resolve, pauseMs);
    await promise;
    socket.off("close", resolve);
  }
}

/** Any number of requests on a connection, one after another. */
function readRequests(socket: Socket, received: (request: FaultRequest) => void): void {
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    for (;;) {
      const end = text.indexOf("\r\n\r\n");
      const head = text.slice(0, Math.max(0, end));
      const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
      const whole = end + 4 + length;
      if (end < 0 || text.length < whole) return;
      const body = Buffer.from(text.slice(end + 4, whole), "latin1").toString("utf8");
      text = text.slice(whole);
      received({ call: /^POST \/(\S*)/.exec(head)?.[1] ?? "", head, body });
    }
  });
}

function nameIn(body: string): string {
  // Engines send an object, or nothing.
  const { Name: name } = JSON.parse(body === "" ? "{}" : body) as { Name?: string };
  return name ?? "";
}
