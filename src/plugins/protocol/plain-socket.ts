// Opens a socket where a managed plugin may put anything: its own, and never what it links to.
//
// A plugin's links are followed on the host. One to another plugin's socket, or to our own, would
// have us ask the wrong one.
import { closeSync, fstatSync, openSync } from "node:fs";

/** Opens without asking what is opened; of a link the link itself. */
const O_PATH_NOFOLLOW = 0o10000000 | 0o400000;

/** A socket that is meant, whatever its name is given to meanwhile. */
export interface PlainSocket extends Disposable {
  /** To connect to, until it is disposed of. */
  readonly path: string;
}

/** Throws the system's error; ECONNREFUSED for what is no socket. */
export function openPlainSocket(path: string): PlainSocket {
  const descriptor = openSync(path, O_PATH_NOFOLLOW);
  try {
    if (!fstatSync(descriptor).isSocket()) {
      throw Object.assign(new Error(`connect ${path}: it is no socket`), { code: "ECONNREFUSED" });
    }
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  return {
    path: `/proc/self/fd/${descriptor}`,
    [Symbol.dispose]: () => closeSync(descriptor),
  };
}
