// Reads a request line and a block of header fields that are complete, strictly (RFC 9112).
import { Buffer } from "node:buffer";
import { HEADER_COUNT_MAX, METHOD_CHARACTERS_MAX } from "./limits.ts";
import { HttpRefusal, malformed } from "./refusal.ts";

export interface RequestLine {
  readonly method: string;
  readonly target: string;
  readonly path: string;
  readonly query: string;
  readonly isVersion11: boolean;
}

/** What the header fields say about the rest of the message and of the connection. */
export interface Framing {
  /** Bytes of the body, or "chunked". */
  readonly bodyLength: number | "chunked";
  readonly keepsAlive: boolean;
  /** The client waits for "100 Continue" before it sends the body. */
  readonly expectsContinue: boolean;
}

const SPACE = 0x20;
const TAB = 0x09;
const QUESTION_MARK = 0x3f;
const SLASH = 0x2f;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
/** More digits than any length that a number holds exactly. */
const LENGTH_DIGITS_MAX = 15;

/** 1 for each character of a token (RFC 9110, 5.6.2). */
export const TOKEN_CHARACTERS = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
  TOKEN_CHARACTERS[character.charCodeAt(0)] = 1;
  TOKEN_CHARACTERS[character.toUpperCase().charCodeAt(0)] = 1;
}

/** Fields that must not come twice: two readers could believe two different ones. */
const SINGLE_FIELDS: ReadonlySet<string> = new Set(["content-length", "host", "transfer-encoding"]);

export function isToken(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (TOKEN_CHARACTERS[text.charCodeAt(index)] !== 1) {
      return false;
    }
  }
  return text.length > 0;
}

/** Takes the line as Latin-1, without its line end; control characters but tab are gone already. */
export function parseRequestLine(line: string): RequestLine {
  const methodEnd = line.indexOf(" ");
  const targetEnd = line.lastIndexOf(" ");
  if (methodEnd <= 0 || targetEnd === methodEnd) {
    throw malformed("the request line is not METHOD TARGET HTTP/1.1");
  }
  const method = line.slice(0, methodEnd);
  if (method.length > METHOD_CHARACTERS_MAX || !isToken(method)) {
    throw malformed("the method is not a word");
  }
  const isVersion11 = parseVersion(line.slice(targetEnd + 1));
  return parseTarget(method, line.slice(methodEnd + 1, targetEnd), isVersion11);
}

function parseVersion(version: string): boolean {
  if (version === "HTTP/1.1") {
    return true;
  }
  if (version === "HTTP/1.0") {
    return false;
  }
  if (/^HTTP\/\d\.\d$/.test(version)) {
    throw new HttpRefusal(505, `${version} is not supported, only HTTP/1.1 and HTTP/1.0`);
  }
  throw malformed("the request line does not end in HTTP/1.1");
}

function parseTarget(method: string, rawTarget: string, isVersion11: boolean): RequestLine {
  let target = rawTarget;
  if (target.charCodeAt(0) !== SLASH) {
    target = originForm(method, target);
  }
  let hasHighBytes = false;
  let queryStart = -1;
  for (let index = 0; index < target.length; index++) {
    const code = target.charCodeAt(index);
    if (code <= SPACE) {
      throw malformed("the target has a space in it");
    }
    if (code > 0x7f) {
      hasHighBytes = true;
    } else if (code === QUESTION_MARK && queryStart < 0) {
      queryStart = index;
    }
  }
  if (hasHighBytes) {
    target = decodeUtf8(target);
    queryStart = target.indexOf("?");
  }
  return queryStart < 0
    ? { method, target, path: target, query: "", isVersion11 }
    : {
        method,
        target,
        path: target.slice(0, queryStart),
        query: target.slice(queryStart + 1),
        isVersion11,
      };
}

/** Turns `http://host/path` into `/path`; lets `*` pass for OPTIONS; refuses the rest. */
function originForm(method: string, target: string): string {
  if (target === "*" && method === "OPTIONS") {
    return target;
  }
  const scheme = "http://";
  const authorityStart = scheme.length;
  if (target.slice(0, authorityStart).toLowerCase() !== scheme) {
    throw malformed("the target starts neither with / nor with http://");
  }
  let end = authorityStart;
  while (end < target.length && target[end] !== "/" && target[end] !== "?") {
    end++;
  }
  if (end === authorityStart) {
    throw malformed("the target names no host after http://");
  }
  return target[end] === "/" ? target.slice(end) : `/${target.slice(end)}`;
}

