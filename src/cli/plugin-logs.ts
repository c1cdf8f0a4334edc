// `holdfast plugin logs`: the last that a managed plugin wrote, each stream to its own.
import type { Invocation } from "./command.ts";
import { ask, badWords, ownPath } from "./own-client.ts";

/** How many lines are asked for at most. */
const LINE_COUNT_MAX = 10_000;

interface OwnLine {
  readonly at: string;
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

export async function showPluginLog(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const [name = ""] = positional;
  const count = parseCount(options.text("tail") ?? "");
  const path = ownPath(["plugins", name, "logs"], { count: String(count) });
  const { lines } = await ask<{ readonly lines: readonly OwnLine[] }>(client, {
    method: "GET",
    path,
  });
  if (options.flag("json")) {
    await terminal.out(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    return 0;
  }
  const isTerminal = await terminal.isOutTerminal();
  for (const { at, stream, text } of lines) {
    // What a plugin writes must not be obeyed by a terminal.
    const shown = isTerminal ? text.replaceAll(/[^\P{Cc}\t]/gu, "�") : text;
    const print = stream === "stdout" ? terminal.out : terminal.err;
    await print(`${at} ${shown}\n`);
  }
  return 0;
}

function parseCount(text: string): number {
  if (text === "all") return LINE_COUNT_MAX;
  const count = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= LINE_COUNT_MAX) return count;
  throw badWords(`--tail ${text}: a number from 1 to ${LINE_COUNT_MAX}, or all, is needed`);
}
