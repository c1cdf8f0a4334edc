// What storage was measured to do, and what it is fit for because of that.
import type { VolumeName } from "./names.ts";

/**
 * What is measured, in the order in which it is. "elsewhere": as seen from a second client of the
 * same storage. The last ones follow from how it is mounted, not from a try.
 */
export const abilities = [
  "writable",
  "free-space",
  "free-files",
  "atomic-rename",
  "exclusive-create",
  "hard-links",
  "symlinks",
  "special-files",
  "unlink-open",
  "user-attributes",
  "security-attributes",
  "trusted-attributes",
  "acls",
  "owners",
  "modes",
  "times",
  "case-sensitive",
  "names-as-given",
  "long-names",
  "sparse-files",
  "large-files",
  "flock",
  "posix-locks",
  "ofd-locks",
  "shared-mmap",
  "append",
  "flock-elsewhere",
  "posix-locks-elsewhere",
  "append-elsewhere",
  "visible-elsewhere",
  "fsync",
  "fsync-directory",
  "direct-io",
  "small-files",
  "on-this-machine",
  "survives-power-cut",
  "waits-for-server",
] as const;

export type Ability = (typeof abilities)[number];

/** "unknown": it was not tried, or the try told nothing; the detail says why. */
export type Answer = "yes" | "no" | "unknown";

export interface Measurement {
  readonly ability: Ability;
  readonly answer: Answer;
  /** In a few words, for a table: `yes`, `p50 0.4 ms, p99 2.1 ms`, `255 bytes`. */
  readonly value: string;
  /** Where it is a number that rules compare: see each ability's page. */
  readonly figure: number | null;
  /** One sentence without its full stop; "": there is nothing more to say. */
  readonly detail: string;
  /** How long it took to find out, in milliseconds. */
  readonly tookMs: number;
}

/** "care": it works, and something is to be known first. */
export type Verdict = "fit" | "care" | "unfit" | "unknown";

/** Why a verdict is not better. */
export interface Reason {
  readonly ability: Ability;
  readonly answer: Answer;
  /** What the use needs it for: one sentence without its full stop. */
  readonly because: string;
  /** What to do about it: one sentence without its full stop. */
  readonly change: string;
}

/** Of the uses those that two servers at once would damage. */
export const databaseUses = [
  "postgresql",
  "mysql",
  "mongodb",
  "sqlite-wal",
  "sqlite",
  "redis",
  "rabbitmq",
  "etcd",
  "elasticsearch",
  "influxdb",
] as const;

/** What storage is judged for, in the order of reports. */
export const storageUses = [
  ...databaseUses,
  "git",
  "static-files",
  "logs",
  "maildir",
  "media",
  "container-images",
  "web-app",
  "backups",
] as const;

/** A word for options. */
export type StorageUse = (typeof storageUses)[number];

export interface Fitness {
  readonly use: StorageUse;
  /** For people: `PostgreSQL`. */
  readonly title: string;
  readonly verdict: Verdict;
  /** The worst first; none where it is fit. */
  readonly reasons: readonly Reason[];
}

/** What the storage is, as the mount table and the driver say. */
export interface StorageFacts {
  /** As the kernel names it: `ext4`, `nfs4`, `fuse.sshfs`; "" when it cannot be told. */
  readonly fileSystem: string;
  readonly source: string;
  readonly options: readonly string[];
  /** The driver has a `flush` facet: what is written reaches the storage later. */
  readonly isWrittenLater: boolean;
}

export interface VolumeReport {
  readonly volume: VolumeName;
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  readonly tookMs: number;
  readonly isQuick: boolean;
  readonly storage: StorageFacts;
  /** What should be changed because of what is in the volume: sentences without their full stop. */
  readonly advice: readonly string[];
  /** Whether a second client was there to see what this one does. */
  readonly hadSecondMount: boolean;
  /** Why it ended early; "": it did not. What was not reached is "unknown". */
  readonly ended: string;
  readonly fitness: readonly Fitness[];
  /** Each ability once, in the order of `abilities`. */
  readonly measurements: readonly Measurement[];
}

/** What `measure-storage` is asked. */
export interface MeasureRequest {
  /** Absolute: where a second client has the same directory; null: there is none. */
  readonly elsewhere: string | null;
  readonly isQuick: boolean;
}

/** What `recognise-data` finds: somebody's files, by what is in them. */
export interface RecognisedData {
  readonly use: StorageUse;
  /** For people: `PostgreSQL 15`. */
  readonly title: string;
  /** Relative to the volume, at most two folders deep; "": the volume itself. */
  readonly path: string;
}

/** Judges by rules. Pure. */
export interface StorageJudge {
  fitness(measurements: readonly Measurement[]): readonly Fitness[];
  /** What is known of storage without a try; abilities that are not are left out. */
  known(facts: StorageFacts): readonly Measurement[];
}
