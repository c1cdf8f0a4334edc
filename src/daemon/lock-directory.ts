// The directory that containers have the locks' socket in: theirs to look into, not to write to.
//
// A container's root is the machine's root for files. One that could write there could put a socket
// of its own in the place of ours, and hand out other containers' locks. So the directory is a
// read-only mount of itself, which containers get copies of; the daemon writes through another one.
import { chmodSync, lstatSync, mkdirSync, realpathSync } from "node:fs";
import { EngineError, messageOf, storageError } from "../core/errors.ts";
import type { Log } from "../core/operation.ts";
import { makeReadOnlyView } from "../host/read-only-view.ts";

/** What lies in it. */
export const LOCK_SOCKET_NAME = "locks.sock";

/** Containers run as anybody; who may lock what is decided by what they have. */
export const LOCK_SOCKET_MODE = 0o666;

const DIRECTORY_MODE = 0o755;
/** Group and others may write. */
const WRITABLE_BITS = 0o022;

/**
 * Makes it, and returns the path by which the daemon may write in it. It stays when the daemon
 * ends, as does the mount: containers see the next daemon's socket in what they have. Where nothing
 * may be mounted it is a plain directory, which is logged. Throws `config.invalid` for one in which
 * others may write, and `storage.*`.
 */
export function makeLockDirectory(directory: string, log: Log): string {
  const place = makeDirectory(directory);
  if (process.getuid?.() !== 0) return place;
  const writable = `${place}.own`;
  try {
    makeReadOnlyView(place, writable);
    return writable;
  } catch (error) {
    log.warn("containers that have the locks' directory without :ro could replace its socket", {
      directory: place,
      error: messageOf(error),
    });
    return place;
  }
}

function makeDirectory(directory: string): string {
  let mode: number;
  let place: string;
  try {
    mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
    place = realpathSync(directory);
    const found = lstatSync(place);
    mode = found.uid === process.getuid?.() ? found.mode : WRITABLE_BITS;
    if ((mode & WRITABLE_BITS) === 0 && (mode & DIRECTORY_MODE) !== DIRECTORY_MODE) {
      chmodSync(place, DIRECTORY_MODE);
    }
  } catch (error) {
    throw storageError(error, `making the locks' directory ${directory}`);
  }
  if ((mode & WRITABLE_BITS) === 0) return place;
  throw new EngineError(
    "config.invalid",
    `lock-directory ${directory}: others may write there, and could put a socket of their own in ` +
      "the place of ours: a directory of the daemon's own is needed",
  );
}
