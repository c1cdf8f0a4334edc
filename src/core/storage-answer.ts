// What storage is asked, and what it answers (`Host.askStorage` in host.ts).

/** What else is asked of storage, for one more program each. */
export interface StorageQuestion {
  /** Whether the directory may be written to (access(2)), which leaves no trace. */
  readonly isWritable?: true | undefined;
}

export interface StorageAnswer {
  /** How long it took, in milliseconds. */
  readonly tookMs: number;
  /** As statfs(2) has it; undefined: it could not be read. */
  readonly space: StorageRoom | undefined;
  /** undefined: it was not asked. False on a file system that is mounted read-only, too. */
  readonly isWritable: boolean | undefined;
}

/** Room as statfs(2) has it. Some file systems invent it. */
export interface StorageRoom {
  readonly sizeBytes: number;
  /** What others than root may still write. */
  readonly availableBytes: number;
  /** How many files there can be; 0: as many as there is room for, or nobody knows. */
  readonly fileCount: number;
  /** How many of them can still be made. */
  readonly availableFileCount: number;
}
