// Client processes of the histories: started, read, killed, stopped and let go on.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { startChild } from "../support/child.ts";
import type { LockClientPlan } from "./history-client.ts";
import { machineMs, type RecordLine } from "./history-record.ts";

/** A client that is running. */
export interface LockClient {
  readonly name: string;
  /** Stopped in the middle of whatever it does, and later let go on. */
  stop(): void;
  goOn(): void;
  /** kill -9; resolves when it has ended, and all that it said was read. Repeatable. */
  kill(): Promise<void>;
}

/** What all clients have said, and what became of them. */
export class LockClients {
  readonly lines: RecordLine[] = [];
  readonly deathMs = new Map<string, number>();
  /** What a client complained of before it ended by itself. */
  readonly failures: string[] = [];
  readonly #running: LockClient[] = [];

  get running(): readonly LockClient[] {
    return this.#running;
  }

  start(plan: LockClientPlan): LockClient {
    const program = join(import.meta.dir, "history-client.ts");
    const child = startChild(process.execPath, [program, JSON.stringify(plan)]);
    const read = this.#read(child);
    const { name } = plan;
    const client: LockClient = {
      name,
      stop: () => void child.kill("SIGSTOP"),
      goOn: () => void child.kill("SIGCONT"),
      kill: async () => {
        if (!this.deathMs.has(name)) this.deathMs.set(name, machineMs());
        const place = this.#running.indexOf(client);
        if (place >= 0) this.#running.splice(place, 1);
        child.kill("SIGKILL");
        await read;
      },
    };
    this.#running.push(client);
    child.once("exit", (code) => {
      if (code !== null) this.failures.push(`${name} ended with ${code}`);
    });
    return client;
  }

  async #read(child: ChildProcess): Promise<void> {
    const { stdout, stderr } = child;
    if (stdout === null || stderr === null) throw new Error("the client has no pipes");
    stderr.on("data", (chunk: Buffer) => this.failures.push(chunk.toString("utf8")));
    const lines = createInterface({ input: stdout });
    lines.on("line", (line) => {
      // A client that is killed may have written half of its last line.
      if (line.endsWith("}")) this.lines.push(JSON.parse(line));
    });
    await Promise.all([once(lines, "close"), once(child, "close")]);
  }
}
