// The tree of a parsed Go template, and how its parts are written in messages.

export type Expression =
  | { readonly kind: "dot" | "nil"; readonly position: number }
  | {
      readonly kind: "literal";
      readonly value: string | boolean | bigint | number;
      readonly text: string;
      readonly position: number;
    }
  | { readonly kind: "field"; readonly fields: readonly string[]; readonly position: number }
  | {
      readonly kind: "variable";
      readonly name: string;
      readonly fields: readonly string[];
      readonly position: number;
    }
  | {
      readonly kind: "chain";
      readonly base: Expression;
      readonly fields: readonly string[];
      readonly position: number;
    }
  | { readonly kind: "function"; readonly name: string; readonly position: number }
  | { readonly kind: "pipeline"; readonly pipeline: Pipeline; readonly position: number };

export interface TemplateCommand {
  readonly operands: readonly Expression[];
  readonly position: number;
}

export interface Pipeline {
  readonly variables: readonly string[];
  readonly assigns: boolean;
  readonly commands: readonly TemplateCommand[];
  readonly position: number;
}

export type TemplateNode =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "action"; readonly pipeline: Pipeline }
  | {
      readonly kind: "if" | "with" | "range";
      readonly pipeline: Pipeline;
      readonly body: readonly TemplateNode[];
      readonly otherwise: readonly TemplateNode[];
    }
  | {
      readonly kind: "template";
      readonly name: string;
      readonly pipeline: Pipeline | undefined;
      readonly position: number;
    }
  | { readonly kind: "break" | "continue" };

export interface Template {
  readonly name: string;
  readonly source: string;
  readonly nodes: readonly TemplateNode[];
  readonly definitions: ReadonlyMap<string, readonly TemplateNode[]>;
}

/** How an expression is written in messages. */
export function expressionText(expression: Expression): string {
  switch (expression.kind) {
    case "dot":
      return ".";
    case "nil":
      return "nil";
    case "literal":
      return expression.text;
    case "field":
      return expression.fields.map((field) => `.${field}`).join("");
    case "variable":
      return [expression.name, ...expression.fields].join(".");
    case "chain": {
      const base = expressionText(expression.base);
      return base + expression.fields.map((field) => `.${field}`).join("");
    }
    case "function":
      return expression.name;
    case "pipeline":
      return `(${pipelineText(expression.pipeline)})`;
    default:
      return expression satisfies never;
  }
}

export function commandText(command: TemplateCommand): string {
  return command.operands.map(expressionText).join(" ");
}

export function pipelineText(pipeline: Pipeline): string {
  const sign = pipeline.assigns ? " = " : " := ";
  const variables = pipeline.variables.length > 0 ? pipeline.variables.join(", ") + sign : "";
  return variables + pipeline.commands.map(commandText).join(" | ");
}
