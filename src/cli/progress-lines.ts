// Docker's progress of pulls and pushes: bars on a terminal, and one line for each step elsewhere.
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";
import { humanSize } from "./human.ts";

/** One line of the stream, as the API sends it. */
interface ProgressLine {
  readonly status?: string;
  readonly id?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string };
  readonly aux?: unknown;
}

/** How wide a bar is, in characters. */
const BAR_WIDTH = 50;

/**
 * Prints each line that it is given; with --json as it is. Throws a `CliFailure` with the daemon's
 * words for a line that tells of a failure.
 */
export async function progressPrinter({
  options,
  terminal,
}: Invocation): Promise<(line: string) => Promise<void>> {
  const isTerminal = await terminal.isOutTerminal();
  const isJson = options.flag("json");
  const lineOf = new Map<string, number>();
  return async (text) => {
    const line = parseLine(text);
    const failure = line.errorDetail?.message ?? line.error;
    if (failure !== undefined) throw new CliFailure(failure);
    if (isJson) await terminal.out(`${text.trim()}\n`);
    else if (line.aux !== undefined) return;
    else if (isTerminal) await terminal.out(inPlace(line, lineOf));
    else await terminal.out(plainly(line));
  };
}

function parseLine(text: string): ProgressLine {
  try {
    // The daemon is trusted to keep the shape of its API.
    return JSON.parse(text) as ProgressLine;
  } catch {
    throw new CliFailure(`the daemon's progress is no JSON: ${text.slice(0, 200)}`);
  }
}

/** Figures are for terminals: Docker leaves out what has some. */
function plainly(line: ProgressLine): string {
  if (barOf(line) !== "") return "";
  return `${headOf(line)}${line.status ?? ""}\n`;
}

/** A line for each layer, overwritten as it goes on. */
function inPlace(line: ProgressLine, lineOf: Map<string, number>): string {
  const text = `${headOf(line)}${line.status ?? ""}`;
  if (line.id === undefined || line.progressDetail === undefined) {
    lineOf.clear();
    return `${text}\n`;
  }
  const known = lineOf.get(line.id);
  const at = known ?? lineOf.size;
  lineOf.set(line.id, at);
  const up = lineOf.size - at;
  const begin = known === undefined ? "\n" : "";
  const bar = barOf(line);
  return `${begin}\x1b[${up}A\x1b[2K\r${text}${bar === "" ? "" : ` ${bar}`}\r\x1b[${up}B`;
}

function headOf({ id }: ProgressLine): string {
  return id === undefined ? "" : `${id}: `;
}

/** `[=====>     ]  1.2MB/5.6MB`; "" where there are no figures. */
function barOf({ progressDetail }: ProgressLine): string {
  const { current = 0, total = 0 } = progressDetail ?? {};
  if (current <= 0 && total <= 0) return "";
  const size = humanSize(current).padStart(8);
  if (total <= 0 || current > total) return size;
  const full = Math.min(BAR_WIDTH, Math.floor((current / total) * BAR_WIDTH));
  const arrow = `${"=".repeat(full)}>`;
  const blank = " ".repeat(Math.max(0, BAR_WIDTH - full));
  return `[${arrow}${blank}] ${size}/${humanSize(total)}`;
}
