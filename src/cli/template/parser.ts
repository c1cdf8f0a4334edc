// Turns the tokens of a Go template into a tree.
import { lex, lineOf, type Segment, TemplateParseError, type Token } from "./lexer.ts";
import {
  type Expression,
  expressionText,
  type Pipeline,
  type Template,
  type TemplateCommand,
  type TemplateNode,
} from "./tree.ts";

const keywords = new Set([
  "if",
  "else",
  "end",
  "range",
  "with",
  "define",
  "block",
  "template",
  "break",
  "continue",
]);

interface List {
  readonly nodes: TemplateNode[];
  /** The keyword that ended the list and what stood behind it. */
  readonly ending: { readonly word: "end" | "else" | "eof"; readonly rest: readonly Token[] };
}

class Parser {
  readonly definitions = new Map<string, readonly TemplateNode[]>();
  readonly #source: string;
  readonly #name: string;
  readonly #functions: ReadonlySet<string>;
  readonly #segments: readonly Segment[];
  #at = 0;
  #tokens: readonly Token[] = [];
  #token = 0;
  #end = 0;
  #variables: string[] = ["$"];
  #rangeDepth = 0;

  constructor(source: string, name: string, functions: ReadonlySet<string>) {
    this.#source = source;
    this.#name = name;
    this.#functions = functions;
    this.#segments = lex(source, name);
  }

  parse(): TemplateNode[] {
    const { nodes, ending } = this.#list();
    if (ending.word !== "eof") throw this.#fail(`unexpected {{${ending.word}}}`);
    return nodes;
  }

  #fail(message: string): TemplateParseError {
    const line = lineOf(this.#source, this.#end);
    return new TemplateParseError(`template: ${this.#name}:${line}: ${message}`);
  }

  #list(): List {
    const nodes: TemplateNode[] = [];
    while (this.#at < this.#segments.length) {
      const segment = this.#segments[this.#at++];
      if (segment === undefined) break;
      if (segment.kind === "text") {
        nodes.push({ kind: "text", text: segment.text });
        continue;
      }
      this.#tokens = segment.tokens;
      this.#token = 0;
      this.#end = segment.end;
      const [first] = segment.tokens;
      if (first?.kind === "identifier" && keywords.has(first.text)) {
        this.#token = 1;
        if (first.text === "end" || first.text === "else") {
          return { nodes, ending: { word: first.text, rest: segment.tokens.slice(1) } };
        }
        const node = this.#keyword(first.text);
        if (node) nodes.push(node);
      } else nodes.push({ kind: "action", pipeline: this.#wholePipeline("command") });
    }
    return { nodes, ending: { word: "eof", rest: [] } };
  }

  #keyword(word: string): TemplateNode | undefined {
    switch (word) {
      case "if":
      case "with":
      case "range":
        return this.#control(word);
      case "break":
      case "continue":
        if (this.#rangeDepth === 0) throw this.#fail(`{{${word}}} outside {{range}}`);
        return { kind: word };
      case "template": {
        const { name, position } = this.#templateName("template clause");
        const hasPipeline = this.#token < this.#tokens.length;
        const pipeline = hasPipeline ? this.#wholePipeline("template clause") : undefined;
        return { kind: "template", name, pipeline, position };
      }
      case "define": {
        const { name } = this.#templateName("define clause");
        this.definitions.set(name, this.#inner());
        return undefined;
      }
      default: {
        const { name, position } = this.#templateName("block clause");
        const pipeline = this.#wholePipeline("block clause");
        this.definitions.set(name, this.#inner());
        return { kind: "template", name, pipeline, position };
      }
    }
  }

  /** The body of define and block: only `$` is known in it. */
  #inner(): TemplateNode[] {
    const variables = this.#variables;
    this.#variables = ["$"];
    const { nodes, ending } = this.#list();
    if (ending.word === "eof") throw this.#fail("unexpected EOF");
    if (ending.word === "else") throw this.#fail("unexpected {{else}} in define clause");
    this.#variables = variables;
    return nodes;
  }

  #templateName(where: string): { readonly name: string; readonly position: number } {
    const token = this.#tokens[this.#token++];
    if (token?.kind !== "string") {
      throw this.#fail(`unexpected ${describe(token)} in ${where}`);
    }
    return { name: unquote(token.text), position: token.position };
  }

  #control(kind: "if" | "with" | "range"): TemplateNode {
    const variableCount = this.#variables.length;
    const pipeline = this.#wholePipeline(kind);
    if (kind === "range") this.#rangeDepth++;
    const { nodes: body, ending } = this.#list();
    if (kind === "range") this.#rangeDepth--;
    if (ending.word === "eof") throw this.#fail("unexpected EOF");
    const otherwise = ending.word === "else" ? this.#otherwise(kind, ending.rest) : [];
    this.#variables.length = variableCount;
    return { kind, pipeline, body, otherwise };
  }

