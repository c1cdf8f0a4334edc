// One request and its answer, on a connection of its own, exactly as Docker writes it.
//
// A connection is never used twice: whether a request on one that the other side was just closing
// has arrived cannot be known, and what may have arrived must not be sent again.
import type { Socket } from "node:net";
import { AnswerReader, type HttpAnswer } from "./answer-reader.ts";

export interface PluginRequest {
  /** `VolumeDriver.Get` */
  readonly method: string;
  /** The value of `Host`. */
  readonly host: string;
  /** The whole body: a value, so that nothing of it can be used up. */
  readonly body: string;
}

export const PLUGIN_MEDIA_TYPE = "application/vnd.docker.plugins.v1.2+json";

/** The bytes of a request: Docker's headers, under our own name. */
export function requestText({ method, host, body }: PluginRequest): string {
  return (
    `POST /${method} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: Holdfast\r\n` +
    `Content-Length: ${Buffer.byteLength(body)}\r\nAccept: ${PLUGIN_MEDIA_TYPE}\r\n\r\n${body}`
  );
}

/**
 * Sends the text and reads the whole answer; the connection has ended then. Rejects with the
 * system's error, with `plugin.failed` for what is no answer, and with the signal's reason.
 */
export async function exchange(
  socket: Socket,
  text: string,
  { answerBytesMax, signal }: { readonly answerBytesMax: number; readonly signal: AbortSignal },
): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  const reader = new AnswerReader(answerBytesMax);
  const settle = (read: () => HttpAnswer | undefined, otherwise?: string): void => {
    try {
      const answer = read();
      if (answer !== undefined) resolve(answer);
      else if (otherwise !== undefined) reject(new Error(otherwise));
    } catch (error) {
      reject(error);
    }
  };
  const ended = () => settle(() => reader.end(), "the connection was closed without an answer");
  const abort = () => reject(signal.reason);
  socket.on("data", (chunk: Uint8Array) => settle(() => reader.push(chunk)));
  socket.on("end", ended);
  socket.on("close", ended);
  socket.on("error", reject);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  else socket.write(text);
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", abort);
    socket.removeAllListeners("data");
    socket.destroy();
  }
}
