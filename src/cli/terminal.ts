// What a command sees of the process around it: arguments' surroundings, streams, clock, terminal.
import { CliFailure } from "./failure.ts";

/** Tests hand in their own. The real one imports nothing of `node:`, which would cost start-up. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Of this process; root's is 0. */
  readonly userId: () => Promise<number>;
  /** Whether this user finds anything at an absolute path, a socket for example. */
  readonly exists: (path: string) => Promise<boolean>;
  out(text: string): Promise<void>;
  err(text: string): Promise<void>;
  /**
   * `err` in a process that must go on: the text is given up when nobody takes it within this time
   * in milliseconds. Never rejects.
   */
  errWithin(text: string, msMax: number): Promise<void>;
  isOutTerminal(): Promise<boolean>;
  isErrTerminal(): Promise<boolean>;
  /** How many characters a line of the terminal has; undefined: nobody knows, or there is none. */
  outColumns(): number | undefined;
  /** One line from standard input without its line end; undefined at the end of the input. */
  readLine(): Promise<string | undefined>;
  isInTerminal(): Promise<boolean>;
  /** All of standard input; what is behind `bytesMax` need not be read to its end. */
  readAll(bytesMax: number): Promise<Uint8Array>;
  /**
   * One line that is typed at a prompt and not shown; undefined at the end of the input. Only where
   * standard input is a terminal.
   */
  readHidden(prompt: string): Promise<string | undefined>;
  /** Milliseconds since 1970. */
  nowMs(): number;
}

/** Thrown when the reader of our output went away (`holdfast volume ls | head -1`). */
export class OutputClosed extends Error {}

/** The longest answer to a prompt that is read, in bytes. */
const answerBytesMax = 4096;

/** Linux: character devices of major number 1 are /dev/null and its kin, others are terminals. */
async function isTerminal(stream: Bun.BunFile): Promise<boolean> {
  try {
    const status = await stream.stat();
    return status.isCharacterDevice() && ((status.rdev >> 8) & 0xfff) !== 1;
  } catch {
    return false;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Bun.file(path).stat();
    return true;
  } catch {
    return false;
  }
}

/**
 * Bun looked at stdout when it started: that answer costs nothing, while `stat` starts threads and
 * takes 2 ms. It is only wrong where the environment asks for colours or for none.
 */
async function isOutTerminal(): Promise<boolean> {
  const { env } = Bun;
  if (env["NO_COLOR"] === undefined && env["FORCE_COLOR"] === undefined) {
    return Bun.enableANSIColors;
  }
  return isTerminal(Bun.stdout);
}

async function write(stream: Bun.BunFile, text: string): Promise<void> {
  if (text === "") return;
  try {
    await Bun.write(stream, text);
  } catch (cause) {
    // Bun's write errors carry the system's code and a message that begins with it.
    const { code, message } = cause as { readonly code?: unknown; readonly message?: unknown };
    if (code === "EPIPE") throw new OutputClosed("the output was closed", { cause });
    throw new CliFailure(`cannot write the output: ${String(message)}`);
  }
}

/** `Bun.write` stops all of this process while a pipe or a terminal is full. */
async function writeErrWithin(text: string, msMax: number): Promise<void> {
  const fs = await import("node:fs");
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, msMax);
  fs.write(2, text, () => resolve());
  await promise;
  clearTimeout(timer);
}

async function readLine(): Promise<string | undefined> {
  const decoder = new TextDecoder();
  let text = "";
  const reader = Bun.stdin.stream().getReader();
  try {
    while (!text.includes("\n") && text.length < answerBytesMax) {
      const { done, value } = await reader.read();
      if (done) return text === "" ? undefined : text;
      text += decoder.decode(value, { stream: true });
    }
  } finally {
    reader.releaseLock();
  }
  const end = text.indexOf("\n");
  return (end < 0 ? text : text.slice(0, end)).replace(/\r$/, "");
}

async function readAll(bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of Bun.stdin.stream()) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > bytesMax) break;
  }
  return Buffer.concat(chunks);
}

/** The terminal of this process. */
export function processTerminal(): Terminal {
  return {
    env: Bun.env,
    userId: async () => process.getuid?.() ?? 0,
    exists,
    out: (text) => write(Bun.stdout, text),
    err: (text) => write(Bun.stderr, text),
    errWithin: writeErrWithin,
    isOutTerminal,
    isErrTerminal: () => isTerminal(Bun.stderr),
    // Some terminals say that they have none.
    outColumns: () => process.stdout.columns || undefined,
    readLine,
    isInTerminal: () => isTerminal(Bun.stdin),
    readAll,
    readHidden: async (prompt) => (await import("./rarely.ts")).rarely.readHidden(prompt),
    nowMs: () => Date.now(),
  };
}
