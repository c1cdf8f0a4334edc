// Who is at the other end of a Unix socket, as the kernel recorded it at connect time.
import { readFileSync } from "node:fs";
import { closeDescriptor, peerCredentials, peerProcessHandle } from "./libc.ts";
import { processStart } from "./processes.ts";

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

/**
 * When the process began that connected, by its number: for whoever is given rights by what it is.
 * undefined: it is gone, or out of sight. Its connection may have been handed on, and its number be
 * another's by now: the kernel's handle on it shows whether it is (Linux 6.5). Older kernels have
 * none: there a process that has the number now is taken for the one that connected.
 */
export function startOfPeer(descriptor: number, pid: number): string | undefined {
  const handle = peerProcessHandle(descriptor);
  if (handle === "unsupported") return processStart(pid);
  if (handle === undefined) return undefined;
  try {
    const start = processStart(pid);
    // It has not been reaped until now: nobody else had its number meanwhile.
    return pidOfHandle(handle) === pid ? start : undefined;
  } finally {
    closeDescriptor(handle);
  }
}

/** -1: it has ended and was reaped. 0: it is out of our sight. */
function pidOfHandle(handle: number): number {
  const text = readFileSync(`/proc/self/fdinfo/${handle}`, "utf8");
  return Number(/^Pid:\s*(-?\d+)$/m.exec(text)?.[1] ?? -1);
}
