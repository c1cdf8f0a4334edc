// The second process of a measurement: started, asked and ended.
import { withErrorCode } from "./outcome.ts";
import type { PeerRequest, PeerWork } from "./peer-work.ts";

/** How long one answer is waited for. */
const ANSWER_MS_MAX = 5_000;

export interface Peer extends AsyncDisposable {
  /** Throws what the storage told the peer, with its code. */
  ask(request: PeerRequest): Promise<unknown>;
}

interface PeerAnswer {
  readonly said?: unknown;
  readonly code?: string;
  readonly message?: string;
}

/** `command` starts a process that serves as `servePeer` does. */
export async function startPeer(command: readonly string[]): Promise<Peer> {
  const child = Bun.spawn([...command], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  const lines = linesOf(child.stdout)[Symbol.asyncIterator]();
  const next = async (): Promise<PeerAnswer> => {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      reject(new Error("the second process does not answer"));
    }, ANSWER_MS_MAX);
    try {
      const { value, done } = await Promise.race([lines.next(), late]);
      if (done) throw new Error("the second process has ended");
      // The other end is `servePeer`.
      return JSON.parse(value) as PeerAnswer;
    } finally {
      clearTimeout(timer);
    }
  };
  const end = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
  };
  try {
    await next();
  } catch (thrown) {
    await end();
    throw thrown;
  }
  return {
    async ask(request) {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      await child.stdin.flush();
      const { said, code, message } = await next();
      if (code !== undefined) throw withErrorCode(code, message ?? code);
      return said;
    },
    [Symbol.asyncDispose]: end,
  };
}

/** Answers requests from the standard input until it ends. */
export async function servePeer(work: PeerWork): Promise<void> {
  const tell = (answer: PeerAnswer): void => {
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  };
  tell({ said: "ready" });
  for await (const line of linesOf(Bun.stdin.stream())) {
    try {
      // The other end is `startPeer`.
      tell({ said: work(JSON.parse(line) as PeerRequest) ?? null });
    } catch (thrown) {
      const message = thrown instanceof Error ? thrown.message : String(thrown);
      tell({ code: codeOf(thrown), message });
    }
  }
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && "code" in thrown ? String(thrown.code) : "EIO";
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}
