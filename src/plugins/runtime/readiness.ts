// When a plugin has come up: its socket accepts a connection.
import { setTimeout as pause } from "node:timers/promises";
import type { Host } from "../../core/host.ts";
import { connectTo } from "../protocol/address.ts";

/** Docker tries for about as long: after 0.5 s, and three times more. */
const READY_MS_MAX = 10_000;
const FIRST_PAUSE_MS = 5;
const PAUSE_MS_MAX = 100;

/** A socket that neither takes nor refuses a connection for so long has no free place. */
const CONNECT_MS_MAX = 1_000;

export interface ReadinessParts {
  readonly host: Pick<Host, "monotonicMs">;
  readonly socketPath: string;
  readonly isAlive: () => boolean;
  readonly signal: AbortSignal;
}

/**
 * undefined: it accepts connections. Otherwise why not, in the words of Go's `connect`; at once
 * when the process has ended. Rejects with the signal's reason.
 */
export async function untilReady(parts: ReadinessParts): Promise<string | undefined> {
  const { host, socketPath, isAlive, signal } = parts;
  const untilMs = host.monotonicMs() + READY_MS_MAX;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 1.5, PAUSE_MS_MAX)) {
    // In this order: a plugin that answers and ends in the same moment has ended.
    const failure = await connect(socketPath);
    if (!isAlive()) return failure ?? "connection refused";
    if (failure === undefined) return undefined;
    if (host.monotonicMs() > untilMs) return failure;
    await pause(pauseMs);
    signal.throwIfAborted();
  }
}

const connectWords: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  ECONNREFUSED: "connection refused",
  EACCES: "permission denied",
  ENOTSOCK: "connection refused",
};

async function connect(socketPath: string): Promise<string | undefined> {
  const late = new Error("i/o timeout");
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(late), CONNECT_MS_MAX);
  try {
    const address = { kind: "unix", path: socketPath, isPlain: true } as const;
    const socket = await connectTo(address, giveUp.signal);
    socket.destroy();
    return undefined;
  } catch (error) {
    const { message, code = "" }: NodeJS.ErrnoException = toError(error);
    return connectWords[code] ?? message;
  } finally {
    clearTimeout(timer);
  }
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
