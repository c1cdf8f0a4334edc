// Request bodies as Go's decoder reads them: its leniency about names, its texts about mistakes.
import { EngineError } from "../../core/errors.ts";
import { goQuote } from "../../core/names.ts";
import type { HttpRequest } from "../../http/message.ts";

/** What a field may hold. Anything else is refused with Go's text. */
export type GoFieldType = "string" | "map[string]string" | "[]string" | "object";

/** The Go struct that a body is decoded into: its name in error texts and its fields. */
export interface GoStruct {
  readonly name: string;
  /** The package-qualified name, for bodies that are no object at all. */
  readonly typeName: string;
  readonly fields: Readonly<Record<string, GoFieldType>>;
}

export type GoFields = Readonly<Record<string, unknown>>;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Reads a JSON body: none and `null` are an empty object, field names match without case, unknown
 * fields are ignored (dockerd 24, recorded in 21-raw-api143). Throws `request.invalid`.
 */
export function readBody(request: HttpRequest, struct: GoStruct): GoFields {
  checkContentType(request);
  return readJson(request.body, struct);
}

/** `readBody` for whoever does not look at the content type. */
export function readJson(body: Uint8Array, struct: GoStruct): GoFields {
  return readStruct(jsonValue(body), struct);
}

/** A body that is a list of strings: none and `null` are an empty one. Throws `request.invalid`. */
export function readTexts(request: HttpRequest): readonly string[] {
  checkContentType(request);
  const items = listOf(jsonValue(request.body), "[]string");
  return items.map((item) => textItem(item, "Go value of type string"));
}

/** A body that is a list of structs, Go's `typeName`. As `readTexts`. */
export function readStructs(
  request: HttpRequest,
  typeName: string,
  struct: GoStruct,
): readonly GoFields[] {
  checkContentType(request);
  return listOf(jsonValue(request.body), typeName).map((item) => readStruct(item, struct));
}

