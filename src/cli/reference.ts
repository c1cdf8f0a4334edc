// docs/reference/cli.md, made from the same table as the parser and the help.
import type { Command, OptionSpec } from "./command.ts";
import { commands, globalOptions } from "./commands.ts";

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

function optionTable(options: readonly OptionSpec[]): string {
  const rows = options
    .filter((option) => !option.hidden)
    .map((option) => {
      const short = option.short === undefined ? "" : `\`-${option.short}\`, `;
      const kind = option.kind === "flag" ? "" : option.kind;
      const standard = option.default === undefined ? "" : `\`${option.default}\``;
      return `| ${short}\`--${option.name}\` | ${kind} | ${standard} | ${cell(option.summary)} |`;
    });
  if (rows.length === 0) return "";
  return `\n| option | takes | default | |\n|---|---|---|---|\n${rows.join("\n")}\n`;
}

function commandSection(command: Command): string {
  const words = `holdfast ${command.words.join(" ")}`;
  const aliases = command.aliases ? `\nAlso: ${command.aliases.join(", ")}.\n` : "";
  const examples = command.examples.map(({ line, about }) => `# ${about}\n${line}`).join("\n\n");
  const block = examples === "" ? "" : `\n\`\`\`sh\n${examples}\n\`\`\`\n`;
  return (
    `## ${words}\n\n${command.summary}.\n\n    ${words} ${command.usage}\n` +
    (command.details === undefined ? "" : `\n\`\`\`text\n${command.details}\n\`\`\`\n`) +
    `${aliases}${optionTable(command.options)}${block}`
  ).replaceAll("..\n", ".\n");
}

/** The whole page. */
export function renderCliReference(): string {
  const shown = commands.filter((command) => !command.hidden);
  return (
    "# The command line\n\nMade from `src/cli/commands.ts`; do not edit by hand.\n\n" +
    "Options in front of every command:\n" +
    `${optionTable(globalOptions)}\n${shown.map(commandSection).join("\n")}`
  );
}
