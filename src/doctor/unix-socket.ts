// Looks at sockets without ever waiting long: is somebody there, and what does he answer?
import { lstatSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { isErrno } from "../core/errors.ts";

/** Who accepts connections answers a connect at once, even when he is busy. */
const CONNECT_MS_MAX = 1_000;

const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

/** "dead": a socket on which nobody listens. "silent": its queue is full. */
export type SocketState = "absent" | "no socket" | "dead" | "listens" | "silent" | "denied";

/** What is at an absolute path. Resolves within a second. */
export async function knock(path: string): Promise<SocketState> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return "absent";
  if (!found.isSocket()) return "no socket";
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (state: SocketState): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(state);
    };
    const timer = setTimeout(() => settle("silent"), CONNECT_MS_MAX);
    socket.once("connect", () => settle("listens"));
    socket.once("error", (error) => {
      if (isErrno(error, "EACCES")) settle("denied");
      else settle(hasListener(path) ? "silent" : "dead");
    });
  });
}

/**
 * Bun calls a full queue ECONNREFUSED, as it does a dead socket. The kernel's table (unix(7)) has
 * the path under which a socket was bound; one that was renamed afterwards is not found.
 */
function hasListener(path: string): boolean {
  const acceptsConnections = "00010000";
  try {
    return readFileSync("/proc/net/unix", "utf8")
      .split("\n")
      .some((line) => line.split(" ")[3] === acceptsConnections && line.endsWith(` ${path}`));
  } catch {
    return false;
  }
}

/** The body of a 200, as JSON. Rejects for everything else, and when the signal fires. */
export function getJson(socketPath: string, path: string, signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { socketPath, path, signal, headers: { Host: "localhost" } },
      (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("error", reject);
        answer.on("data", (chunk: string) => {
          text += chunk;
          if (text.length > ANSWER_BYTES_MAX) asked.destroy(new Error("its answer does not end"));
        });
        answer.on("end", () => {
          if (answer.statusCode !== 200) return reject(new Error(`status ${answer.statusCode}`));
          try {
            resolve(JSON.parse(text));
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)));
          }
        });
      },
    );
    asked.on("error", reject);
    asked.end();
  });
}
