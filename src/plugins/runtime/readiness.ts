// When a plugin has come up: its socket accepts a connection.
import { lstatSync } from "node:fs";
import { createConnection } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { Host } from "../../core/host.ts";

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
    const failure = await connectTo(socketPath);
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

/** What the plugin puts there may be a link to a socket of somebody else: not followed. */
async function connectTo(socketPath: string): Promise<string | undefined> {
  const stat = lstatSync(socketPath, { throwIfNoEntry: false });
  if (stat === undefined) return connectWords["ENOENT"];
  if (!stat.isSocket()) return "connection refused";
  return new Promise((resolve) => {
    const socket = createConnection({ path: socketPath });
    const settle = (words: string | undefined) => {
      socket.destroy();
      resolve(words);
    };
    socket.setTimeout(CONNECT_MS_MAX, () => settle("i/o timeout"));
    socket.once("connect", () => settle(undefined));
    socket.once("error", (error: NodeJS.ErrnoException) => {
      settle(connectWords[error.code ?? ""] ?? error.message);
    });
  });
}
