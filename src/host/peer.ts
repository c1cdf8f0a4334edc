// Who is at the other end of a Unix socket, as the kernel recorded it at connect time.
import { peerCredentials } from "./libc.ts";

export interface Peer {
  readonly uid: number;
  readonly gid: number;
  /** May be gone or reused by now; 0 when the process is in a namespace that we cannot see. */
  readonly pid: number;
}

/** What the kernel says when it does not know: a TCP connection. */
const NOBODY = -1;

/**
 * The process that connected to the socket with this descriptor (SO_PEERCRED, see unix(7)).
 * Undefined for what is not a connected Unix socket. Costs well below a microsecond.
 */
export function peerOf(descriptor: number): Peer | undefined {
  const credentials = peerCredentials(descriptor);
  if (credentials === undefined) return undefined;
  const [pid = 0, uid = NOBODY, gid = NOBODY] = credentials;
  if (uid === NOBODY) return undefined;
  // Ids are unsigned; the kernel's "no id" was the only one that is not.
  return { uid: uid >>> 0, gid: gid >>> 0, pid };
}
