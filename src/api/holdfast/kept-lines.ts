// The lines of an answer that begins before anybody can be sent them.
import type { StreamWriter } from "../../http/message.ts";

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
