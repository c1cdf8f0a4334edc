// A registry on loopback that works, and on command cuts, lies, floods, trickles and misleads.
//
// It speaks raw HTTP over a socket: what is wrong is wrong exactly as asked for.
import { createHash } from "node:crypto";
import { createServer, type Socket } from "node:net";
import { writeManifest } from "../../src/plugins/registry/manifest.ts";

/** What is done instead of answering properly. */
export type Fault =
  /** The head and so many bytes of the body, then the connection ends. */
  | { readonly do: "cut"; readonly afterBytes: number }
  /** The connection ends before anything is said. */
  | { readonly do: "hang-up" }
  /** Never says anything. */
  | { readonly do: "silence" }
  /** The head and so many bytes, then nothing any more. */
  | { readonly do: "stall"; readonly afterBytes: number }
  /** The whole body, a byte at a time. */
  | { readonly do: "trickle"; readonly everyMs: number }
  /** Another body, with its own length. */
  | { readonly do: "replace"; readonly body: Uint8Array }
  /** The body is right; this is what Content-Length says. */
  | { readonly do: "claim"; readonly bytes: number }
  /** Bytes without end, in chunks, as if there were no length. */
  | { readonly do: "flood" }
  /** A range is answered with everything. */
  | { readonly do: "ignore-range" }
  | {
      readonly do: "answer";
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    };

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly bodyBytes: number;
}

export interface FaultRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly seen: readonly SeenRequest[];
  /** How many bytes of bodies it has sent. */
  readonly sentBytes: number;
  /** Makes a plugin of these layers known as `path:tag`; returns the digests. */
  add(
    name: { readonly path: string; readonly tag: string },
    layers: readonly Uint8Array[],
    config?: Uint8Array,
  ): { readonly manifest: string; readonly layers: readonly string[] };
  /** Any manifest under this name. */
  addManifest(
    name: { readonly path: string; readonly tag: string },
    manifest: string,
    type: string,
  ): void;
  addBlob(bytes: Uint8Array): string;
  /** For the next `times` requests (all, when it says none) whose `METHOD path` matches. */
  misbehave(which: RegExp, fault: Fault, times?: number): void;
  /** Takes all of that back, and ends what hangs. */
  behave(): void;
}

interface Stored {
  readonly bytes: Uint8Array;
  readonly type: string;
}

export async function startFaultRegistry(): Promise<FaultRegistry> {
  const registry = new Registry();
  const server = createServer((socket) => registry.serve(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    host: `127.0.0.1:${port}`,
    seen: registry.seen,
    get sentBytes() {
      return registry.sentBytes;
    },
    add: (name, layers, config) => registry.add(name, layers, config),
    addManifest: (name, manifest, type) => registry.addManifest(name, manifest, type),
    addBlob: (bytes) => registry.addBlob(bytes),
    misbehave: (which, fault, times = Number.POSITIVE_INFINITY) => {
      registry.faults.push({ which, fault, times });
    },
    behave: () => {
      registry.faults.length = 0;
      registry.end();
    },
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      registry.end();
      await closed;
    },
  };
}

class Registry {
  readonly seen: SeenRequest[] = [];
  readonly faults: { readonly which: RegExp; readonly fault: Fault; times: number }[] = [];
  sentBytes = 0;
  readonly #blobs = new Map<string, Stored>();
  readonly #manifests = new Map<string, Stored>();
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<ReturnType<typeof setInterval>>();

