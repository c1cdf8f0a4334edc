// The machine: time, randomness, programs, mounts. Tests bring their own.
import type { Operation } from "./operation.ts";
import type { MountsBelow, MountsFound, PeerQuestion, PeerScan } from "./peer-mount.ts";
import type { ProcessSight, ProcessWatch } from "./process-watch.ts";
import type { StorageAnswer, StorageQuestion } from "./storage-answer.ts";
import type { WatchRequest, WriteWatch } from "./write-watch.ts";

/** The outcome of a program that ended by itself. */
export interface ProgramResult {
  /** Exit status, 128 + n when signal n ended it. */
  readonly exitCode: number;
  /** Output as text, cut to `PROGRAM_OUTPUT_BYTES_MAX`. */
  readonly stdout: string;
  readonly stderr: string;
}

/** How much of a program's output is kept, in bytes each for stdout and stderr. */
export const PROGRAM_OUTPUT_BYTES_MAX = 64 * 1024;

/** One line of the kernel's mount table (/proc/self/mountinfo). */
export interface MountInfo {
  readonly mountId: number;
  readonly parentId: number;
  /** `major:minor` of the mount's device. */
  readonly device: string;
  /** The path inside that file system which is mounted. */
  readonly root: string;
  readonly target: string;
  readonly options: readonly string[];
  /** `shared:N`, `master:N`, … */
  readonly propagation: readonly string[];
  readonly fileSystem: string;
  readonly source: string;
  /** Of the file system, whoever mounted it: `hard`, `vers=4.2`. Missing: not known. */
  readonly superOptions?: readonly string[];
}

/** What is to be mounted, in the words of mount(8). */
export interface MountRequest {
  readonly type: string;
  readonly device: string;
  /** Absolute; an existing directory. */
  readonly target: string;
  /** The comma-separated words after `-o`; "" for none. May hold secrets: never printed. */
  readonly options: string;
}

/** What is to be reachable at a second place. */
export interface BindRequest {
  /** Absolute; an existing directory. */
  readonly source: string;
  /** Absolute; an existing directory. */
  readonly target: string;
  /**
   * The source lies on storage that may not answer: a helper process does it. "unknown": only what
   * the mount table shows to lie on a disk or in memory of this machine, or to be a FUSE mount as a
   * whole, whose process need not be asked, is bound without one.
   */
  readonly mayHang: boolean | "unknown";
  /**
   * The source is a path inside this directory, as a process sees it whose `/` it is: symbolic
   * links and `..` in it cannot lead out of it (openat2(2), RESOLVE_IN_ROOT). Where the path
   * crosses into another mount a helper process goes on, whatever `mayHang` says.
   */
  readonly beneath?: string | undefined;
}

/** A layer of an image that is to be unpacked. */
export interface LayerRequest {
  /** Absolute: a tar, plain or compressed with gzip or zstd, which its first bytes tell. */
  readonly archive: string;
  /** Absolute; an existing directory. What is in it from layers before is kept or whited out. */
  readonly into: string;
  /** More than this, unpacked, is refused. */
  readonly bytesMax: number;
  readonly entryCountMax: number;
}

/** A helper command of our own executable (src/host/own-executable.ts). */
export interface AssistRequest {
  readonly command:
    | "storage-step"
    | "measure-storage"
    | "recognise-data"
    | "publish-step"
    | "publish-unpack";
  /** Absolute. What the helper works on and beneath. */
  readonly directory: string;
  readonly input: unknown;
  /**
   * What it reads behind its input, while it comes. When that throws, the helper is killed before
   * it sees an end, and `assist` rejects with it.
   */
  readonly body?: AsyncIterable<Uint8Array> | undefined;
  /** Hears each line of JSON that it prints before the last one: how far it is. */
  readonly told?: ((line: unknown) => void) | undefined;
}

/** From `start` up to, and without, `end`, in bytes. */
export interface FileSpan {
  readonly start: number;
  readonly end: number;
}

export interface KeptRequest {
  readonly program: string;
  readonly args: readonly string[];
  /** Added to the environment of all programs. May hold no secrets: root can read it. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Absolute; appended to, made with mode 0600. */
  readonly log: string;
  /** For its standard input, which is closed behind it. May be a secret. */
  readonly input?: Uint8Array | undefined;
}

/** A process and when it began (`processStart`): together they never mean another one. */
export interface KeptProcess {
  readonly pid: number;
  readonly start: string;
}

export interface FoundProcess extends KeptProcess {
  /** The name of what it runs, without its directory. */
  readonly program: string;
  /** The first such path, an argument or a word of one. */
  readonly path: string;
}

/** What is asked of a mount that a process may see. */
export interface SightQuestion {
  readonly group: number;
  /** It shows storage that may not answer: only the mount table is looked at. */
  readonly mayHang: boolean;
}

/** Work and rest by turns, in milliseconds: at most `workMs / (workMs + restMs)` of a processor. */
export interface Pace {
  readonly workMs: number;
  readonly restMs: number;
  /**
   * What rests, as the kernel names it: whatever starts it (setpriv(1)) is not stopped before the
   * process has become this program.
   */
  readonly program: string;
  /** Asked before each rest: whether it is left out. */
  readonly isUrgent?: () => boolean;
}

