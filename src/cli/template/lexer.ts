// Cuts a Go template into text and actions, and actions into tokens.

/** A template that cannot be parsed; the message is Go's. */
export class TemplateParseError extends Error {}

export type TokenKind =
  | "field"
  | "dot"
  | "variable"
  | "identifier"
  | "string"
  | "character"
  | "number"
  | "symbol";

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** Offset in the whole template. */
  readonly position: number;
  readonly hasSpaceBefore: boolean;
}

export type Segment =
  | { readonly kind: "text"; readonly text: string; readonly position: number }
  | {
      readonly kind: "action";
      readonly tokens: readonly Token[];
      readonly position: number;
      /** Offset of the closing braces. */
      readonly end: number;
    };

/** Characters of a template; a command line cannot sensibly be longer. */
const templateLengthMax = 1024 * 1024;

const pattern = new RegExp(
  [
    /(?<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)/,
    /(?<character>'(?:[^'\\\n]|\\.)+')/,
    /(?<number>[+-]?(?:0[xXbBoO][\da-fA-F_]+|(?:\d[\d_]*\.?[\d_]*|\.\d+)(?:[eE][+-]?\d+)?))/,
    /(?<field>\.[\p{L}_][\p{L}\p{Nd}_]*)/u,
    /(?<dot>\.)/,
    /(?<variable>\$[\p{L}\p{Nd}_]*)/u,
    /(?<identifier>[\p{L}_][\p{L}\p{Nd}_]*)/u,
    /(?<symbol>:=|[=|(),])/,
  ]
    .map((part) => part.source)
    .join("|"),
  "uy",
);

export function lineOf(source: string, position: number): number {
  return source.slice(0, position).split("\n").length;
}

class Lexer {
  readonly #source: string;
  readonly #name: string;

  constructor(source: string, name: string) {
    this.#source = source;
    this.#name = name;
  }

  fail(position: number, message: string): TemplateParseError {
    const line = lineOf(this.#source, position);
    return new TemplateParseError(`template: ${this.#name}:${line}: ${message}`);
  }

  segments(): Segment[] {
    const source = this.#source;
    const segments: Segment[] = [];
    let at = 0;
    let trimsStart = false;
    for (;;) {
      const open = source.indexOf("{{", at);
      const start = open < 0 ? source.length : open;
      let text = source.slice(at, start);
      if (trimsStart) text = text.trimStart();
      if (open < 0) {
        if (text !== "") segments.push({ kind: "text", text, position: at });
        return segments;
      }
      const trimsEnd = /^-[ \t\r\n]/.test(source.slice(open + 2, open + 4));
      if (trimsEnd) text = text.trimEnd();
      if (text !== "") segments.push({ kind: "text", text, position: at });
      const action = this.#action(open + (trimsEnd ? 3 : 2));
      if (action.tokens !== undefined) {
        segments.push({
          kind: "action",
          tokens: action.tokens,
          position: open,
          end: action.end,
        });
      }
      trimsStart = source.startsWith("-}}", action.end);
      at = action.end + (trimsStart ? 3 : 2);
    }
  }

  /** The tokens from `start` to the closing braces; none for a comment. */
  #action(start: number): { readonly tokens: Token[] | undefined; readonly end: number } {
    const source = this.#source;
    const comment = /^[ \t\r\n]*\/\*/.exec(source.slice(start, start + 64));
    if (comment) {
      const close = source.indexOf("*/", start + comment[0].length);
      if (close < 0) throw this.fail(start, "unclosed comment");
      const end = /^(?:[ \t\r\n]+(?=-\}\}))?/.exec(source.slice(close + 2))?.[0].length ?? 0;
      const at = close + 2 + end;
      if (!source.startsWith("}}", at) && !source.startsWith("-}}", at)) {
        throw this.fail(start, "comment ends before closing delimiter");
      }
      return { tokens: undefined, end: at };
    }
    const tokens: Token[] = [];
    let at = start;
    for (;;) {
      const spaces = /^[ \t\r\n]*/.exec(source.slice(at))?.[0].length ?? 0;
      at += spaces;
      if (source.startsWith("}}", at)) return { tokens, end: at };
      if (spaces > 0 && source.startsWith("-}}", at)) return { tokens, end: at };
      if (at >= source.length) throw this.fail(start, "unclosed action");
      const token = this.#token(at, spaces > 0 || tokens.length === 0);
      tokens.push(token);
      at += token.text.length;
    }
  }

  #token(position: number, hasSpaceBefore: boolean): Token {
    pattern.lastIndex = position;
    const groups = pattern.exec(this.#source)?.groups;
    if (groups) {
      for (const [kind, text] of Object.entries(groups)) {
        if (text === undefined) continue;
        // A name of a group of the pattern is a TokenKind.
        return { kind: kind as TokenKind, text, position, hasSpaceBefore };
      }
    }
    const character = String.fromCodePoint(this.#source.codePointAt(position) ?? 0);
    if (character === '"') throw this.fail(position, "unterminated quoted string");
    if (character === "`") throw this.fail(position, "unterminated raw quoted string");
    if (character === "'") throw this.fail(position, "unterminated character constant");
    if (/[!-~]/.test(character)) throw this.fail(position, `unexpected "${character}" in command`);
    const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
    throw this.fail(position, `unexpected bad character U+${code} '${character}' in command`);
  }
}

/** Splits `source` into segments; `name` is the template's, for messages. */
export function lex(source: string, name: string): Segment[] {
  if (source.length > templateLengthMax) {
    throw new TemplateParseError(`template: ${name}:1: template is too long`);
  }
  return new Lexer(source, name).segments();
}
