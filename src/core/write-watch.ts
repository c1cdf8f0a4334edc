// What the kernel tells of writes through one mount: see `Host.watchWrites`.
import type { MountInfo } from "./host.ts";

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
