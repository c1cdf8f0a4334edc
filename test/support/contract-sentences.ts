// The sentences of a contract's comments, so that a test can hold checks against them.

/** Every sentence of the comments of a TypeScript text, white space normalised, in their order. */
export function commentSentences(source: string): readonly string[] {
  const paragraphs: string[] = [];
  let paragraph: string[] = [];
  const end = (): void => {
    if (paragraph.length > 0) paragraphs.push(paragraph.join(" "));
    paragraph = [];
  };
  for (const line of source.split("\n")) {
    const words = commentText(line);
    if (words === undefined || words === "") end();
    if (words !== undefined && words !== "") paragraph.push(words);
    if (line.trimEnd().endsWith("*/")) end();
  }
  end();
  // A sentence ends at a full stop before a capital letter, a quoted word or a name in backquotes.
  return paragraphs.flatMap((text) => text.split(/(?<=[.!?])\s+(?=["`]?\p{L})/u));
}

/** What a line says as (part of) a comment: "" for an empty one, undefined for code. */
function commentText(line: string): string | undefined {
  const match = /^\s*(?:\/\/|\/\*\*|\*\/|\*)(.*)$/.exec(line);
  if (match === null) return undefined;
  return (match[1] ?? "").replace(/\*\/\s*$/, "").trim();
}
