// What is left on a terminal's screen when a program has drawn its progress there.
//
// Known is what the programs of documents use: up and down by lines, back to the start, clear.

/** Lines, as high as the text is; sequences that move nothing (colours) stay in. */
export function screenLines(text: string): readonly string[] {
  const lines: string[] = [""];
  let row = 0;
  let column = 0;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the terminal's own.
  const pattern = /\u001b\[(\d*)([ABK])|\r|\n|(?:\u001b\[[\d;?]*[a-zA-JL-Z])?[^\r\n\u001b]*/g;
  for (const [all, count, verb] of text.matchAll(pattern)) {
    if (verb === "A") row = Math.max(0, row - Number(count || 1));
    else if (verb === "B") row += Number(count || 1);
    else if (verb === "K") lines[row] = count === "2" ? "" : (lines[row] ?? "").slice(0, column);
    else if (all === "\r") column = 0;
    else if (all === "\n") row += 1;
    else {
      const line = (lines[row] ?? "").padEnd(column);
      lines[row] = line.slice(0, column) + all + line.slice(column + all.length);
      column += all.length;
    }
    while (lines.length <= row) lines.push("");
  }
  return lines;
}
