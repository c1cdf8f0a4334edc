// Runs a parsed Go template over a value; errors are worded as Go words them.
import { CallError, type ParameterType, type TemplateFunction } from "./functions.ts";
import {
  commandText,
  type Expression,
  expressionText,
  type Pipeline,
  type Template,
  type TemplateCommand,
  type TemplateNode,
} from "./tree.ts";
import {
  GoMap,
  type GoMethod,
  GoNilPointer,
  GoSlice,
  GoStruct,
  type GoValue,
  isTrue,
  itemsOf,
  printValue,
  typeNameOf,
} from "./values.ts";

/** The template met a value that it does not fit; the message is Go's. */
export class TemplateExecutionError extends Error {}

/** A value that is not there: a key that a map does not have. */
const absent = Symbol("absent");
type Result = GoValue | typeof absent;

/** How deep templates may call each other. */
const depthMax = 100;
/** Characters of output, at most. */
const outputLengthMax = 256 * 1024 * 1024;

type ControlNode = Extract<TemplateNode, { readonly body: unknown }>;
type CallNode = Extract<TemplateNode, { readonly kind: "template" }>;

class LoopSignal extends Error {
  readonly kind: "break" | "continue";
  constructor(kind: "break" | "continue") {
    super(kind);
    this.kind = kind;
  }
}

function known(result: Result): GoValue {
  return result === absent ? null : result;
}

/** What stands behind the first operand of a command, and what came through the pipe. */
interface Given {
  readonly others: readonly Expression[];
  readonly dot: Result;
  readonly final: { readonly value: Result } | undefined;
}

interface Argument {
  readonly value: GoValue;
  readonly at: Expression;
}

interface Variable {
  readonly name: string;
  value: Result;
}

class Run {
  readonly #template: Template;
  readonly #functions: ReadonlyMap<string, TemplateFunction>;
  #output = "";
  #variables: Variable[] = [];
  #depth = 0;
  /** The template that is being executed: the whole one, or one that it defines. */
  #current = "";

  constructor(template: Template, functions: ReadonlyMap<string, TemplateFunction>) {
    this.#template = template;
    this.#current = template.name;
    this.#functions = functions;
  }

  execute(value: GoValue): string {
    this.#variables = [{ name: "$", value }];
    this.#walk(this.#template.nodes, value);
    return this.#output;
  }

