// Connections that have carried an answer and wait a moment for the next request.
//
// Whether a request on a connection that the other side was just closing has arrived cannot be
// known, and what may have arrived must not be sent again. So only sockets of this machine are
// kept, for less time than any server lets them rest, and none before this plugin has been seen to
// leave one open: a server that closes after each answer and does not say so is never met.
import type { Socket } from "node:net";
import type { PluginAddress } from "./address.ts";

/** Servers wait for some seconds at least. */
const IDLE_MS_MAX = 1_000;
/** A connection that is open for so long after its answer was left open. */
const PROOF_MS = 100;
const KEPT_MAX = 8;

interface Kept {
  readonly socket: Socket;
  readonly path: string;
  readonly sinceMs: number;
  readonly timer: NodeJS.Timeout;
  /** The other side has said something, or has gone. */
  readonly leave: () => void;
}

const events = ["data", "end", "close", "error"] as const;

export class KeptConnections {
  readonly #kept: Kept[] = [];
  #keeps: "yes" | "no" | "unknown" = "unknown";

  /** One to this address, which is the caller's from now on. */
  take(address: PluginAddress): Socket | undefined {
    if (address.kind !== "unix") return undefined;
    const isGood = ({ path, sinceMs, socket }: Kept) =>
      path === address.path &&
      socket.writable &&
      (this.#keeps === "yes" || performance.now() - sinceMs >= PROOF_MS);
    const found = this.#kept.findLast(isGood);
    if (found === undefined) return undefined;
    this.#keeps = "yes";
    return this.#release(found);
  }

  /** The answer has been read to its end, and the other side has not said that it will close. */
  give(address: PluginAddress, socket: Socket): void {
    const isKept = address.kind === "unix" && this.#keeps !== "no" && socket.writable;
    if (!isKept || this.#kept.length >= KEPT_MAX) {
      socket.destroy();
      return;
    }
    const end = () => this.#release(kept).destroy();
    const kept: Kept = {
      socket,
      path: address.path,
      sinceMs: performance.now(),
      timer: setTimeout(end, IDLE_MS_MAX),
      leave: () => {
        this.#keeps = "no";
        end();
      },
    };
    for (const event of events) socket.on(event, kept.leave);
    this.#kept.push(kept);
  }

  /** Closes all; whoever listens there from now on is somebody else. */
  forget(): void {
    for (const kept of [...this.#kept]) this.#release(kept).destroy();
    this.#keeps = "unknown";
  }

  #release(kept: Kept): Socket {
    clearTimeout(kept.timer);
    for (const event of events) kept.socket.off(event, kept.leave);
    const index = this.#kept.indexOf(kept);
    if (index >= 0) this.#kept.splice(index, 1);
    return kept.socket;
  }
}
