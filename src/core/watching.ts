// What watches processes, and writes through a mount; and how a process is seen from here.
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

/** One container's own mount of a volume, whose writers are to be seen. */
export interface WatchRequest {
  /** A process in its mount namespace, and that namespace: another one is refused. */
  readonly pid: number;
  readonly namespace: string;
  /** As that namespace sees it. */
  readonly target: string;
  /** Whether a mount that is found there is the one that is meant. */
  readonly isWanted: (mount: MountInfo) => boolean;
}

/** A file that was written to through a watched mount. */
export interface WrittenFile {
  /** The same words for the same file through any mount; never those of another file. */
  readonly file: string;
  /** A process that wrote; it may be gone by now. */
  readonly pid: number;
}

/** What was written through a mount since it was last asked. */
export interface WriteBatch {
  /** Each file and process once. */
  readonly written: readonly WrittenFile[];
  /** More happened than the kernel keeps: some writes are not in any batch. */
  readonly isCut: boolean;
}

/** Must be closed. */
export interface WriteWatch extends Disposable {
  /** Never waits. O(what happened since the last one). */
  read(): WriteBatch;
  /** The mount is gone: nothing more will be written through it. */
  isOver(): boolean;
}

/** Must be closed. */
export interface ProcessWatch extends Disposable {
  /** Fires when the process has ended, within milliseconds of its end. */
  readonly ended: AbortSignal;
}