export interface Host {
  /** Wall clock in milliseconds since the epoch. */
  nowMs(): number;
  /** A clock that only goes forward, in milliseconds with fractions. */
  monotonicMs(): number;
  /** `bytes` random bytes as lower-case hex. */
  randomHex(bytes: number): string;

  /**
   * Runs a program with exact arguments: no shell. A signal that fires ends it with SIGKILL and
   * rejects at once, whether or not the kernel lets it die: a process stuck in the kernel is
   * abandoned. With a pace it is stopped (SIGSTOP) for the time of its rests; it should end with
   * the daemon by itself (setpriv(1)), which may go in one of them. Throws `host.program_missing`
   * when it is not installed.
   */
  run(
    program: string,
    args: readonly string[],
    operation: Operation,
    pace?: Pace,
  ): Promise<ProgramResult>;

  /** The absolute path of the program that `run` would start; undefined: it is not installed. */
  findProgram(program: string): string | undefined;
  /**
   * When process `pid` began, in words that no other process of this number ever has, on this
   * machine and over its boots. undefined: it is gone, or has ended and is only not reaped yet.
   */
  processStart(pid: number): string | undefined;

  /** The mount table as the daemon sees it. Reading it never blocks on storage. */
  mounts(): readonly MountInfo[];
  /**
   * Mounts through a helper process and proves it by the mount table. Throws `volume.mount_failed`
   * with the program's own words, secrets masked. A target whose last helper is stuck is refused
   * with `driver.timed_out`: at most one stuck helper per target.
   */
  mount(request: MountRequest, operation: Operation): Promise<void>;
  /** Unmounts what is mounted at `target` (the topmost). Succeeds when nothing is. */
  unmount(target: string, operation: Operation): Promise<void>;
  /**
   * Takes away everything that is mounted at `target`, whoever still uses it (MNT_DETACH): for
   * storage that will never answer again. Who has it open keeps what is left of it. Resolves when
   * the mount table does not show it any more. A program does it: the kernel has whoever takes the
   * last mount away wait for what was not written yet, and nobody waits for that program. Succeeds
   * when nothing is mounted. Throws `volume.unmount_failed`.
   */
  detach(target: string, operation: Operation): Promise<void>;
  /**
   * Has the kernel fail all that waits for the FUSE file system of this device (`0:53`), now and
   * from now on (fusectl, which need not be mounted). Never waits. False: there is no such
   * connection. Throws `host.denied`, `storage.failed`.
   */
  abortFuse(device: string): boolean;
  /**
   * Asks the storage at `directory` for a sign of life in a helper process, and with that how much
   * room it says it has. What the storage answers instead is thrown as `storage.failed` with
   * `details.isGone` (it will never answer again: a dead FUSE process, a stale handle) and its
   * words. One question at a time for each directory: while an abandoned one has not ended this
   * throws `driver.timed_out` at once.
   */
  askStorage(
    directory: string,
    operation: Operation,
    also?: StorageQuestion,
  ): Promise<StorageAnswer>;
  /**
   * Runs one of our own helper commands on storage that may not answer, at most one of a kind at a
   * time for each `directory`, which it may not leave. `input` is JSON on its standard input;
   * resolves with the JSON that it printed last. Throws what the helper threw, by code and with its
   * details, and `driver.timed_out` while an abandoned one has not ended. It ends with the daemon.
   */
  assist(request: AssistRequest, operation: Operation): Promise<unknown>;
  /**
   * Starts a program that outlives the daemon: in a session of its own, in `/`, its output in a
   * file. It is not waited for. One that ends at once has a `start` that is nobody's. Throws
   * `host.program_missing`, `storage.*`.
   */
  startKept(request: KeptRequest): KeptProcess;
  /**
   * Other processes that have a path at or below `directory`, which is the daemon's alone, in an
   * argument: those that it started, though it died before it could note them. O(processes).
   */
  findKept(directory: string): readonly FoundProcess[];
  /**
   * Signals a process and all of its process group, if it is still that one. False: it is gone.
   * Never throws.
   */
  signalKept(process: KeptProcess, signal: "SIGTERM" | "SIGKILL"): boolean;
  /**
   * The parts of a file that are no holes, in order. In blocks of its file system, so that zeros
   * which nobody wrote may be at their edges; all of it on one that has no holes. For files on this
   * host's own storage. Throws `storage.*`.
   */
  dataSpans(file: string): readonly FileSpan[];
  /**
   * Keeps a mount point from being written to while nothing is mounted on it (the immutable flag,
   * where the file system has one; else mode 0), or ends that: the mode is 0700 then. Touches
   * nothing that is mounted there: that is refused. Throws `storage.*`, `host.denied`.
   */
  seal(directory: string, isSealed: boolean): void;