  #otherwise(kind: string, rest: readonly Token[]): readonly TemplateNode[] {
    const [next] = rest;
    if (next !== undefined) {
      // `else if` and `else with` are a control of their own, which takes the `end` with it.
      if (next.text !== kind || kind === "range") {
        throw this.#fail(`unexpected ${describe(next)} in else`);
      }
      this.#token = 2;
      return [this.#control(kind === "if" ? "if" : "with")];
    }
    const { nodes, ending } = this.#list();
    if (ending.word === "eof") throw this.#fail("unexpected EOF");
    if (ending.word === "else") throw this.#fail("expected end; found {{else}}");
    return nodes;
  }

  /** The pipeline that takes the rest of the action. */
  #wholePipeline(where: string): Pipeline {
    const pipeline = this.#pipeline(where);
    const left = this.#tokens[this.#token];
    if (left?.text === ")") throw this.#fail("unexpected right paren");
    if (left) throw this.#fail(`unexpected ${describe(left)} in ${where}`);
    return pipeline;
  }

  #peek(offset = 0): Token | undefined {
    return this.#tokens[this.#token + offset];
  }

  #pipeline(where: string): Pipeline {
    const position = this.#peek()?.position ?? this.#end;
    const { variables, assigns } = this.#declarations(where);
    const commands: TemplateCommand[] = [];
    for (;;) {
      const token = this.#peek();
      if (token === undefined || token.text === ")") break;
      if (token.text === "|") {
        if (commands.length === 0) throw this.#fail(`unexpected ${describe(token)} in ${where}`);
        this.#token++;
        continue;
      }
      commands.push(this.#command());
    }
    if (commands.length === 0) throw this.#fail(`missing value for ${where}`);
    for (const command of commands.slice(1)) {
      const [first] = command.operands;
      if (first && (first.kind === "literal" || first.kind === "dot" || first.kind === "nil")) {
        throw this.#fail("non executable command in pipeline stage 2");
      }
    }
    return { variables, assigns, commands, position };
  }

  #declarations(where: string): { readonly variables: string[]; readonly assigns: boolean } {
    const first = this.#peek();
    const none = { variables: [], assigns: false };
    if (first?.kind !== "variable") return none;
    const sign = this.#peek(1);
    if (sign?.text === ":=" || sign?.text === "=") {
      this.#token += 2;
      const assigns = sign.text === "=";
      if (!assigns) this.#variables.push(first.text);
      else if (!this.#variables.includes(first.text)) {
        throw this.#fail(`undefined variable "${first.text}"`);
      }
      return { variables: [first.text], assigns };
    }
    const second = this.#peek(2);
    if (sign?.text !== "," || second?.kind !== "variable" || this.#peek(3)?.text !== ":=") {
      return none;
    }
    if (where !== "range") throw this.#fail(`too many declarations in ${where}`);
    this.#token += 4;
    this.#variables.push(first.text, second.text);
    return { variables: [first.text, second.text], assigns: false };
  }

  #command(): TemplateCommand {
    const position = this.#peek()?.position ?? this.#end;
    const operands: Expression[] = [];
    for (;;) {
      const token = this.#peek();
      if (token === undefined || token.text === "|" || token.text === ")") break;
      if (operands.length > 0 && !token.hasSpaceBefore) {
        throw this.#fail(`unexpected ${describe(token)} in operand`);
      }
      operands.push(this.#operand());
    }
    return { operands, position };
  }

  /** A term and the fields that hang on it without a space. */
  #operand(): Expression {
    const base = this.#term();
    const first = this.#peek();
    const fields: string[] = [];
    for (let next = first; next?.kind === "field" && !next.hasSpaceBefore; next = this.#peek()) {
      fields.push(next.text.slice(1));
      this.#token++;
    }
    if (first === undefined || fields.length === 0) return base;
    const { position } = first;
    if (base.kind === "field")
      return { kind: "field", fields: [...base.fields, ...fields], position };
    if (base.kind === "variable") return { ...base, fields, position };
    if (base.kind === "literal" || base.kind === "dot" || base.kind === "nil") {
      throw this.#fail(`unexpected . after term "${expressionText(base)}"`);
    }
    return { kind: "chain", base, fields, position };
  }

  #term(): Expression {
    const token = this.#tokens[this.#token++];
    if (token === undefined) throw this.#fail("unexpected {{end}}");
    const { position, text } = token;
    switch (token.kind) {
      case "dot":
        return { kind: "dot", position };
      case "field":
        return { kind: "field", fields: [text.slice(1)], position };
      case "variable":
        if (!this.#variables.includes(text)) throw this.#fail(`undefined variable "${text}"`);
        return { kind: "variable", name: text, fields: [], position };
      case "string":
        return { kind: "literal", value: unquote(text), text, position };
      case "character": {
        const value = BigInt(unquote(`"${text.slice(1, -1)}"`).codePointAt(0) ?? 0);
        return { kind: "literal", value, text, position };
      }
      case "number":
        return { kind: "literal", value: this.#number(text), text, position };
      case "identifier":
        return this.#identifier(token);
      case "symbol":
        if (text === "(") return this.#parenthesis(position);
        throw this.#fail(`unexpected ${describe(token)} in operand`);
      default:
        return token.kind satisfies never;
    }
  }

  #parenthesis(position: number): Expression {
    const pipeline = this.#pipeline("parenthesized pipeline");
    if (this.#peek()?.text !== ")") throw this.#fail("unclosed left paren");
    this.#token++;
    return { kind: "pipeline", pipeline, position };
  }

  #identifier({ text, position }: Token): Expression {
    if (text === "true" || text === "false") {
      return { kind: "literal", value: text === "true", text, position };
    }
    if (text === "nil") return { kind: "nil", position };
    if (keywords.has(text)) throw this.#fail(`unexpected <${text}> in operand`);
    if (!this.#functions.has(text)) throw this.#fail(`function "${text}" not defined`);
    return { kind: "function", name: text, position };
  }

  #number(text: string): bigint | number {
    const digits = text.replaceAll("_", "");
    if (/^[+-]?(?:0[xXbBoO][0-9a-fA-F]+|[0-9]+)$/.test(digits)) {
      const isNegative = digits.startsWith("-");
      const size = BigInt(digits.replace(/^[+-]/, ""));
      return isNegative ? -size : size;
    }
    const value = Number(digits);
    if (Number.isNaN(value)) throw this.#fail(`bad number syntax: ${JSON.stringify(text)}`);
    return value;
  }
}

function describe(token: Token | undefined): string {
  if (token === undefined) return '"}}"';
  if (keywords.has(token.text)) return `<${token.text}>`;
  return token.kind === "string" ? JSON.stringify(token.text) : `"${token.text}"`;
}

const escapes: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/** The text of a Go string literal. */
function unquote(literal: string): string {
  if (literal.startsWith("`")) return literal.slice(1, -1);
  return literal
    .slice(1, -1)
    .replace(
      /\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)/gs,
      (_, code: string) => {
        if (/^[xuU]./.test(code)) return String.fromCodePoint(Number.parseInt(code.slice(1), 16));
        if (/^[0-7]{3}$/.test(code)) return String.fromCodePoint(Number.parseInt(code, 8));
        return escapes[code] ?? code;
      },
    );
}

/** Parses a template. Throws `TemplateParseError` in Go's words. */
export function parseTemplate(
  source: string,
  name: string,
  functions: ReadonlySet<string>,
): Template {
  const parser = new Parser(source, name, functions);
  const nodes = parser.parse();
  return { name, source, nodes, definitions: parser.definitions };
}
