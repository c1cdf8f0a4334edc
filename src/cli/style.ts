// Colours for people: only on a terminal, and not where NO_COLOR or a dumb one asks for none.
import type { Terminal } from "./terminal.ts";

export interface Colours {
  bold(text: string): string;
  red(text: string): string;
  dim(text: string): string;
}

function between(start: number, end: number): (text: string) => string {
  return (text) => `\x1b[${start}m${text}\x1b[${end}m`;
}

const plain = (text: string): string => text;

/** The caller has found out that it writes to a terminal. */
export function colours(terminal: Terminal): Colours {
  const { env } = terminal;
  const isPlain = (env["NO_COLOR"] ?? "") !== "" || env["TERM"] === "dumb";
  if (isPlain) return { bold: plain, red: plain, dim: plain };
  return { bold: between(1, 22), red: between(31, 39), dim: between(2, 22) };
}
