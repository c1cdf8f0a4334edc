// Secrets of several lines: `name=value`, some of it given in the open, the rest read.
import { badWords } from "./own-client.ts";

/** What may not stand in a command line: everybody on the machine can read those. */
const hiddenName = /pass|pwd|secret|token|^key$|private/i;
const namePattern = /^[A-Za-z][A-Za-z0-9_.-]*$/;

/** The field that what is read becomes, where no other is named. */
const USUAL_FIELD = "password";

export interface Fields {
  /** Lines `name=value`, as they were given. */
  readonly given: readonly string[];
  /** The names whose values are read; empty: the secret is one value without a name. */
  readonly read: readonly string[];
}

/** What is wrong with a field, or undefined. Says nothing of the value. */
function mistakeOf(text: string): string | undefined {
  const [name = ""] = text.split("=", 1);
  if (!namePattern.test(name)) return "a field is NAME=VALUE or NAME";
  if (text === name) return undefined;
  if (/[\r\n]/.test(text)) return "a field is one line";
  if (!hiddenName.test(name)) return undefined;
  return `write --field ${name} alone: its value is read, as arguments can be seen by everybody`;
}

/** Reads the words of `--field`. Throws `CliFailure`, which repeats no value: logs keep those. */
export function fieldsOf(words: readonly string[]): Fields {
  for (const word of words) {
    const mistake = mistakeOf(word);
    if (mistake !== undefined) throw badWords(mistake);
  }
  const given = words.filter((word) => word.includes("="));
  const read = words.filter((word) => !word.includes("="));
  return { given, read: given.length > 0 && read.length === 0 ? [USUAL_FIELD] : read };
}
