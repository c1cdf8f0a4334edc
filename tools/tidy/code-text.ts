// Splits a source text into code, strings and comments, so that a rule looks only where it means to.
//
// All views have the length and the lines of the source: what a view leaves out is blank in it.

export interface CodeText {
  /** Code and strings; comments are blank. */
  readonly code: string;
  /** Code alone: the quotes of strings stay, what is in them is blank. */
  readonly bare: string;
  /** Comments alone. */
  readonly comments: string;
}

type Part = "code" | "string" | "comment";

/** After one of these a slash begins a regular expression, not a division. */
const beforeExpression = /(?:^|[([{,;:=!&|?+\-*%<>~^]|\b(?:return|typeof|case|in|of|yield|await))\s*$/;

/** How far back that is looked for. */
const lookBehindCharacters = 40;

/** Reads a whole file once, from start to end. Broken sources give views that are merely odd. */
export function splitCode(text: string): CodeText {
  const parts: Part[] = [];
  // For each template that is open: how many braces are open inside its `${`.
  const templates: number[] = [];
  let at = 0;
  const take = (end: number, part: Part) => {
    for (; at < end; at += 1) parts.push(part);
  };
  while (at < text.length) {
    const rest = text.slice(at, at + 2);
    if (rest === "//") take(endOf(text, at, /\n/g, 0), "comment");
    else if (rest === "/*") take(endOf(text, at + 2, /\*\//g, 2), "comment");
    else if (rest[0] === '"' || rest[0] === "'") takeQuoted(rest[0]);
    else if (rest[0] === "`") openTemplate();
    else if (rest[0] === "/" && isExpression(text, at)) takeExpression();
    else takeCode(rest[0]);
  }
  return views(text, parts);

  function takeQuoted(quote: string) {
    take(at + 1, "code");
    take(endOf(text, at, quote === '"' ? /(?<!\\)(?:\\\\)*(?="|\n)/g : /(?<!\\)(?:\\\\)*(?='|\n)/g, 0), "string");
    take(Math.min(at + 1, text.length), "code");
  }

  function takeExpression() {
    take(at + 1, "code");
    take(endOf(text, at, /(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])*/gy, "whole"), "string");
    take(Math.min(at + 1, text.length), "code");
  }

  function openTemplate() {
    take(at + 1, "code");
    takeTemplateText();
  }

  function takeTemplateText() {
    take(endOf(text, at, /(?:\\[\s\S]|\$(?!\{)|[^`\\$])*/gy, "whole"), "string");
    if (text[at] === "$") {
      templates.push(0);
      take(at + 2, "code");
    } else {
      take(Math.min(at + 1, text.length), "code");
    }
  }

  function takeCode(character: string | undefined) {
    const open = templates.at(-1);
    take(at + 1, "code");
    if (open === undefined) return;
    if (character === "{") templates[templates.length - 1] = open + 1;
    if (character !== "}") return;
    if (open > 0) {
      templates[templates.length - 1] = open - 1;
    } else {
      templates.pop();
      takeTemplateText();
    }
  }
}

/** The number of the line, from 1, that the offset lies in. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

/** Where the next match begins, plus `extra`; "whole": where the match at this very place ends. */
function endOf(text: string, from: number, pattern: RegExp, extra: number | "whole"): number {
  pattern.lastIndex = from;
  const match = pattern.exec(text);
  if (match === null) return extra === "whole" ? from : text.length;
  return extra === "whole" ? from + match[0].length : match.index + match[0].length + (extra === 0 && pattern.source === "\\n" ? -1 : 0);
}

function isExpression(text: string, at: number): boolean {
  return beforeExpression.test(text.slice(Math.max(0, at - lookBehindCharacters), at));
}

function views(text: string, parts: readonly Part[]): CodeText {
  const only = (...wanted: readonly Part[]) =>
    [...text.split("")]
      .map((character, index) => {
        const part = parts[index] ?? "code";
        return character === "\n" || wanted.includes(part) ? character : " ";
      })
      .join("");
  return { code: only("code", "string"), bare: only("code"), comments: only("comment") };
}
