// From words to a command of the table.
import type { Command } from "./command.ts";
import { commandGroups, commands } from "./commands.ts";

/** The command that `words` begin with. */
export function findCommand(words: readonly string[]): Command | undefined {
  return commands.find((command) => {
    const lastIndex = command.words.length - 1;
    return command.words.every(
      (word, index) =>
        word === words[index] ||
        (index === lastIndex && (command.aliases?.includes(words[index] ?? "") ?? false)),
    );
  });
}

/** The first word of a two-word command, or undefined. */
export function findGroup(word: string | undefined): string | undefined {
  return commandGroups.find((group) => group.word === word)?.word;
}
