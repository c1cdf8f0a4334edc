// What a document shows against what a command printed: line by line, without what always varies.
// A shown line `…` stands for as many lines as the document leaves out.
import { idPattern } from "./shown-ids.ts";

/** Texts that differ from run to run, and what stands for them in a comparison. */
const varying: readonly (readonly [RegExp, string])[] = [
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/g, "<time>"],
  [/\d{8}T\d{9}Z/g, "<time>"],
  [/(?:Less than a|About an?|\d+) (?:second|minute|hour)s? ago/g, "<age>"],
  [/\b(UNREACHABLE|DISABLED|GONE|RESTARTING) \d+[smhd]/g, "$1 <age>"],
  // How long something took.
  [/(?<=\[|\bin )\d+(?:\.\d+)? ?m?s\b/g, "<duration>"],
  // Where the tests keep their volumes.
  [/(?<=in one step )\((?:ext4|xfs|btrfs|tmpfs|overlay)\)/g, "(<file system>)"],
  [/"time":\d+,"timeNano":\d+/g, '"time":<time>,"timeNano":<time>'],
  [/"uid":\d+,"gid":\d+,"pid":\d+/g, '"uid":<uid>,"gid":<gid>,"pid":<pid>'],
  [/\(pid \d+\)/g, "(pid <pid>)"],
  // Locks: who has one, its fence, since when and until when.
  [/\bprocess \d+\b/g, "process <pid>"],
  [/ \(\d+\)/g, " (<pid>)"],
  [/\b1\d{15}\b/g, "<fence>"],
  [/\b\d+[smhd] +in \d+[smhd]\b/g, "<age> in <duration>"],
  [/"operation":"[0-9a-f]{8}-[0-9a-z]+"/g, '"operation":"<id>"'],
  [/\d{4}-\d\d-\d\d \d\d:\d\d UTC/g, "<minute> UTC"],
  // Who runs the tests.
  [/\b(holdfast|curl) \([a-z_][a-z0-9_-]*\)/g, "$1 (<user>)"],
  // Which one is meant is kept by ShownIds; here counts of which kind it is.
  [idPattern, "$1$2$3<id>"],
  [/\b(?:[0-9a-f]{64}|[0-9a-f]{32}|[0-9a-f]{12})\b/g, "<id>"],
];

/** The differences in sentences; none when the document is true. */
export function differences(shown: readonly string[], printed: string): readonly string[] {
  const text = printed.replace(/\n+$/, "");
  const actual = text === "" ? [] : text.split("\n");
  const expected = filledIn(withoutEmptyEnd(shown), actual);
  // Where something varies in width, the columns of the whole table move.
  const isWidthFree = [...expected, ...actual].some((line) => normalise(line) !== line);
  const comparable = (line: string | undefined): string | undefined =>
    line === undefined ? undefined : strip(normalise(line), isWidthFree);
  const found: string[] = [];
  for (let index = 0; index < Math.max(expected.length, actual.length); index++) {
    if (comparable(expected[index]) === comparable(actual[index])) continue;
    found.push(`shown: ${quote(expected[index])}\n   is: ${quote(actual[index])}`);
  }
  return found;
}

/** What is left out, taken from what was printed. */
function filledIn(shown: readonly string[], printed: readonly string[]): readonly string[] {
  const index = shown.indexOf("…");
  if (index < 0) return shown;
  const after = shown.slice(index + 1);
  const between = printed.slice(index, Math.max(index, printed.length - after.length));
  return [...shown.slice(0, index), ...between, ...after];
}

function normalise(line: string): string {
  return varying.reduce((text, [pattern, mark]) => text.replace(pattern, mark), line);
}

/** A table's last column may be padded. */
function strip(line: string, isWidthFree: boolean): string {
  const trimmed = line.trimEnd();
  return isWidthFree ? trimmed.trimStart().replace(/ {2,}/g, "  ") : trimmed;
}

function withoutEmptyEnd(lines: readonly string[]): readonly string[] {
  const end = lines.findLastIndex((line) => line.trim() !== "");
  return lines.slice(0, end + 1);
}

function quote(line: string | undefined): string {
  return line === undefined ? "(no line)" : JSON.stringify(line);
}
