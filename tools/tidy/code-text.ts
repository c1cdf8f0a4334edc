// Splits a text into code, strings and comments, so that a rule looks only where it means to.

/** All views have the length and the lines of the source: what a view leaves out is blank in it. */
export interface CodeText {
  /** Code and strings; comments are blank. */
  readonly code: string;
  /** Code alone: the quotes of strings stay, what is between them is blank. */
  readonly bare: string;
  /** Comments alone. */
  readonly comments: string;
}

/** What can begin at a place of code; each pattern is matched at that very place. */
const comment = /\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y;
const quoted = /"(?:\\[\s\S]|[^"\\\n])*"?|'(?:\\[\s\S]|[^'\\\n])*'?/y;
const expression = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\//y;
const templateText = /(?:\\[\s\S]|\$(?!\{)|[^`\\$])*/y;

/** After one of these a slash begins a regular expression, not a division. */
const beforeExpression = /(?:^|[([{},;:=!&|?+*%<>~^-]|\b(?:return|typeof|case|in|of|await))\s*$/;

/** How far back that is looked for. */
const lookBehindCharacters = 40;

/** Reads a text once, from start to end. A text that is no TypeScript gives views that are odd. */
export function splitCode(text: string): CodeText {
  const marks = { strings: new Uint8Array(text.length), comments: new Uint8Array(text.length) };
  // For each template that is open around this place: how many braces are open inside its `${`.
  const openBraces: number[] = [];
  let at = 0;
  while (at < text.length) {
    const inner = openBraces.at(-1);
    const character = text[at];
    const length = { comment: lengthAt(comment, text, at), quoted: lengthAt(quoted, text, at) };
    if (length.comment > 0) {
      marks.comments.fill(1, at, at + length.comment);
      at += length.comment;
    } else if (length.quoted > 0) {
      marks.strings.fill(1, at + 1, at + length.quoted - 1);
      at += length.quoted;
    } else if (character === "/" && beginsExpression(text, at)) {
      const whole = Math.max(1, lengthAt(expression, text, at));
      marks.strings.fill(1, at + 1, at + whole - 1);
      at += whole;
    } else if (character === "`" || (character === "}" && inner === 0)) {
      if (character === "}") openBraces.pop();
      at = endOfTemplateText(at + 1);
    } else {
      if (inner !== undefined && character === "{") openBraces.push((openBraces.pop() ?? 0) + 1);
      if (inner !== undefined && character === "}") openBraces.push((openBraces.pop() ?? 1) - 1);
      at += 1;
    }
  }
  const view = (keep: (offset: number) => boolean) =>
    text.replace(/[^\n]/g, (character, offset: number) => (keep(offset) ? character : " "));
  return {
    code: view((offset) => marks.comments[offset] === 0),
    bare: view((offset) => marks.comments[offset] === 0 && marks.strings[offset] === 0),
    comments: view((offset) => marks.comments[offset] === 1),
  };

  function endOfTemplateText(from: number): number {
    const end = from + lengthAt(templateText, text, from);
    marks.strings.fill(1, from, end);
    if (text[end] !== "$") return end + 1;
    openBraces.push(0);
    return end + 2;
  }
}

/** The number of the line, from 1, that the offset lies in. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

function lengthAt(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0].length ?? 0;
}

function beginsExpression(text: string, at: number): boolean {
  return beforeExpression.test(text.slice(Math.max(0, at - lookBehindCharacters), at));
}