  #fail(position: number, context: string, message: string): TemplateExecutionError {
    const { name, source } = this.#template;
    const before = source.slice(0, position);
    const line = before.split("\n").length;
    const column = new TextEncoder().encode(before.slice(before.lastIndexOf("\n") + 1)).length;
    const where = `template: ${name}:${line}:${column}: executing "${this.#current}"`;
    return new TemplateExecutionError(`${where} at <${context}>: ${message}`);
  }

  #failAt(expression: Expression, message: string): TemplateExecutionError {
    return this.#fail(expression.position, expressionText(expression), message);
  }

  #write(text: string): void {
    this.#output += text;
    if (this.#output.length > outputLengthMax) {
      throw new TemplateExecutionError(`template: ${this.#template.name}: the output is too long`);
    }
  }

  #walk(nodes: readonly TemplateNode[], dot: Result): void {
    const variableCount = this.#variables.length;
    for (const node of nodes) this.#node(node, dot);
    this.#variables.length = variableCount;
  }

  #node(node: TemplateNode, dot: Result): void {
    switch (node.kind) {
      case "text":
        this.#write(node.text);
        return;
      case "action": {
        const value = this.#pipeline(node.pipeline, dot);
        if (node.pipeline.variables.length > 0) return;
        this.#write(value === absent || value === null ? "<no value>" : printValue(value));
        return;
      }
      case "if":
      case "with": {
        const variableCount = this.#variables.length;
        const value = this.#pipeline(node.pipeline, dot);
        const isChosen = isTrue(known(value));
        const inner = node.kind === "with" ? value : dot;
        this.#walk(isChosen ? node.body : node.otherwise, isChosen ? inner : dot);
        this.#variables.length = variableCount;
        return;
      }
      case "range":
        this.#range(node, dot);
        return;
      case "template":
        this.#call(node, dot);
        return;
      case "break":
      case "continue":
        throw new LoopSignal(node.kind);
      default:
        node satisfies never;
    }
  }

  #call(node: CallNode, dot: Result): void {
    const { name, pipeline, position } = node;
    const nodes = this.#template.definitions.get(name);
    if (nodes === undefined) {
      const text = `{{template ${JSON.stringify(name)}}}`;
      throw this.#fail(position, text, `template "${name}" not defined`);
    }
    if (++this.#depth > depthMax) {
      throw this.#fail(position, name, "exceeded maximum template depth");
    }
    const value = pipeline ? this.#pipeline(pipeline, dot) : null;
    const variables = this.#variables;
    const current = this.#current;
    this.#variables = [{ name: "$", value }];
    this.#current = name;
    this.#walk(nodes, value);
    this.#current = current;
    this.#variables = variables;
    this.#depth--;
  }

  #range(node: ControlNode, dot: Result): void {
    const { pipeline } = node;
    const variableCount = this.#variables.length;
    const value = known(this.#rangeValue(pipeline, dot));
    const items = itemsOf(value);
    if (items === undefined) {
      const [first] = pipeline.commands;
      const context = first ? commandText(first) : "";
      const message = `range can't iterate over ${printValue(value)}`;
      throw this.#fail(first?.position ?? pipeline.position, context, message);
    }
    if (items.length === 0) this.#walk(node.otherwise, dot);
    for (const [key, item] of items) {
      const [first, second] = pipeline.variables;
      this.#variables.length = variableCount;
      if (second !== undefined) this.#variables.push({ name: first ?? "", value: key });
      const itemName = second ?? first;
      if (itemName !== undefined) this.#variables.push({ name: itemName, value: item });
      try {
        this.#walk(node.body, item);
      } catch (error) {
        if (!(error instanceof LoopSignal)) throw error;
        if (error.kind === "break") break;
      }
    }
    this.#variables.length = variableCount;
  }

  #rangeValue(pipeline: Pipeline, dot: Result): Result {
    return this.#pipeline({ ...pipeline, variables: [], assigns: false }, dot);
  }

  #pipeline(pipeline: Pipeline, dot: Result): Result {
    let value: Result = null;
    pipeline.commands.forEach((command, index) => {
      value = this.#command(command, dot, index === 0 ? undefined : { value });
    });
    for (const name of pipeline.variables) {
      if (pipeline.assigns) {
        const variable = this.#variables.findLast((candidate) => candidate.name === name);
        if (variable) variable.value = value;
      } else this.#variables.push({ name, value });
    }
    return value;
  }

  /** `final` is what came through the pipe. */
  #command(command: TemplateCommand, dot: Result, final: { value: Result } | undefined): Result {
    const [first, ...others] = command.operands;
    if (first === undefined) return null;
    switch (first.kind) {
      case "function":
        return this.#function(first, { command, others, dot, final });
      case "field":
        return this.#fields(dot, first, first.fields, { others, dot, final });
      case "variable":
        return this.#fields(this.#variable(first.name), first, first.fields, {
          others,
          dot,
          final,
        });
      case "chain":
        return this.#fields(this.#operand(first.base, dot), first, first.fields, {
          others,
          dot,
          final,
        });
      default: {
        if (others.length > 0 || final !== undefined) {
          const message = `can't give argument to non-function ${expressionText(first)}`;
          throw this.#failAt(first, message);
        }
        if (first.kind === "nil") throw this.#failAt(first, "nil is not a command");
        return this.#operand(first, dot);
      }
    }
  }

  #variable(name: string): Result {
    return this.#variables.findLast((candidate) => candidate.name === name)?.value ?? null;
  }

  #operand(expression: Expression, dot: Result): Result {
    switch (expression.kind) {
      case "dot":
        return dot;
      case "nil":
        return null;
      case "literal":
        return expression.value;
      case "pipeline":
        return this.#pipeline(expression.pipeline, dot);
      default:
        return this.#command(
          { operands: [expression], position: expression.position },
          dot,
          undefined,
        );
    }
  }

  #fields(
    receiver: Result,
    expression: Expression,
    fields: readonly string[],
    given: Given,
  ): Result {
    let value = receiver;
    fields.forEach((field, index) => {
      const isLast = index === fields.length - 1;
      const values = isLast ? this.#arguments(expression, given) : [];
      value = this.#field(value, field, expression, values);
    });
    if (fields.length === 0 && (given.others.length > 0 || given.final)) {
      throw this.#failAt(
        expression,
        `can't give argument to non-function ${expressionText(expression)}`,
      );
    }
    return value;
  }

  #arguments(expression: Expression, { others, dot, final }: Given): readonly Argument[] {
    const values = others.map((at) => ({ value: known(this.#operand(at, dot)), at }));
    return final ? [...values, { value: known(final.value), at: expression }] : values;
  }

  #field(receiver: Result, name: string, at: Expression, values: readonly Argument[]): Result {
    if (receiver === absent) return absent;
    if (receiver === null) {
      throw this.#failAt(at, `nil pointer evaluating interface {}.${name}`);
    }
    if (receiver instanceof GoNilPointer) {
      throw this.#failAt(at, `nil pointer evaluating ${receiver.typeName}.${name}`);
    }
    if (receiver instanceof GoStruct) {
      const method = receiver.extras.methods?.get(name);
      if (method) return this.#method(method, name, at, values);
      const field = receiver.fields.get(name);
      if (field !== undefined) {
        if (values.length === 0) return field;
        throw this.#failAt(at, `${name} has arguments but cannot be invoked as function`);
      }
    }
    if (receiver instanceof GoMap) {
      const method = receiver.methods?.get(name);
      if (method) return this.#method(method, name, at, values);
      if (values.length > 0) throw this.#failAt(at, `${name} is not a method but has arguments`);
      return receiver.entries.get(name) ?? absent;
    }
    const typeName = receiver instanceof GoSlice ? receiver.typeName : typeNameOf(receiver);
    const shown = typeName === "[]interface {}" ? "interface {}" : typeName;
    throw this.#failAt(at, `can't evaluate field ${name} in type ${shown}`);
  }

  #method(method: GoMethod, name: string, at: Expression, values: readonly Argument[]): GoValue {
    const wanted = method.parameterCount;
    if (values.length !== wanted) {
      const message = `wrong number of args for ${name}: want ${wanted} got ${values.length}`;
      throw this.#failAt(at, message);
    }
    for (const { value, at: operand } of values) this.#checkType("string", value, operand);
    return method.call(values.map(({ value }) => printValue(value)));
  }

  #function(
    expression: Expression & { readonly kind: "function" },
    given: Given & { readonly command: TemplateCommand },
  ): Result {
    const { name } = expression;
    const definition = this.#functions.get(name);
    if (definition === undefined)
      throw this.#failAt(expression, `"${name}" is not a defined function`);
    const count = given.others.length + (given.final ? 1 : 0);
    const { parameters, rest } = definition;
    if (rest === undefined ? count !== parameters.length : count < parameters.length) {
      const want = rest === undefined ? "want" : "want at least";
      const message = `wrong number of args for ${name}: ${want} ${parameters.length} got ${count}`;
      throw this.#failAt(expression, message);
    }
    const values: GoValue[] = [];
    for (const [index, other] of given.others.entries()) {
      const value = known(this.#operand(other, given.dot));
      this.#checkType(parameters[index] ?? rest ?? "any", value, other);
      // `and` and `or` look no further than they must.
      if (name === "and" && !isTrue(value)) return value;
      if (name === "or" && isTrue(value)) return value;
      values.push(value);
    }
    if (given.final) {
      const value = known(given.final.value);
      this.#checkType(parameters[values.length] ?? rest ?? "any", value, expression);
      values.push(value);
    }
    try {
      return definition.call(values);
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      const [operand] = given.others;
      const what = name === "call" && operand ? ` ${expressionText(operand)}` : "";
      const reason = error.message.replace(/^non-function/, `non-function${what}`);
      const message = `error calling ${name}: ${reason}`;
      throw this.#fail(expression.position, commandText(given.command), message);
    }
  }

  #checkType(type: ParameterType, value: GoValue, at: Expression): void {
    const isString = typeof value === "string";
    const isStrings = value instanceof GoSlice && value.typeName === "[]string";
    if (type === "any" || (type === "string" && isString)) return;
    if ((type === "int" && typeof value === "bigint") || (type === "[]string" && isStrings)) return;
    if (at.kind === "literal") {
      const wanted = type === "int" ? "integer" : type;
      throw this.#failAt(at, `expected ${wanted}; found ${expressionText(at)}`);
    }
    throw this.#failAt(at, `wrong type for value; expected ${type}; got ${typeNameOf(value)}`);
  }
}

/** Executes a template. Throws `TemplateExecutionError`. */
export function executeTemplate(
  template: Template,
  value: GoValue,
  functions: ReadonlyMap<string, TemplateFunction>,
): string {
  return new Run(template, functions).execute(value);
}