  end(): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const socket of this.#sockets) socket.destroy();
  }

  addBlob(bytes: Uint8Array): string {
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    this.#blobs.set(digest, { bytes, type: "application/octet-stream" });
    return digest;
  }

  addManifest(
    { path, tag }: { readonly path: string; readonly tag: string },
    manifest: string,
    type: string,
  ): void {
    const bytes = Buffer.from(manifest);
    this.#manifests.set(`${path}:${tag}`, { bytes, type });
    this.#manifests.set(`${path}:${this.addBlob(bytes)}`, { bytes, type });
  }

  add(
    name: { readonly path: string; readonly tag: string },
    layers: readonly Uint8Array[],
    config: Uint8Array = Buffer.from("{}"),
  ): { readonly manifest: string; readonly layers: readonly string[] } {
    const described = layers.map((layer) => ({
      digest: this.addBlob(layer),
      size: layer.byteLength,
    }));
    const ofConfig = { digest: this.addBlob(config), size: config.byteLength };
    const manifest = Buffer.from(writeManifest(ofConfig, described));
    const type = "application/vnd.docker.distribution.manifest.v2+json";
    this.addManifest(name, manifest.toString("utf8"), type);
    return {
      manifest: `sha256:${createHash("sha256").update(manifest).digest("hex")}`,
      layers: described.map(({ digest }) => digest),
    };
  }

  serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
    let head = "";
    let request: Omit<SeenRequest, "bodyBytes"> | undefined;
    let bodyBytes = 0;
    socket.on("data", (chunk) => {
      bodyBytes += chunk.length;
      if (request === undefined) {
        head += chunk.toString("latin1");
        const end = head.indexOf("\r\n\r\n");
        if (end < 0) {
          // What is no HTTP at all is TLS: hang up, as servers do.
          if (head.charCodeAt(0) === 0x16) socket.destroy();
          return;
        }
        request = parseHead(head.slice(0, end));
        bodyBytes = head.length - end - 4;
      }
      if (bodyBytes < Number(request.headers.get("content-length") ?? 0)) return;
      const whole = { ...request, bodyBytes };
      this.seen.push(whole);
      this.#answer(socket, whole);
    });
  }

  #answer(socket: Socket, request: SeenRequest): void {
    const line = `${request.method} ${request.path}`;
    const found = this.faults.find(({ which, times }) => times > 0 && which.test(line));
    if (found !== undefined) found.times -= 1;
    const fault = found?.fault;
    if (fault?.do === "silence") return;
    if (fault?.do === "hang-up") {
      socket.destroy();
      return;
    }
    if (fault?.do === "answer") {
      this.#send(socket, {
        status: fault.status,
        headers: fault.headers ?? {},
        body: Buffer.from(fault.body ?? ""),
      });
      return;
    }
    const proper = this.#proper(request, fault?.do === "ignore-range");
    if (request.method === "HEAD" || fault === undefined) this.#send(socket, proper);
    else this.#sendWrong(socket, proper, fault);
  }

  #proper({ method, path, headers }: SeenRequest, ignoresRange: boolean): Reply {
    const [, repository = "", kind = "", name = ""] =
      /^\/v2\/(.+)\/(manifests|blobs)\/([^/?]*)/.exec(path) ?? [];
    if (method === "POST") return reply(202, { location: `/v2/${repository}/blobs/uploads/1` });
    if (method === "PUT") return reply(201, {});
    const stored =
      kind === "manifests" ? this.#manifests.get(`${repository}:${name}`) : this.#blobs.get(name);
    if (stored === undefined) return reply(404, {}, '{"errors":[{"code":"NAME_UNKNOWN"}]}');
    const { bytes, type } = stored;
    const length = { "content-length": String(bytes.byteLength), "content-type": type };
    if (method === "HEAD") return { status: 200, headers: length, body: new Uint8Array() };
    const from = Number(/^bytes=(\d+)-$/.exec(headers.get("range") ?? "")?.[1] ?? 0);
    if (from === 0 || ignoresRange) return { status: 200, headers: length, body: bytes };
    const range = `bytes ${from}-${bytes.byteLength - 1}/${bytes.byteLength}`;
    const body = bytes.subarray(from);
    const partial = { "content-length": String(body.byteLength), "content-range": range };
    return { status: 206, headers: partial, body };
  }

  #sendWrong(socket: Socket, proper: Reply, fault: Fault): void {
    const { status, headers, body } = proper;
    switch (fault.do) {
      case "cut":
        this.#write(socket, headOf(status, headers), body.subarray(0, fault.afterBytes));
        socket.end();
        return;
      case "stall":
        this.#write(socket, headOf(status, headers), body.subarray(0, fault.afterBytes));
        return;
      case "trickle":
        this.#trickle(socket, proper, fault.everyMs);
        return;
      case "replace":
        this.#send(socket, reply(status, {}, fault.body));
        return;
      case "claim":
        this.#write(
          socket,
          headOf(status, { ...headers, "content-length": String(fault.bytes) }),
          body,
        );
        socket.end();
        return;
      case "flood":
        this.#flood(socket, headOf(status, { "transfer-encoding": "chunked" }));
        return;
      default:
        this.#send(socket, proper);
    }
  }

  #send(socket: Socket, { status, headers, body }: Reply): void {
    const length = { "content-length": String(body.byteLength) };
    this.#write(socket, headOf(status, { ...length, ...headers }), body);
    socket.end();
  }

  #write(socket: Socket, head: string, body: Uint8Array): void {
    this.sentBytes += body.byteLength;
    socket.write(head);
    socket.write(body);
  }

  #trickle(socket: Socket, { status, headers, body }: Reply, everyMs: number): void {
    socket.write(headOf(status, headers));
    let at = 0;
    const timer = setInterval(() => {
      if (socket.destroyed || at >= body.byteLength) clearInterval(timer);
      else socket.write(body.subarray(at, ++at));
    }, everyMs);
    this.#timers.add(timer);
  }

  #flood(socket: Socket, head: string): void {
    socket.write(head);
    const data = Buffer.alloc(64 * 1024, "x");
    const chunk = Buffer.concat([Buffer.from("10000\r\n"), data, Buffer.from("\r\n")]);
    const pour = () => {
      while (!socket.destroyed) {
        this.sentBytes += data.byteLength;
        if (!socket.write(chunk)) return;
      }
    };
    socket.on("drain", pour);
    pour();
  }
}

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

function reply(
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string | Uint8Array = "",
): Reply {
  return { status, headers, body: typeof body === "string" ? Buffer.from(body) : body };
}

function headOf(status: number, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries({ ...headers, connection: "close" });
  const fields = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return `HTTP/1.1 ${status} Whatever\r\n${fields}\r\n`;
}

function parseHead(head: string): Omit<SeenRequest, "bodyBytes"> {
  const [first = "", ...fields] = head.split("\r\n");
  const [method = "", path = ""] = first.split(" ");
  const headers = new Map<string, string>();
  for (const field of fields) {
    const colon = field.indexOf(":");
    const name = field.slice(0, colon).toLowerCase();
    const value = field.slice(colon + 1).trim();
    headers.set(name, headers.has(name) ? `${headers.get(name)}\n${value}` : value);
  }
  return { method, path, headers };
}
