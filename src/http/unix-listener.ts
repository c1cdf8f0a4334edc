// Puts a listening Unix socket in its place: never over a living one, never open to strangers.
//
// The socket is bound inside a fresh directory that only we may enter, gets its owner, group and
// mode there, and is renamed into place. So nobody can connect before the mode is right, without
// changing the umask of the whole process, and a stale socket is replaced in one step. A second
// reason: at close Bun removes whatever lies at the path it has bound, even a successor's socket;
// that path no longer exists here, and `remove` looks at the inode before it removes anything.
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdtempSync,
  renameSync,
  rmSync,
  unlinkSync,
} from "node:fs";
import { connect, type Server } from "node:net";
import { dirname, join } from "node:path";

export interface UnixSocketPlace {
  /** Absolute; at most `SOCKET_PATH_BYTES_MAX` bytes. Its directory must exist. */
  readonly path: string;
  /** 0o660 if not given. */
  readonly mode?: number | undefined;
  /** The process's own group if not given. */
  readonly groupId?: number | undefined;
}

/** A socket that listens at its place. */
export interface PlacedSocket {
  /** Removes the socket from its place, unless something else lies there by now. */
  remove(): void;
}

/** Why a place cannot be had; `message` is a sentence for the person who chose the path. */
export class ListenError extends Error {
  readonly reason: "in_use" | "not_a_socket" | "path_too_long" | "failed";

  constructor(reason: ListenError["reason"], message: string, options?: { cause: unknown }) {
    super(message, options);
    this.name = "ListenError";
    this.reason = reason;
  }
}

/** `sun_path` of unix(7), without the final NUL. */
export const SOCKET_PATH_BYTES_MAX = 107;
const MODE_DEFAULT = 0o660;
/** Somebody who accepts connections answers a connect at once, even when he is busy. */
const ANSWER_TIMEOUT_MS = 2_000;

/** Throws `ListenError`. */
export async function listenAtPath(server: Server, place: UnixSocketPlace): Promise<PlacedSocket> {
  const { path } = place;
  const privateDirectoryPrefix = join(dirname(path), ".h-");
  const longest = Math.max(Buffer.byteLength(path), `${privateDirectoryPrefix}XXXXXX/s`.length);
  if (longest > SOCKET_PATH_BYTES_MAX) {
    throw new ListenError(
      "path_too_long",
      `the socket path ${path} is too long: the kernel takes ${SOCKET_PATH_BYTES_MAX} bytes`,
    );
  }
  await requireFree(path);
  try {
    const directory = mkdtempSync(privateDirectoryPrefix);
    try {
      const temporaryPath = join(directory, "s");
      await listen(server, { path: temporaryPath });
      const { uid, gid, ino, dev } = lstatSync(temporaryPath);
      chownSync(temporaryPath, uid, place.groupId ?? gid);
      chmodSync(temporaryPath, place.mode ?? MODE_DEFAULT);
      renameSync(temporaryPath, path);
      return { remove: () => removeIfSame(path, { ino, dev }) };
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  } catch (error) {
    server.close();
    throw new ListenError("failed", `cannot listen on ${path}: ${textOf(error)}`, { cause: error });
  }
}

/** For a listening socket that somebody handed down. Throws `ListenError`. */
export async function listenOnDescriptor(server: Server, descriptor: number): Promise<void> {
  try {
    await listen(server, { fd: descriptor });
  } catch (error) {
    server.close();
    throw new ListenError(
      "failed",
      `cannot listen on the inherited descriptor ${descriptor}: ${textOf(error)}`,
      { cause: error },
    );
  }
}

/** Resolves when the server listens; rejects when it cannot. */
export function listen(
  server: Server,
  where: { readonly path: string } | { readonly fd: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(where, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
}

async function requireFree(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) {
    return;
  }
  if (!found.isSocket()) {
    throw new ListenError("not_a_socket", `${path} is there and is no socket: remove it first`);
  }
  const answer = await knock(path);
  if (answer !== "nobody") {
    throw new ListenError("in_use", `another program listens on ${path} (${answer})`);
  }
}

/** "nobody" only if the kernel says that no process listens on the socket. */
function knock(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (answer: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => settle("it does not answer"), ANSWER_TIMEOUT_MS);
    socket.once("connect", () => settle("it answers"));
    socket.once("error", (error: NodeJS.ErrnoException) => {
      const { code } = error;
      settle(code === "ECONNREFUSED" || code === "ENOENT" ? "nobody" : `it answers ${code}`);
    });
  });
}

function removeIfSame(path: string, ours: { readonly ino: number; readonly dev: number }): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found !== undefined && found.ino === ours.ino && found.dev === ours.dev) {
    unlinkSync(path);
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
