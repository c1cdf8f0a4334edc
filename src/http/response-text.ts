// Writes the head of an answer as text, and refuses to write what would break out of it.
import { Buffer } from "node:buffer";
import { isToken } from "./head-parser.ts";
import { OUTPUT_SLICE_BYTES } from "./limits.ts";
import type { Header, HttpResponse } from "./message.ts";
import { type HttpRefusal, messageResponse } from "./refusal.ts";

const STATUS_TEXTS: ReadonlyMap<number, string> = new Map([
  [200, "OK"],
  [201, "Created"],
  [202, "Accepted"],
  [204, "No Content"],
  [400, "Bad Request"],
  [403, "Forbidden"],
  [404, "Not Found"],
  [408, "Request Timeout"],
  [409, "Conflict"],
  [413, "Request Entity Too Large"],
  [414, "Request URI Too Long"],
  [417, "Expectation Failed"],
  [431, "Request Header Fields Too Large"],
  [500, "Internal Server Error"],
  [501, "Not Implemented"],
  [503, "Service Unavailable"],
  [505, "HTTP Version Not Supported"],
  [507, "Insufficient Storage"],
]);

/** Written by the server itself, from what it knows about the message and the connection. */
const RESERVED_NAMES: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "date",
  "keep-alive",
  "transfer-encoding",
]);

const REHEARSAL = { connectionLine: "", isHead: true };

/** Names come from the source code, so there are few: each is checked once. */
const CHECKED_NAMES_MAX = 1_024;
const checkedNames = new Set<string>();

/** Status line and fields, each with its line end, without the empty line. Throws on a bug. */
export function headText(status: number, headers: readonly Header[]): string {
  let text = statusLine(status);
  for (const [name, value] of headers) {
    if (!checkedNames.has(name)) {
      checkName(name);
    }
    checkValue(name, value);
    text += `${name}: ${value}\r\n`;
  }
  return text;
}

/** The answer for a handler that threw, if it can be written: a bad one is no second failure. */
export function failureResponse(make: () => HttpResponse): HttpResponse {
  try {
    const response = make();
    wholeText(headText(response.status, response.headers), response, REHEARSAL);
    return response;
  } catch {
    return messageResponse(500, "internal error");
  }
}

/** What the server itself says no with, before it ends the connection. */
export function refusalText(refusal: HttpRefusal, dateLine: string): string {
  const { status, headers, body } = messageResponse(refusal.status, refusal.message);
  const length = `Content-Length: ${Buffer.byteLength(body)}\r\n`;
  return `${headText(status, headers)}${dateLine}${length}Connection: close\r\n\r\n${body}`;
}

/** A whole answer that needs room before it is made: encoding it is the only copy of its body. */
export interface LongAnswer {
  readonly bytes: number;
  encode(): Buffer;
}

/**
 * A whole answer: as text, ready to be written at once, if it is short; otherwise, or if its body
 * is bytes, to be encoded. `head` comes from `headText`, with the date.
 */
export function wholeText(
  head: string,
  response: HttpResponse,
  ending: { readonly connectionLine: string; readonly isHead: boolean },
): string | LongAnswer {
  if (isBodiless(response.status)) {
    return `${head}${ending.connectionLine}\r\n`;
  }
  const body = response.body ?? "";
  const isText = typeof body === "string";
  const bytes = isText ? Buffer.byteLength(body) : body.length;
  const wholeHead = `${head}Content-Length: ${bytes}\r\n${ending.connectionLine}\r\n`;
  if (ending.isHead) {
    return wholeHead;
  }
  if (isText && bytes < OUTPUT_SLICE_BYTES) {
    return wholeHead + body;
  }
  return {
    bytes: wholeHead.length + bytes,
    encode: () => encoded(wholeHead, body, bytes),
  };
}

function encoded(head: string, body: string | Uint8Array, bodyBytes: number): Buffer {
  const whole = Buffer.allocUnsafeSlow(head.length + bodyBytes);
  whole.write(head, "latin1");
  if (typeof body === "string") {
    whole.write(body, head.length);
  } else {
    whole.set(body, head.length);
  }
  return whole;
}

/** True for the answers that never have a body nor a length. */
export function isBodiless(status: number): boolean {
  return status === 204 || status === 304;
}

function statusLine(status: number): string {
  if (status === 200) {
    return "HTTP/1.1 200 OK\r\n";
  }
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new RangeError(`${status} is not a status of a final answer`);
  }
  return `HTTP/1.1 ${status} ${STATUS_TEXTS.get(status) ?? "Unnamed"}\r\n`;
}

function checkName(name: string): void {
  if (!isToken(name)) {
    throw new TypeError(`${JSON.stringify(name)} is not the name of a header field`);
  }
  if (RESERVED_NAMES.has(name.toLowerCase())) {
    throw new TypeError(`the header field ${name} is written by the server`);
  }
  if (checkedNames.size < CHECKED_NAMES_MAX) {
    checkedNames.add(name);
  }
}

/** Only printable ASCII and tab: heads and text bodies are then sent as one UTF-8 text. */
function checkValue(name: string, value: string): void {
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index);
    if ((code < 0x20 && code !== 0x09) || code > 0x7e) {
      throw new TypeError(`the value of ${name} has a character that headers cannot carry`);
    }
  }
}
