// One request to a Docker Engine over its Unix socket, with everything bounded.
import { type IncomingMessage, request } from "node:http";

export interface DockerRequest {
  readonly socketPath: string;
  readonly method: "GET" | "POST" | "DELETE";
  /** With its query. Without a version: every engine answers with the newest it has. */
  readonly path: string;
  /** Sent as JSON; nothing is sent when it is missing. */
  readonly body?: unknown;
  readonly signal: AbortSignal;
  /** A longer answer is refused. */
  readonly bodyBytesMax: number;
}

export interface DockerAnswer {
  readonly status: number;
  readonly body: string;
}

/**
 * Sends a request on a connection of its own and reads the whole answer. Rejects
 * with the system's error when nobody listens (ENOENT, ECONNREFUSED), and when the signal fires.
 */
export function exchange(wanted: DockerRequest): Promise<DockerAnswer> {
  const { socketPath, method, path, signal, bodyBytesMax } = wanted;
  const { promise, resolve, reject } = Promise.withResolvers<DockerAnswer>();
  const body = wanted.body === undefined ? "" : JSON.stringify(wanted.body);
  const type = body === "" ? {} : { "content-type": "application/json" };
  const headers = { host: "docker", "content-length": String(Buffer.byteLength(body)), ...type };
  const sent = request({ socketPath, method, path, headers, signal, agent: false });
  sent.on("error", reject);
  sent.on("response", (answer) => {
    collect(answer, bodyBytesMax).then((body) => {
      resolve({ status: answer.statusCode ?? 0, body });
    }, reject);
  });
  sent.end(body);
  return promise;
}

function collect(answer: IncomingMessage, bytesMax: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const chunks: Buffer[] = [];
  let bytes = 0;
  answer.on("data", (chunk: Buffer) => {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) answer.destroy(new Error(`the answer is longer than ${bytesMax} bytes`));
    else chunks.push(chunk);
  });
  answer.on("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
  answer.on("error", reject);
  answer.on("close", () => reject(new Error("the answer ended early")));
  return promise;
}
