// Processes: how they are seen from here, and what watches them.
import type { MountInfo } from "./host.ts";

/** A process as the kernel shows it. None of it can be made up from inside of a container. */
export interface ProcessSight {
  /** As in `PeerMount`. */
  readonly namespace: string;
  /** It is in the daemon's own mount namespace. */
  readonly isOurs: boolean;
  /** See `Host.containerOf`. */
  readonly container: string | null;
  /** What it can reach: of a process with a root directory of its own what lies below that. */
  readonly mounts: readonly MountInfo[];
}

/** Must be closed. */
export interface ProcessWatch extends Disposable {
  /** Fires when the process has ended, within milliseconds of its end. */
  readonly ended: AbortSignal;
}
