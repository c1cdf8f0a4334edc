// `--format` of lists and tables, as Docker's CLI understands it: table, json, or a template.
import { CliFailure } from "./failure.ts";
import { alignColumns } from "./table.ts";
import { executeTemplate, TemplateExecutionError } from "./template/evaluate.ts";
import { headerFunctions, templateFunctions } from "./template/functions.ts";
import { TemplateParseError } from "./template/lexer.ts";
import { parseTemplate } from "./template/parser.ts";
import type { Template } from "./template/tree.ts";
import { GoMap, type GoMethod, type GoValue } from "./template/values.ts";
import type { Terminal } from "./terminal.ts";

const functionNames: ReadonlySet<string> = new Set(templateFunctions.keys());

/** What a failure in a template looks like differs between Docker's commands. */
export interface TemplateWords {
  readonly parsePrefix: string;
  readonly parseExit: number;
  readonly executePrefix: string;
  /** The template's name in messages. */
  readonly name: string;
}

export const listWords: TemplateWords = {
  parsePrefix: "template parsing error: ",
  parseExit: 1,
  executePrefix: "template parsing error: ",
  name: "",
};

/** Parses `source`, or fails as the command's Docker twin fails. */
export function parseFormat(source: string, words: TemplateWords): Template {
  try {
    return parseTemplate(source, words.name, functionNames);
  } catch (error) {
    if (!(error instanceof TemplateParseError)) throw error;
    throw new CliFailure(`${words.parsePrefix}${error.message}`, words.parseExit);
  }
}

export function execute(template: Template, value: GoValue, words: TemplateWords): string {
  try {
    return executeTemplate(template, value, templateFunctions);
  } catch (error) {
    if (!(error instanceof TemplateExecutionError)) throw error;
    throw new CliFailure(`${words.executePrefix}${error.message}`);
  }
}

/** Prints one value; where it does not fit the template an empty line, as Docker does. */
export async function printLine(
  template: Template,
  value: GoValue,
  { words, terminal }: { readonly words: TemplateWords; readonly terminal: Terminal },
): Promise<void> {
  let text = "";
  try {
    text = execute(template, value, words);
  } finally {
    await terminal.out(`${text}\n`);
  }
}

/** `\t` and `\n` typed as two characters are meant as one. */
function withControlCharacters(format: string): string {
  return format
    .replace(/^ +| +$/g, "")
    .replaceAll("\\t", "\t")
    .replaceAll("\\n", "\n");
}

/** The header of a label: the last part of its key, with spaces. */
const labelHeader: GoMethod = {
  parameterCount: 1,
  call: ([key = ""]) => (key.split(".").at(-1) ?? "").replaceAll(/[-_]/g, " "),
};

export interface TableFormat {
  /** After the short words `table`, `json` and `raw` were replaced. */
  readonly format: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Renders rows: a table with headers for a format that begins with `table`, else line by line. */
export function renderRows(rows: readonly GoValue[], { format, headers }: TableFormat): string {
  const isTable = format.startsWith("table");
  const source =
    format === "json" ? "{{json .}}" : withControlCharacters(isTable ? format.slice(5) : format);
  const template = parseFormat(source, listWords);
  const lines = rows.map((row) => `${execute(template, row, listWords)}\n`).join("");
  if (!isTable) return lines;
  const header = executeTemplate(template, headerValue(headers), headerFunctions);
  return alignColumns(`${header}\n${lines}`);
}

/** A header that is not known prints as `<no value>`: a map, not a struct. */
function headerValue(headers: Readonly<Record<string, string>>): GoValue {
  const methods = new Map([["Label", labelHeader]]);
  return new GoMap("formatter.SubHeaderContext", new Map(Object.entries(headers)), { methods });
}
