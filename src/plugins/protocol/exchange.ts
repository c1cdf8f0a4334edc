// One request and its answer, exactly as Docker writes it.
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

/** What came back. */
export interface Exchanged {
  readonly answer: HttpAnswer;
  /** The connection is open, and the other side has not said that it will close it. */
  readonly isOpen: boolean;
}

/**
 * Sends the text and reads the whole answer. Unless the answer says that the connection goes on, it
 * has ended then. Rejects with the system's error, with `plugin.failed` for what is no answer, and
 * with the signal's reason.
 */
export async function exchange(
  socket: Socket,
  text: string,
  { answerBytesMax, signal }: { readonly answerBytesMax: number; readonly signal: AbortSignal },
): Promise<Exchanged> {
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
  const data = (chunk: Uint8Array) => settle(() => reader.push(chunk));
  const ended = () => settle(() => reader.end(), "the connection was closed without an answer");
  const abort = () => reject(signal.reason);
  socket.on("data", data);
  socket.on("end", ended);
  socket.on("close", ended);
  socket.on("error", reject);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  else socket.write(text);
  let isOpen = false;
  try {
    const answer = await promise;
    isOpen = reader.isOpen && socket.writable;
    return { answer, isOpen };
  } finally {
    signal.removeEventListener("abort", abort);
    socket.off("data", data);
    socket.off("end", ended);
    socket.off("close", ended);
    if (isOpen) socket.off("error", reject);
    else socket.destroy();
  }
}