/** A field of type "[]string"; empty when it was missing or null. */
export function textsField(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** null: there is no body, or it says so. */
function jsonValue(body: Uint8Array): unknown {
  if (body.length === 0) return null;
  const text = decoder.decode(body);
  try {
    return JSON.parse(text);
  } catch {
    throw new EngineError("request.invalid", jsonMistake(text));
  }
}

function readStruct(value: unknown, struct: GoStruct): GoFields {
  if (value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) {
    throw mistyped(goKind(value), `Go value of type ${struct.typeName}`);
  }
  return decodeFields(value, struct);
}

function listOf(value: unknown, typeName: string): readonly unknown[] {
  if (value === null) return [];
  if (!Array.isArray(value)) throw mistyped(goKind(value), `Go value of type ${typeName}`);
  return value;
}

/** Half of a surrogate pair is no character: Go and the state store a replacement. */
function textItem(item: unknown, into: string): string {
  if (item === null) return "";
  if (typeof item !== "string") throw mistyped(goKind(item), into);
  return item.toWellFormed();
}

/** A field of type "string"; "" when it was missing or null. */
export function textField(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/**
 * A field of type "map[string]string"; null when it was missing or null: Docker's answers keep that
 * apart from `{}`.
 */
export function mapField(value: unknown): Readonly<Record<string, string>> | null {
  if (typeof value !== "object" || value === null) return null;
  return Object.fromEntries(Object.entries(value).map(([key, text]) => [key, String(text)]));
}

function decodeFields(value: object, struct: GoStruct): GoFields {
  const byLowerCase = new Map(Object.keys(struct.fields).map((name) => [name.toLowerCase(), name]));
  const decoded: Record<string, unknown> = {};
  for (const [key, given] of Object.entries(value)) {
    const name = byLowerCase.get(key.toLowerCase());
    const type = name === undefined ? undefined : struct.fields[name];
    // Go leaves a field alone when it is given null.
    if (name === undefined || type === undefined || given === null) continue;
    const value = decodeField(given, type, `${struct.name}.${name}`);
    // A field that comes twice in two spellings: Go decodes into the map that is there already.
    decoded[name] = isMap(type) ? mergedMap(decoded[name], value) : value;
  }
  return decoded;
}

function isMap(type: GoFieldType): boolean {
  return type === "map[string]string";
}

function mergedMap(first: unknown, second: unknown): unknown {
  const entries = [first, second].flatMap((map) => Object.entries(map ?? {}));
  return Object.fromEntries(entries);
}

function decodeField(given: unknown, type: GoFieldType, field: string): unknown {
  const kind = goKind(given);
  if (type === "string") {
    if (typeof given !== "string") throw mistyped(kind, `Go struct field ${field} of type string`);
    return given.toWellFormed();
  }
  if (type === "[]string") {
    if (!Array.isArray(given)) throw mistyped(kind, `Go struct field ${field} of type ${type}`);
    return given.map((item) => textItem(item, `Go struct field ${field} of type string`));
  }
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw mistyped(kind, `Go struct field ${field} of type ${type}`);
  }
  if (type === "object") return given;
  const entries = Object.entries(given).map(([key, text]): readonly [string, string] => {
    return [key.toWellFormed(), textItem(text, `Go struct field ${field} of type string`)];
  });
  return Object.fromEntries(entries);
}

/** moby's CheckForJSON: no type is fine without a body; with one it must be JSON. */
function checkContentType(request: HttpRequest): void {
  const header = request.headers.get("content-type") ?? "";
  if (header === "" && request.body.length === 0) return;
  const mediaType = (header.split(";")[0] ?? "").trim().toLowerCase();
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]+(?:\/[!#$%&'*+.^_`|~0-9a-z-]+)?$/.test(mediaType)) {
    throw new EngineError("request.invalid", `malformed Content-Type header (${header})`);
  }
  if (mediaType !== "application/json") {
    throw new EngineError(
      "request.invalid",
      `unsupported Content-Type header (${header}): must be 'application/json'`,
    );
  }
}

function goKind(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (typeof value === "boolean") return "bool";
  return typeof value;
}

function mistyped(kind: string, into: string): EngineError {
  return new EngineError(
    "request.invalid",
    `invalid JSON: json: cannot unmarshal ${kind} into ${into}`,
  );
}

/** Go's text for JSON that does not parse. Linear in the length of the text. */
export function jsonMistake(text: string): string {
  const scanner = new GoScanner(text);
  const mistake = scanner.scan();
  if (mistake !== undefined) return `invalid JSON: ${mistake}`;
  return "unexpected content after JSON";
}

const spaces = new Set([" ", "\t", "\r", "\n"]);

/** Deepest nesting of Go's decoder. */
const DEPTH_MAX = 10_000;

/**
 * Walks one JSON value with Go's state machine (encoding/json/scanner.go is the source of its
 * texts) and tells the first mistake. It keeps no values: JSON.parse has refused the text already.
 */
class GoScanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The first mistake of the first value; undefined when that value is well formed. */
  scan(): string | undefined {
    this.#skipSpaces();
    if (this.#at >= this.#text.length) return "got EOF while reading request body";
    try {
      this.#value("looking for beginning of value");
      return undefined;
    } catch (mistake) {
      if (mistake instanceof Mistake) return mistake.text;
      throw mistake;
    }
  }

  /** Containers are kept on a stack of their own, so that depth costs no call stack. */
  #value(context: string): void {
    const open: ("object" | "array")[] = [];
    let expected = context;
    for (;;) {
      this.#skipSpaces();
      const character = this.#take();
      if (character === "{" || character === "[") {
        open.push(character === "{" ? "object" : "array");
        if (open.length > DEPTH_MAX) throw new Mistake("exceeded max depth");
        if (!this.#opensEmpty(character)) {
          expected = "looking for beginning of value";
          continue;
        }
        open.pop();
      } else {
        this.#scalar(character, expected);
      }
      if (!this.#closeOrContinue(open)) return;
      expected = "looking for beginning of value";
    }
  }

  /** After an opening bracket: consumes the closing one, or the first key, and says which. */
  #opensEmpty(opening: string): boolean {
    this.#skipSpaces();
    if (this.#peek() === (opening === "{" ? "}" : "]")) {
      this.#at += 1;
      return true;
    }
    if (opening === "{") this.#key("looking for beginning of object key string");
    return false;
  }

  /** After a value: closes what ends and says whether another value follows. */
  #closeOrContinue(open: ("object" | "array")[]): boolean {
    while (open.length > 0) {
      const inside = open[open.length - 1];
      const context = inside === "object" ? "after object key:value pair" : "after array element";
      this.#skipSpaces();
      const character = this.#take();
      if (character === ",") {
        if (inside === "object") {
          this.#skipSpaces();
          this.#key("looking for beginning of object key string");
        }
        return true;
      }
      if (character !== (inside === "object" ? "}" : "]")) throw this.#invalid(character, context);
      open.pop();
    }
    return false;
  }

  #key(context: string): void {
    const character = this.#take();
    if (character !== '"') throw this.#invalid(character, context);
    this.#string();
    this.#skipSpaces();
    const colon = this.#take();
    if (colon !== ":") throw this.#invalid(colon, "after object key");
  }

  #scalar(character: string, context: string): void {
    if (character === '"') this.#string();
    else if (character === "-" || isDigit(character)) this.#number(character);
    else if (character === "t") this.#literal("true");
    else if (character === "f") this.#literal("false");
    else if (character === "n") this.#literal("null");
    else throw this.#invalid(character, context);
  }

  #string(): void {
    for (;;) {
      const character = this.#take();
      if (character === '"') return;
      if (character < " ") throw this.#invalid(character, "in string literal");
      if (character !== "\\") continue;
      const escaped = this.#take();
      if (escaped === "u") {
        for (let count = 0; count < 4; count++) {
          const digit = this.#take();
          if (!/[0-9a-fA-F]/.test(digit)) {
            throw this.#invalid(digit, "in \\u hexadecimal character escape");
          }
        }
      } else if (!'bfnrt\\/"'.includes(escaped)) {
        throw this.#invalid(escaped, "in string escape code");
      }
    }
  }

  #number(first: string): void {
    let character = first;
    if (character === "-") {
      character = this.#take();
      if (!isDigit(character)) throw this.#invalid(character, "in numeric literal");
    }
    if (character !== "0") this.#skipDigits();
    if (this.#peek() === ".") {
      this.#at += 1;
      this.#digits("after decimal point in numeric literal");
    }
    if (this.#peek() === "e" || this.#peek() === "E") {
      this.#at += 1;
      if (this.#peek() === "+" || this.#peek() === "-") this.#at += 1;
      this.#digits("in exponent of numeric literal");
    }
  }

  #digits(context: string): void {
    const character = this.#take();
    if (!isDigit(character)) throw this.#invalid(character, context);
    this.#skipDigits();
  }

  #skipDigits(): void {
    while (isDigit(this.#peek())) this.#at += 1;
  }

  #literal(word: string): void {
    for (const expected of word.slice(1)) {
      const context = `in literal ${word} (expecting ${quote(expected)})`;
      const character = this.#take();
      if (character !== expected) throw this.#invalid(character, context);
    }
  }

  #peek(): string {
    return this.#text[this.#at] ?? "";
  }

  #take(): string {
    const character = this.#peek();
    if (character === "") throw new Mistake("unexpected EOF");
    this.#at += 1;
    return character;
  }

  #skipSpaces(): void {
    while (spaces.has(this.#peek())) this.#at += 1;
  }

  #invalid(character: string, context: string): Mistake {
    return new Mistake(`invalid character ${quote(character)} ${context}`);
  }
}

class Mistake extends Error {
  readonly text: string;

  constructor(text: string) {
    super(text);
    this.text = text;
  }
}

function isDigit(character: string): boolean {
  return character >= "0" && character <= "9" && character.length === 1;
}

/** Go's quoteChar: the character in single quotes, or what the first of its bytes means alone. */
function quote(character: string): string {
  if (character === "'") return "'\\''";
  if (character === '"') return "'\"'";
  const shown = character < "\x80" ? character : String.fromCharCode(firstByte(character));
  return `'${goQuote(shown).slice(1, -1)}'`;
}

/** Of the UTF-8 form. Of a character beyond 16 bits the scanner has the first half. */
function firstByte(character: string): number {
  const code = character.charCodeAt(0);
  if (code < 0x800) return 0xc0 | (code >> 6);
  if (code < 0xd800 || code > 0xdbff) return 0xe0 | (code >> 12);
  return 0xf0 | ((((code & 0x3ff) << 10) + 0x10000) >> 18);
}