  /**
   * Mounts `source` at `target` too, as a mount with a peer group that no other mount has, so that
   * every copy of it can be told from copies of any other. Returns the group. Where `target` lies
   * on a shared mount, other namespaces get their copies in the same step. Throws
   * `volume.mount_failed`, and `driver.timed_out` while the target's last helper is stuck.
   */
  bind(request: BindRequest, operation: Operation): Promise<number>;
  /**
   * Unpacks a layer (OCI image specification: whiteouts, hard links, devices, owners, extended
   * attributes) in a helper process that has `into` as its root directory, so that no name in the
   * archive can lead out of it. Durable when it resolves. Throws `plugin.image_invalid` and
   * `storage.*`; what was unpacked by then stays, for the caller to remove.
   */
  unpackLayer(request: LayerRequest, operation: Operation): Promise<void>;
  /**
   * Ends a mount made by `bind`, here and in the namespaces that got it from here; copies made from
   * it stay, and belong to no group any more: the kernel soon gives its number to another one.
   * "busy": a process uses it through this very mount, and it is left. Never waits. Throws
   * `volume.unmount_failed`.
   */
  unbind(target: string): "gone" | "busy";
  /**
   * All mounts of these groups in all mount namespaces, and the mounts in other groups or none of
   * these places (see `placeOfMount`). A namespace may share on what it gets, in groups of its own:
   * those mounts are shown as of the group that they came from. O(processes + namespaces · mounts).
   */
  peerMounts(question: PeerQuestion): PeerScan;
  /** The same, letting others work in between: what changes meanwhile may be missing. */
  peerMountsInTurns(question: PeerQuestion): Promise<PeerScan>;
  /**
   * All mounts, in all mount namespaces, that show one of these directories or anything in it, by
   * whatever path they were reached before. As costly as `peerMountsInTurns`, and as patient.
   */
  mountsBelow(directories: readonly string[]): Promise<MountsBelow>;
  /**
   * All mounts, in all mount namespaces, that `isWanted` says yes to. It is asked for each mount of
   * the machine. As costly as `peerMountsInTurns`, and as patient.
   */
  mountsWhere(isWanted: (mount: MountInfo) => boolean): Promise<MountsFound>;
  /**
   * The program that a process runs, as the kernel names it (`/proc/PID/comm`, at most 15 bytes);
   * "" when it is gone. May be as old as a second.
   */
  programOf(pid: number): string;
  /**
   * The container that a process is in, by its control group: 64 hex digits. Of several the
   * outermost that the daemon is not in itself: the others have names that those in it chose. null:
   * in none that is known, or it is gone.
   */
  containerOf(pid: number): string | null;
  /**
   * Whether process `pid` sees a mount of the peer group at `target`; undefined when the process is
   * gone or cannot be looked at.
   */
  seesMount(pid: number, target: string, question: SightQuestion): boolean | undefined;
  /**
   * Whether any process in the mount namespace of `pid` has its working directory at `target` or
   * beneath it, or an open file on a mount there that another one hides. Waits for no storage:
   * /proc only. What is only mapped into memory is not seen. O(processes + their open files).
   */
  sitsBelow(pid: number, target: string): Promise<boolean>;
  /** Whether process `pid` lives and is in this mount namespace (`PeerMount.namespace`). */
  isInNamespace(pid: number, namespace: string): boolean;
  /**
   * Whether something is mounted on a directory. Asks the storage that the directory lies on, never
   * what is mounted there.
   */
  isMountPoint(directory: string): boolean;
  /**
   * Has the kernel tell of writes through one mount (fanotify), and of no others. Only for storage
   * of this machine. It sees no writes through memory maps, no truncating, and nothing of other
   * hosts. Each watch takes one of the kernel's few groups (see `writeWatchCountMax`). Throws
   * `host.unsupported` with the reason, `host.denied`, and `storage.failed` with `details.isGone`:
   * the mount is not there any more.
   */
  watchWrites(request: WatchRequest): WriteWatch;
  /** How many watches one daemon may have at once, so that others have some left. */
  writeWatchCountMax(): number;
  /**
   * Where a file that was written to lies below `directory`, which shows the same file system:
   * `/a/b`. undefined: it is gone, or elsewhere. Only for storage of this machine.
   */
  pathOfWritten(directory: string, file: string): string | undefined;
  /**
   * Watches one process (pidfd). undefined: it is gone, or `start` says that it is another one.
   * All that are watched cost one timer together. Throws `storage.failed` where the kernel, or a
   * limit on descriptors, does not let it.
   */
  watchProcess(process: KeptProcess): ProcessWatch | undefined;
  /**
   * What a process sees and where it belongs, all of one moment. undefined: it is gone, `start`
   * says that it is another one, or it may not be looked at. Never waits: /proc only.
   */
  sightOf(process: KeptProcess): ProcessSight | undefined;
  /**
   * Gives a directory an owner and permission bits where they differ; undefined leaves them.
   * Follows no symbolic link. Throws `storage.*`, `host.denied`.
   */
  own(directory: string, wanted: DirectoryOwner): void;
}

/** Numbers as chown(2) and chmod(2) take them. */
export interface DirectoryOwner {
  readonly userId?: number | undefined;
  readonly groupId?: number | undefined;
  readonly mode?: number | undefined;
}
