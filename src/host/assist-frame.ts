// What each helper command runs in: reads its input, prints what it tells, its result or its error.
//
// A helper is a function. src/daemon/assist-commands.ts names it, and src/main.ts starts it:
//
//   export async function storageStep({ directory, input, tell }: AssistCall): Promise<unknown>
//
// The input is what `Host.assist` was given: each helper checks its shape.
import { writeFileSync, writeSync } from "node:fs";
import { EngineError, toEngineError } from "../core/errors.ts";
import type { AssistInput, AssistLine } from "./assist.ts";

/** More input than that is refused, in bytes: 1 MiB. */
const INPUT_BYTES_MAX = 1024 * 1024;

export interface AssistCall {
  /** What it works on and beneath, and may not leave. */
  readonly directory: string;
  readonly input: unknown;
  /** What `AssistRequest.body` was, while it comes. To be read once; empty where there is none. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Says how far it is: `AssistRequest.told` hears it. */
  tell(line: unknown): void;
}

/** Resolves with what is to be printed as JSON. Throws `EngineError`s; all else is a bug. */
export type AssistWork = (call: AssistCall) => Promise<unknown>;

/** Runs one helper to its end, over standard input and output. Returns the exit status. */
export async function runAssist(work: AssistWork): Promise<number> {
  endFirst();
  try {
    const { body, ...given } = await readInput();
    const result = await work({ ...given, body, tell: (told) => print({ told }) });
    print({ result: result ?? null });
    return 0;
  } catch (thrown) {
    const { code, message, details } = toEngineError(thrown);
    print({ error: { code, message, details } });
    return 1;
  }
}

/** Storage may list names without an end: when memory runs out, this process is what goes. */
function endFirst(): void {
  try {
    writeFileSync("/proc/self/oom_score_adj", "1000");
  } catch {
    // There is no such thing here: then nobody is chosen by it.
  }
}

/** The first line, and the body behind it. */
async function readInput(): Promise<AssistInput & Pick<AssistCall, "body">> {
  const reader = Bun.stdin.stream().getReader();
  let head = Buffer.alloc(0);
  let end = -1;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    head = Buffer.concat([head, value]);
    end = head.indexOf("\n");
    if (end >= 0) break;
    if (head.length > INPUT_BYTES_MAX) throw new EngineError("internal.bug", "too much input");
  }
  const given: unknown = JSON.parse(head.toString("utf8", 0, end < 0 ? head.length : end));
  if (typeof given !== "object" || given === null || !("directory" in given)) {
    throw new EngineError("internal.bug", "a helper was started without its input");
  }
  return {
    directory: String(given.directory),
    input: "input" in given ? given.input : undefined,
    body: bodyOf(end < 0 ? Buffer.alloc(0) : head.subarray(end + 1), reader),
  };
}

/** What is used of a reader: the types of node: and of the runtime do not agree on the rest. */
interface Reader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
}

async function* bodyOf(first: Uint8Array, reader: Reader): AsyncGenerator<Uint8Array> {
  if (first.length > 0) yield first;
  for (;;) {
    const { done, value } = await reader.read();
    if (done || value === undefined) return;
    yield value;
  }
}

/** Whole before the process ends. */
function print(line: AssistLine): void {
  const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
}
