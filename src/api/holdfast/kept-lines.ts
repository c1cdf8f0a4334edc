// An answer of lines that begins at once and is written while work goes on.
import type { StreamWriter } from "../../http/message.ts";
import { LineStream } from "./call.ts";

/** Lines from before there was somebody to send them to. */
export class KeptLines {
  readonly #kept: string[] = [];
  #writer: StreamWriter | undefined;
  #hasEnded = false;

  write(line: string): void {
    if (this.#writer === undefined) this.#kept.push(line);
    else this.#writer.write(line);
  }

  end(): void {
    this.#hasEnded = true;
    this.#writer?.end();
  }

  sendTo(writer: StreamWriter): void {
    this.#writer = writer;
    for (const line of this.#kept.splice(0)) writer.write(line);
    if (this.#hasEnded) writer.end();
  }
}

/**
 * One JSON object a line, from work that goes on when the client goes away, and writes its failure
 * as a line, too.
 */
export function linesOf(work: (write: (line: object) => void) => Promise<void>): LineStream {
  const lines = new KeptLines();
  void work((line) => lines.write(`${JSON.stringify(line)}\n`)).finally(() => lines.end());
  return new LineStream((writer) => lines.sendTo(writer));
}
