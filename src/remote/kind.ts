// What tells one kind of remote storage from another: its options, its tool, its ways to fail.
//
// Everything else (records on disk, holders, the test at create, the trash, health) is
// `remoteDriver` in driver.ts, once for all kinds.
import type { DriverOptions, Unsaved } from "../core/driver.ts";
import type { MountInfo } from "../core/host.ts";
import type { VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type { SecretValue } from "../core/secret-store.ts";
import type { StorageRoom } from "../core/storage-answer.ts";

/** One option, as data: validation, help and the driver's page come from it. */
export interface OptionRule {
  readonly name: string;
  /** A word for its value: `HOST`, `PATH`, `SECONDS`, `on|off`. */
  readonly value: string;
  /** What it is for: a sentence without its full stop. */
  readonly help: string;
  readonly isRequired?: boolean | undefined;
  /** As a user would write it; undefined: none. */
  readonly defaultValue?: string | undefined;
  /** The rule in words and its check; missing: any text of one line, not empty. */
  readonly rule?: { readonly words: string; accepts(value: string): boolean } | undefined;
}

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/** A mount that is wanted, or was made. The same for `mount`, `unmount`, `look`. */
export interface RemoteMount<Options> {
  readonly volume: VolumeName;
  readonly options: Options;
  /** Below the share; "": the share itself. Relative, no `.`, `..` or empty segment. */
  readonly subpath: string;
  /** Absolute; an empty directory. */
  readonly target: string;
  readonly isReadOnly: boolean;
  /** Throws `secret.*`; undefined: the volume has none. */
  readonly secret: (() => Promise<SecretValue>) | undefined;
  /**
   * Absolute, mode 0700, in memory (/run), this mount's own: credentials that the tool reads, and
   * notes of its process. It is there for as long as the mount, and over restarts of the daemon.
   */
  readonly runDirectory: string;
  /** Absolute, mode 0700, on the data root, the volume's own: what must outlive a reboot. */
  readonly keepDirectory: string;
  /**
   * Wanted beside another mount of the same, as another host's would be: it may share neither what
   * is kept in memory nor locks with it.
   */
  readonly isSecondClient?: true | undefined;
}

/** What a kind can tell of a mount without asking the storage. */
export interface Look {
  /** Why it will never answer again (its process is gone); undefined: it may. */
  readonly stale?: string | undefined;
  /** Why it is not as it should be; undefined: it is. */
  readonly degraded?: string | undefined;
  readonly unsaved?: Unsaved | undefined;
}

/** What a kind knows whose mounts answer from a cache; its `look` says what is left in there. */
export interface WriteBack<Options> {
  /** The options of a test's mount: what is written is sent at once. */
  trialOptions(options: DriverOptions): DriverOptions;
  /**
   * Why the server refuses what is mounted, though the mount answers; undefined: it does not. Asks
   * the server, within the operation's time, only where there is a suspicion.
   */
  refusal(mount: RemoteMount<Options>, operation: Operation): Promise<string | undefined>;
}

export interface RemoteKind<Options> {
  /** The driver's name. */
  readonly name: string;
  /** Its own options; those of all kinds (`commonOptions`) are not among them. */
  readonly rules: readonly OptionRule[];
  /** The rule of an option beyond those, for tools with hundreds of them; undefined: unknown. */
  openRule?(name: string): OptionRule | undefined;
  /**
   * Reads options that keep their rules: what fits together, what goes together with a secret.
   * Throws `volume.option_invalid`. Pure.
   */
  parse(options: DriverOptions): Options;
  /**
   * Asks the tool on this host, not the server, whether it knows what the options say: at the test
   * of a create or update. Throws `volume.option_invalid`, `host.program_missing`. Missing: `parse`
   * has seen to it all.
   */
  vet?(options: Options, operation: Operation): Promise<void>;
  /** What is resolved and connected to, to tell whether the server answers; undefined: the tool. */
  address(options: Options): ServerAddress | undefined;
  /** What people call the server: see `HealthCapable.server`. */
  server(options: Options): string;
  /** What people call a directory on it (`nas:/export/dir`); missing: the server's own name. */
  place?(options: Options, subpath: string): string;
  /**
   * The program that serves a mount for as long as it is there, with the mount point among its
   * arguments, started and noted by `startFuse`. Missing: the kernel serves it.
   */
  readonly program?: string | undefined;
  /**
   * Mounts. Resolves when the mount table shows it and what is there answers; when it throws,
   * nothing is mounted, no process and no credential is left. Throws `remote.*` with the tool's own
   * words, secrets masked, `volume.mount_failed`, `host.program_missing`, `driver.timed_out`.
   */
  mount(mount: RemoteMount<Options>, operation: Operation): Promise<void>;
  /**
   * Ends the mount, its process and its credentials. Succeeds when nothing is mounted. With
   * `isLost` nothing of the storage is waited for (lazily, aborting what waits for it). Throws
   * `volume.unmount_failed`, and `remote.unsaved` where what was written is not on the server yet:
   * then it is all still there.
   */
  unmount(
    mount: RemoteMount<Options>,
    how: { readonly isLost: boolean },
    operation: Operation,
  ): Promise<void>;
  /** Missing: only the mount table and the storage itself can tell. Never waits for storage. */
  look?(mount: RemoteMount<Options>, operation: Operation): Promise<Look>;
  /** Writes reach the server later than their writer is told: the driver has the flush facet. */
  readonly writeBack?: WriteBack<Options> | undefined;
  /**
   * How it shows that a server takes no writes any more. "access": the server itself answers
   * access(2), and a file is only written to make sure. "probe": nothing but a file that is written
   * and removed. Missing: neither tells (a cache takes all writes).
   */
  readonly writeProof?: "access" | "probe" | undefined;
  /**
   * Whether statfs(2) shows invented figures, as the tool does where the server gives none.
   * Missing: they are the server's.
   */
  isInvented?(space: StorageRoom): boolean;
  /**
   * Whether a mount, of whatever namespace, shows the volume's data (below `subpath`), or something
   * in it. Missing: no copy of a mount is left that shows anything, once the mount has ended.
   */
  shows?(mount: MountInfo, options: Options, subpath: string): boolean;
  /** Asks the server itself for a sign of life, beyond a connection; missing: none is known. */
  greet?(options: Options, operation: Operation): Promise<void>;
  /**
   * Other options or another secret are to have their effect on what is mounted, without a new
   * mount. Resolves with whether that was possible. Missing: it never is.
   */
  refresh?(mount: RemoteMount<Options>, operation: Operation): Promise<boolean>;
  /**
   * Whether these words of what is mounted say that the server does not take its login any more:
   * the kernel connects anew with what it was given at the mount. Missing: nothing says so, or
   * `refresh` sees to it.
   */
  isLoginRefused?(words: string): boolean;
}
