// What others say (servers, programs, files' names), as it may be shown: it draws on no terminal,
// and is not endless.

/** Most characters of what a server or a program says of one failure. */
const SAID_CHARACTERS_MAX = 2_000;

/** Control characters of both sets, and what turns the direction of the text behind it. */
const drawing = /[^\P{Cc}\n\t]|[\u202a-\u202e\u2066-\u2069]/gu;

/** With `\x1b` in the place of the character. Line ends and tabs stay. */
export function printable(text: string): string {
  return text.replaceAll(drawing, (each) => {
    const code = each.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
  });
}

/** As `printable`, in one line: for columns, and for what is shown among other words. */
export function printableLine(text: string): string {
  return printable(text).replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}

/** As `printable`, and cut where it goes on and on. */
export function saidBy(others: string): string {
  const isWhole = others.length <= SAID_CHARACTERS_MAX;
  return printable(isWhole ? others : `${others.slice(0, SAID_CHARACTERS_MAX)}…`);
}
