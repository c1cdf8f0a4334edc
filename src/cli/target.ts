// Which daemon this command line talks to: `--host`, HOLDFAST_HOST, or the default socket.
import { CliFailure } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

/** The longest path that Linux takes for a socket: sizeof(sun_path) - 1, in bytes. */
const socketPathBytesMax = 107;

export interface Target {
  /** As the user wrote it, for messages: `unix:///run/holdfast/holdfast.sock`. */
  readonly host: string;
  readonly socketPath: string;
}

function parseHost(host: string, source: string): Target {
  if (!host.startsWith("unix://") || host === "unix://") {
    throw new CliFailure(
      `invalid host "${host}" (from ${source}): the Holdfast command line speaks to a ` +
        `Unix socket, write unix:///path/to/holdfast.sock`,
    );
  }
  const socketPath = host.slice("unix://".length);
  // No character has more than three bytes for each of its UTF-16 units.
  const mayBeLong = socketPath.length * 3 > socketPathBytesMax;
  if (mayBeLong && new TextEncoder().encode(socketPath).length > socketPathBytesMax) {
    throw new CliFailure(
      `invalid host "${host}" (from ${source}): the path of a Unix socket has at most ` +
        `${socketPathBytesMax} bytes on Linux, use a shorter one`,
    );
  }
  return { host, socketPath };
}

/**
 * Finds the daemon: the flag wins over the environment, the environment over the default. That is a
 * user's own daemon where one was started, else this host's: who is in the group of its socket
 * needs neither sudo nor a variable, as with docker.
 */
export async function findTarget(flag: string | undefined, terminal: Terminal): Promise<Target> {
  if (flag !== undefined) return parseHost(flag, "--host");
  const fromEnvironment = terminal.env["HOLDFAST_HOST"];
  if (fromEnvironment) return parseHost(fromEnvironment, "HOLDFAST_HOST");
  const ofHost = parseHost("unix:///run/holdfast/holdfast.sock", "default");
  const userId = await terminal.userId();
  if (userId === 0) return ofHost;
  // As the daemon: cron, a build and `su` have no such variable.
  const runtimeDirectory = terminal.env["XDG_RUNTIME_DIR"] || `/run/user/${userId}`;
  const own = parseHost(`unix://${runtimeDirectory}/holdfast/holdfast.sock`, "XDG_RUNTIME_DIR");
  if (await terminal.exists(own.socketPath)) return own;
  return (await terminal.exists(ofHost.socketPath)) ? ofHost : own;
}
