// Runs our own helper commands on storage that may not answer: JSON in, lines of JSON out.
//
// The other side of the pipe is assist-frame.ts.
import { type ErrorCode, errorTable } from "../core/error-table.ts";
import { EngineError } from "../core/errors.ts";
import type { AssistRequest, Host, ProgramResult } from "../core/host.ts";
import { saidBy } from "../core/printable.ts";
import { ASSIST_COMMAND, ownExecutable } from "./own-executable.ts";
import { findProgram, type StartProgram } from "./programs.ts";
import { TargetPrograms } from "./target-programs.ts";

/** Longest line that a helper may print, in bytes: 4 MiB. What is longer is an error. */
const LINE_BYTES_MAX = 4 * 1024 * 1024;

/** What a helper reads, as JSON. */
export interface AssistInput {
  readonly directory: string;
  readonly input: unknown;
}

/** A line that a helper prints; one of the last two ends it. */
export type AssistLine =
  | { readonly told: unknown }
  | { readonly result: unknown }
  | {
      readonly error: {
        readonly code: ErrorCode;
        readonly message: string;
        readonly details: Readonly<Record<string, unknown>>;
      };
    };

export interface AssistParts {
  readonly start: StartProgram;
  /** How a helper command is started; tests bring their own. */
  readonly executable?: typeof ownExecutable | undefined;
}

/** The `assist` of core/host.ts. */
export function makeAssist({
  start,
  executable = ownExecutable,
}: AssistParts): Pick<Host, "assist"> {
  const programs = new TargetPrograms(start);
  return {
    async assist({ command, directory, input, body, told }, { signal }) {
      const key = `${command} ${directory}`;
      await programs.untilFree(key, signal);
      const lines = new AssistLines(told);
      const given: AssistInput = { directory, input };
      const words = withDaemon(executable(ASSIST_COMMAND, command));
      const ended = await programs.run(key, words, signal, {
        label: `helper ${command}`,
        streams: {
          input: inputOf(given, body),
          heard: (chunk) => lines.hear(chunk),
        },
      });
      return outcome(command, lines.last(), ended);
    },
  };
}

/** What is behind a line end is the body. */
function inputOf(
  given: AssistInput,
  body: AsyncIterable<Uint8Array> | undefined,
): Uint8Array | AsyncIterable<Uint8Array> {
  const line = new TextEncoder().encode(`${JSON.stringify(given)}\n`);
  return body === undefined ? line : withBody(line, body);
}

async function* withBody(line: Uint8Array, body: AsyncIterable<Uint8Array>) {
  yield line;
  yield* body;
}

/** Nobody hears what it says after the daemon's end: it ends too. */
function withDaemon(words: [string, ...string[]]): [string, ...string[]] {
  // Containers' images may come without it.
  if (findProgram("setpriv") === undefined) return words;
  return ["setpriv", "--pdeathsig", "KILL", "--", ...words];
}

function outcome(
  command: AssistRequest["command"],
  line: AssistLine | undefined,
  { exitCode, stderr }: ProgramResult,
): unknown {
  if (line !== undefined && "result" in line) return line.result;
  if (line !== undefined && "error" in line) {
    const { code, message, details } = line.error;
    // Names of files on the storage are in it.
    throw new EngineError(code, saidBy(message), { details });
  }
  const words = saidBy(stderr.trim().slice(-1000)) || `status ${exitCode}`;
  throw new EngineError("storage.failed", `error while running the helper ${command}: ${words}`, {
    details: { command, exitCode },
  });
}

/** Puts lines together, hands on those that tell, and keeps the one that ends it. */
class AssistLines {
  readonly #told: AssistRequest["told"];
  readonly #decoder = new TextDecoder();
  #rest = "";
  #last: AssistLine | undefined;

  constructor(told: AssistRequest["told"]) {
    this.#told = told;
  }

  hear(chunk: Uint8Array): void {
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split("\n");
    // What is cut short is no JSON: the outcome is an error then.
    this.#rest = (lines.pop() ?? "").slice(0, LINE_BYTES_MAX);
    for (const text of lines) {
      const line = parse(text);
      if (line === undefined) continue;
      if ("told" in line) this.#told?.(line.told);
      else this.#last = line;
    }
  }

  last(): AssistLine | undefined {
    return this.#last;
  }
}

/** undefined: no helper of ours has printed it. */
function parse(text: string): AssistLine | undefined {
  try {
    const line: unknown = JSON.parse(text);
    if (typeof line !== "object" || line === null) return undefined;
    if ("told" in line) return { told: line.told };
    if ("result" in line) return { result: line.result };
    return "error" in line ? parseError(line.error) : undefined;
  } catch {
    return undefined;
  }
}

function parseError(error: unknown): AssistLine | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  if (!("code" in error && "message" in error && "details" in error)) return undefined;
  if (!Object.hasOwn(errorTable, String(error.code))) return undefined;
  // The helper is this same executable: it prints what the type says.
  return { error: error as Extract<AssistLine, { error: unknown }>["error"] };
}
