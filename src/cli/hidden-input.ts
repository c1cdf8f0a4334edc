// Reads a line that is typed and not shown, for secrets.
import { CliFailure } from "./failure.ts";

const INTERRUPT = "\x03";
const END = "\x04";
const ERASE_LINE = "\x15";
const erase: readonly string[] = ["\b", "\x7f"];
const enter: readonly string[] = ["\r", "\n"];

/** Ctrl-C, as a shell counts it. */
const interruptedExit = 130;

/** What was typed or pasted behind the end of the last line. */
let typedAhead = "";

/** See `Terminal.readHidden`. Throws `CliFailure` at Ctrl-C. */
export async function readHidden(prompt: string): Promise<string | undefined> {
  const { stdin } = process;
  // Before the prompt: what is typed at it must not be shown.
  stdin.setRawMode(true);
  try {
    process.stderr.write(prompt);
    return await readTyped(stdin);
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    process.stderr.write("\n");
  }
}

/** One line; what stands behind it is kept for the next. */
async function readTyped(stdin: NodeJS.ReadStream): Promise<string | undefined> {
  const decoder = new TextDecoder();
  const line = new TypedLine();
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  const take = (text: string): void => {
    try {
      const rest = line.take(text);
      if (rest === undefined) return;
      typedAhead = rest;
      resolve(line.text);
    } catch (error) {
      reject(error);
    }
  };
  const ahead = typedAhead;
  typedAhead = "";
  const listen = (chunk: Uint8Array) => take(decoder.decode(chunk, { stream: true }));
  const end = () => resolve(undefined);
  stdin.on("data", listen).on("end", end).resume();
  try {
    take(ahead);
    return await promise;
  } finally {
    stdin.off("data", listen).off("end", end);
  }
}

/** What the keys of a line make of it: a terminal that shows nothing does not edit, either. */
class TypedLine {
  #characters: string[] = [];
  #isGone = false;

  /** undefined: the input ended in front of it. */
  get text(): string | undefined {
    return this.#isGone ? undefined : this.#characters.join("");
  }

  /** What stands behind the end of the line; undefined: it has not ended yet. */
  take(text: string): string | undefined {
    const characters = [...text];
    for (const [index, character] of characters.entries()) {
      if (character === INTERRUPT) throw new CliFailure("nothing was kept", interruptedExit);
      this.#isGone = character === END && this.#characters.length === 0;
      if (this.#isGone || enter.includes(character)) return characters.slice(index + 1).join("");
      if (erase.includes(character)) this.#characters.pop();
      else if (character === ERASE_LINE) this.#characters = [];
      else this.#characters.push(character);
    }
    return undefined;
  }
}
