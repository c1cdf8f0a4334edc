// Runs a program on a terminal of its own, as whoever reads a document does.
import { stripVTControlCharacters } from "node:util";
import { screenLines } from "./screen.ts";

/** Wide enough that nothing wraps. */
const columnCount = 1_000;

/** Longer than anything in a document takes. */
const timeoutMs = 60_000;

/** The end of what asks. */
const question = /(?:\[y\/N\]|to go on:|it is not shown\):|once more:) $/;

export interface Printed {
  /** Both streams in their order, without colours, line feeds only. */
  readonly text: string;
  readonly exit: number;
}

export interface TerminalProgram {
  readonly command: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
  /** What is typed, with Enter, at each question: `[y/N]`, a name that is to be typed, a secret. */
  readonly answers: readonly string[];
  /** Where it runs; the tests' own directory unless given. */
  readonly directory?: string;
}

/** Runs it to its end. Throws when that takes longer than a minute. */
export async function runOnTerminal(program: TerminalProgram): Promise<Printed> {
  const chunks: Uint8Array[] = [];
  const answers = [...program.answers];
  const closed = Promise.withResolvers<void>();
  const process = Bun.spawn([...program.command], {
    env: { ...program.environment },
    ...(program.directory === undefined ? {} : { cwd: program.directory }),
    terminal: {
      cols: columnCount,
      rows: 50,
      data(terminal, chunk) {
        chunks.push(chunk.slice());
        const isAsked = question.test(new TextDecoder().decode(chunk));
        const answer = isAsked ? answers.shift() : undefined;
        if (answer !== undefined) terminal.write(`${answer}\n`);
      },
      exit: () => closed.resolve(),
    },
  });
  const timer = setTimeout(() => process.kill("SIGKILL"), timeoutMs);
  const exit = await process.exited;
  // The terminal ends with its last writer: everything was read then.
  await closed.promise;
  clearTimeout(timer);
  process.terminal?.close();
  if (process.signalCode !== null) {
    throw new Error(`${program.command.join(" ")} was ended by ${process.signalCode}`);
  }
  const lines = screenLines(Buffer.concat(chunks).toString("utf8"));
  return { text: stripVTControlCharacters(lines.join("\n")), exit };
}
