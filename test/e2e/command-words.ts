// Splits the command lines of tours into words: quotes and nothing else of what a shell can do.

/** What a shell would act on. A document that needs one of these is no tour. */
const shellOnly = /[|&;<>(){}*?[\]~`$\\!#]/;

/**
 * `echo $?` shows the exit code of the command before, `&` at the end has a program run beside the
 * tour, and `%1` is the first of these.
 */
const exitCodeWord = "$?";
export const backgroundWord = "&";

/**
 * The words of a line. Single and double quotes keep what they hold as it is. Throws, naming the
 * line, when a quote stays open or an unquoted character is one that only a shell understands.
 */
export function commandWords(line: string): readonly string[] {
  const words: string[] = [];
  const pattern = /\s*((?:[^\s'"]|'[^']*'|"[^"$`\\]*")+)/y;
  const [, text = "", background] = /^(.*?)( &)?$/s.exec(line.trim()) ?? [];
  while (pattern.lastIndex < text.length) {
    const at = pattern.lastIndex;
    const [, word] = pattern.exec(text) ?? [];
    if (word === undefined) throw new Error(`the quote at ${at} cannot be read in: ${line}`);
    words.push(unquote(word, line));
  }
  if (background !== undefined) words.push(backgroundWord);
  return words;
}

function unquote(word: string, line: string): string {
  if (word === exitCodeWord) return word;
  const bare = word.replace(/'[^']*'|"[^"]*"/g, "");
  const [forbidden] = shellOnly.exec(bare) ?? [];
  if (forbidden !== undefined) {
    throw new Error(`a tour has no shell, and ${forbidden} needs one: ${line}`);
  }
  return word.replace(/'([^']*)'|"([^"]*)"/g, (_, single, double) => single ?? double ?? "");
}