/** Go's clients send names raw that are not ASCII; other bytes than UTF-8 name nothing. */
function decodeUtf8(latin1: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(latin1, "latin1"));
  } catch {
    throw malformed("the target is not UTF-8");
  }
}

/** Takes the fields as Latin-1, each with its CR LF. */
export function parseFields(block: string): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  let count = 0;
  let lineStart = 0;
  while (lineStart < block.length) {
    count += 1;
    if (count > HEADER_COUNT_MAX) {
      throw new HttpRefusal(431, `more than ${HEADER_COUNT_MAX} header fields`);
    }
    const lineEnd = block.indexOf("\r\n", lineStart);
    const colon = nameEnd(block, lineStart, lineEnd);
    const name = block.slice(lineStart, colon).toLowerCase();
    const value = trimmed(block, colon + 1, lineEnd);
    const earlier = headers.get(name);
    if (earlier === undefined) {
      headers.set(name, value);
    } else if (SINGLE_FIELDS.has(name)) {
      throw malformed(`more than one ${name} field`);
    } else {
      headers.set(name, `${earlier}, ${value}`);
    }
    lineStart = lineEnd + 2;
  }
  return headers;
}

function nameEnd(block: string, lineStart: number, lineEnd: number): number {
  let index = lineStart;
  while (index < lineEnd && TOKEN_CHARACTERS[block.charCodeAt(index)] === 1) {
    index++;
  }
  if (index === lineStart || block[index] !== ":") {
    const first = block.charCodeAt(lineStart);
    throw first === SPACE || first === TAB
      ? malformed("a header field is folded over two lines")
      : malformed("a header field is not NAME: VALUE");
  }
  return index;
}

function trimmed(block: string, valueStart: number, valueEnd: number): string {
  let start = valueStart;
  let end = valueEnd;
  while (start < end && isBlank(block.charCodeAt(start))) {
    start++;
  }
  while (end > start && isBlank(block.charCodeAt(end - 1))) {
    end--;
  }
  return block.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** Decides where the body ends, or refuses what two readers could read differently. */
export function framingOf(headers: ReadonlyMap<string, string>, isVersion11: boolean): Framing {
  if (isVersion11 && !headers.has("host")) {
    throw malformed("the Host field is missing");
  }
  const keepsAlive = keepsConnection(headers.get("connection"), isVersion11);
  const expect = headers.get("expect");
  if (expect !== undefined && isVersion11 && expect.toLowerCase() !== "100-continue") {
    throw new HttpRefusal(417, `cannot fulfil "Expect: ${expect}"`);
  }
  const expectsContinue = expect !== undefined && isVersion11;
  const length = headers.get("content-length");
  const encoding = headers.get("transfer-encoding");
  if (encoding !== undefined) {
    if (length !== undefined) {
      throw malformed("both Content-Length and Transfer-Encoding");
    }
    if (!isVersion11) {
      throw malformed("HTTP/1.0 has no Transfer-Encoding");
    }
    if (encoding.toLowerCase() !== "chunked") {
      throw new HttpRefusal(501, `unknown transfer encoding "${encoding}"`);
    }
    return { bodyLength: "chunked", keepsAlive, expectsContinue };
  }
  const bodyLength = length === undefined ? 0 : parseLength(length);
  return { bodyLength, keepsAlive, expectsContinue };
}

export function bodyTooLarge(bodyBytesMax: number): HttpRefusal {
  return new HttpRefusal(413, `the request body is larger than ${bodyBytesMax} bytes`);
}

function parseLength(text: string): number {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < DIGIT_0 || code > DIGIT_9) {
      throw malformed("Content-Length is not a number");
    }
  }
  if (text.length === 0) {
    throw malformed("Content-Length is empty");
  }
  // Too long to be exact is too long for any body: the caller's limit is far below.
  return text.length > LENGTH_DIGITS_MAX ? Number.MAX_SAFE_INTEGER : Number(text);
}

function keepsConnection(connection: string | undefined, isVersion11: boolean): boolean {
  if (connection === undefined) {
    return isVersion11;
  }
  const options = connection.toLowerCase().split(",");
  let keeps = isVersion11;
  for (const option of options) {
    const word = option.trim();
    if (word === "close") {
      return false;
    }
    if (word === "keep-alive") {
      keeps = true;
    }
  }
  return keeps;
}
