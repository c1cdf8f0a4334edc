// What the command line writes into its socket: whole requests, and bodies as they come.
import type { Upload } from "./client.ts";

type ClientSocket = Bun.Socket<undefined>;

/** What a socket has not taken yet. */
const unsent = new WeakMap<ClientSocket, Uint8Array>();
/** Who waits until it has. */
const waiting = new WeakMap<ClientSocket, () => void>();

/** Writes what the socket takes now; the rest follows by `flush`. */
export function send(socket: ClientSocket, bytes: Uint8Array): void {
  const rest = unsent.get(socket) ?? new Uint8Array(0);
  unsent.set(socket, rest.length === 0 ? bytes : Buffer.concat([rest, bytes]));
  flush(socket);
}

/** Goes on writing; called when the socket can take more. */
export function flush(socket: ClientSocket): void {
  const bytes = unsent.get(socket);
  if (bytes === undefined) return;
  const rest = bytes.subarray(Math.max(0, bytes.length === 0 ? 0 : socket.write(bytes)));
  unsent.set(socket, rest);
  if (rest.length === 0) release(socket);
}

/** Nobody waits for a socket that is closed. */
export function release(socket: ClientSocket): void {
  waiting.get(socket)?.();
  waiting.delete(socket);
}

/** Resolves when all is taken, or `release` is called. */
export async function drained(socket: ClientSocket): Promise<void> {
  if ((unsent.get(socket)?.length ?? 0) === 0) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  waiting.set(socket, resolve);
  await promise;
}

/** One chunk of a body in chunks; an empty one would end it, and is left out. */
export function chunkOf(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0) return bytes;
  const encoder = new TextEncoder();
  const size = encoder.encode(`${bytes.length.toString(16)}\r\n`);
  return Buffer.concat([size, bytes, encoder.encode("\r\n")]);
}

/** The headers that say how the body comes. */
export function bodyHeaders(
  method: string,
  body: string | undefined,
  upload: Upload | undefined,
): string {
  if (upload !== undefined) {
    return `Content-Type: ${upload.contentType}\r\nTransfer-Encoding: chunked\r\n`;
  }
  if (body === undefined) return method === "POST" ? "Content-Length: 0\r\n" : "";
  const lengthBytes = new TextEncoder().encode(body).length;
  return `Content-Type: application/json\r\nContent-Length: ${lengthBytes}\r\n`;
}
