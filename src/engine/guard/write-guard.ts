// Watches who writes what of the volumes that two or more containers have read-write, and tells of
// two that wrote one file at nearly the same time.
//
// It follows the looks at holds: marks come and go with the containers. Events are read by polling,
// because those that wait merge; while nothing is watched there is no timer. It never stops a
// write, and opens none of the files.
import { toEngineError } from "../../core/errors.ts";
import type { MountInfo } from "../../core/host.ts";
import type { VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { PeerMount } from "../../core/peer-mount.ts";
import type { StateStore, VolumeEntry } from "../../core/state-store.ts";
import type { WriteWatch } from "../../core/write-watch.ts";
import { engineOptions } from "../engine-options.ts";
import type { EventLog } from "../event-log.ts";
import type { HoldSettler } from "../holds/hold-settler.ts";
import type { Hold } from "../holds/hold-table.ts";
import { ConflictReports, type ConflictReportsParts } from "./conflict-reports.ts";
import { WINDOW_MS, WriteConflicts } from "./write-conflicts.ts";

/** The pause between two reads while something is watched, in milliseconds. */
const POLL_MS = 200;
/** So long may one round of reads take; whom it has not come to is the first of the next one. */
const ROUND_MS_MAX = 50;
/** The pause after a round is so many times as long: containers that write a lot cost no more. */
const PAUSE_TIMES = 4;
/** A mount's gaps are a line of the log once in so many milliseconds; the figures count them. */
const GAP_LOG_MS = 60_000;
/** Of how many processes that wrote since the last read the program is asked for. */
const PROGRAM_COUNT_MAX = 32;
/** How many files, written within the window, are remembered of all volumes together. */
const FILE_COUNT_MAX = 16_384;
/** And of each, however many there are. */
const FILE_COUNT_MIN = 512;
/** Of how many volumes it is remembered what was reported, though nobody shares them now. */
const GUARDED_COUNT_MAX = 256;

/** Whether a volume's writers are seen, and why not. */
export interface Watching {
  /** "partly": some containers' writes are not seen. */
  readonly state: "yes" | "partly" | "no";
  /** null: there is nothing to say. */
  readonly reason: string | null;
}

/** Since the daemon has begun. */
export interface GuardFigures {
  readonly conflicts: number;
  /** Conflicts beyond what is reported in an hour. */
  readonly unreported: number;
  /** How often some writes were not seen: the kernel's queue, or our memory, was full. */
  readonly gaps: number;
  /** Mounts that are watched now. */
  readonly watched: number;
}

export interface WriteGuardParts extends Omit<ConflictReportsParts, "state"> {
  readonly state: StateStore;
  readonly events: EventLog;
  /** A function, because the settler knows the guard too. */
  readonly holds: () => Pick<HoldSettler, "holdsOf" | "all" | "settle">;
  /** Instead of 200 milliseconds. */
  readonly pollMs?: number | undefined;
}

/** A container's mount of a volume that is read-write. */
interface Use {
  readonly container: string;
  readonly mount: PeerMount;
  /** Where the volume's data is seen here. */
  readonly path: string;
}

interface Watch extends Use {
  readonly volume: VolumeName;
  readonly writes: WriteWatch;
  /** When it was last read, by the clock that only goes forward. */
  readMs: number;
  /** When a gap was last logged. */
  gapLoggedMs: number;
}

interface Guarded {
  readonly conflicts: WriteConflicts;
  /** What keeps mounts from being watched, by their keys. */
  readonly refusals: Map<string, string>;
  watching: Watching;
}

const never = { gapLoggedMs: Number.NEGATIVE_INFINITY } as const;

const IDLE: Watching = {
  state: "no",
  reason: "fewer than two running containers have it read-write",
};

export class WriteGuard {
  readonly #parts: WriteGuardParts;
  readonly #reports: ConflictReports;
  readonly #watches = new Map<string, Watch>();
  readonly #guarded = new Map<VolumeName, Guarded>();
  #timer: NodeJS.Timeout | undefined;
  #gaps = 0;
  #unreported = 0;
  #isStopped = false;

  constructor(parts: WriteGuardParts) {
    this.#parts = parts;
    this.#reports = new ConflictReports(parts);
    parts.events.watch(({ type, action }) => {
      // The option may be another one now.
      if (type === "volume" && action === "update") this.#lookAgain();
    });
  }

  /** See `ConflictReports`. */
  get reports(): Pick<ConflictReports, "latestOf" | "latest"> {
    return this.#reports;
  }

  get figures(): GuardFigures {
    let unreported = this.#unreported;
    let gaps = this.#gaps;
    for (const { conflicts } of this.#guarded.values()) {
      unreported += conflicts.unreportedCount;
      gaps += conflicts.cutCount;
    }
    return { conflicts: this.#reports.count, unreported, gaps, watched: this.#watches.size };
  }

  watchingOf({ name, options }: Pick<VolumeEntry, "name" | "options">): Watching {
    if (engineOptions(options).guard === "off") return { state: "no", reason: "guard=off" };
    return this.#guarded.get(name)?.watching ?? IDLE;
  }

  /** Watches what the last look at holds has shown, and nothing else any more. Never throws. */
  look(volumes: ReadonlySet<VolumeName>, operation: Operation): void {
    if (this.#isStopped) return;
    const wanted = new Map([...volumes].map((name) => [name, this.#usesOf(name)] as const));
    const keys = new Set<string>();
    for (const [name, uses] of wanted) for (const use of uses) keys.add(keyOf(name, use));
    const over = [...this.#watches].filter(
      ([key, { writes }]) => !keys.has(key) || writes.isOver(),
    );
    // What was written until now is still compared with what the others have written.
    if (over.length > 0) this.#read();
    for (const [key, watch] of over) this.#end(key, watch);
    for (const [name, guarded] of this.#guarded) {
      if ((wanted.get(name) ?? []).length > 0) continue;
      guarded.refusals.clear();
      guarded.watching = IDLE;
      if (this.#guarded.size > GUARDED_COUNT_MAX) this.#forget(name, guarded);
    }
    for (const [name, uses] of wanted) if (uses.length > 0) this.#watchAll(name, uses, operation);
    this.#schedule();
  }

  /**
   * What was written until now is compared and told, and who has the volumes now is watched, when
   * it resolves. Never rejects.
   */
  async settle(operation: Operation): Promise<void> {
    this.#read();
    await this.#parts.holds().settle(operation);
    await this.#reports.settled();
  }

  /** Ends all watches; resolves when what was found is told. */
  async stop(): Promise<void> {
    this.#read();
    this.#isStopped = true;
    clearTimeout(this.#timer);
    for (const { writes } of this.#watches.values()) writes[Symbol.dispose]();
    this.#watches.clear();
    await this.#reports.settled();
  }

  #lookAgain(): void {
    const volumes = new Set(
      this.#parts
        .holds()
        .all()
        .map(({ volume }) => volume),
    );
    this.look(volumes, this.#parts.operation());
  }

  /** None unless two containers can write at the same time. */
  #usesOf(name: VolumeName): readonly Use[] {
    const holds = this.#parts.holds().holdsOf(name);
    const uses = holds.flatMap(usesOfHold);
    if (new Set(uses.map(({ container }) => container)).size < 2) return [];
    const entry = this.#parts.state.read((view) => view.volume(name));
    return entry === undefined || engineOptions(entry.options).guard === "off" ? [] : uses;
  }

  #watchAll(name: VolumeName, uses: readonly Use[], operation: Operation): void {
    const guarded = this.#guardedOf(name);
    const keys = new Set(uses.map((use) => keyOf(name, use)));
    for (const key of guarded.refusals.keys()) if (!keys.has(key)) guarded.refusals.delete(key);
    const countMax = this.#parts.host.writeWatchCountMax();
    const missing = uses.filter((use) => !this.#watches.has(keyOf(name, use)));
    const room = countMax - this.#watches.size;
    // One container alone would be watched for nothing.
    const isFull = uses.length - missing.length + Math.min(room, missing.length) < 2;
    const table = missing.length === 0 || isFull ? [] : this.#parts.host.mounts();
    for (const use of missing) {
      const key = keyOf(name, use);
      if (isFull || this.#watches.size >= countMax) guarded.refusals.set(key, limitText(countMax));
      else this.#watch(name, use, table, guarded, operation);
    }
    guarded.watching = watchingText(uses.length, guarded.refusals);
  }

  #watch(
    volume: VolumeName,
    use: Use,
    table: readonly MountInfo[],
    { refusals }: Guarded,
    operation: Operation,
  ): void {
    const { host } = this.#parts;
    const { pid, namespace, target } = use.mount;
    const key = keyOf(volume, use);
    try {
      const isWanted = isBelowHold(use.path, table);
      const writes = host.watchWrites({ pid, namespace, target, isWanted });
      this.#watches.set(key, { ...use, volume, writes, readMs: host.monotonicMs(), ...never });
      refusals.delete(key);
    } catch (thrown) {
      const { code, message } = toEngineError(thrown);
      if (refusals.get(key) === message) return;
      refusals.set(key, message);
      const fields = { volume, container: use.container, code, error: message };
      operation.log.debug("who writes through a container's mount is not watched", fields);
    }
  }

  #guardedOf(name: VolumeName): Guarded {
    const known = this.#guarded.get(name);
    if (known !== undefined) return known;
    const fileCountMax = () => {
      const volumes = new Set([...this.#watches.values()].map(({ volume }) => volume));
      return Math.max(FILE_COUNT_MIN, Math.floor(FILE_COUNT_MAX / Math.max(1, volumes.size)));
    };
    const made = {
      conflicts: new WriteConflicts(fileCountMax),
      refusals: new Map<string, string>(),
      watching: IDLE,
    };
    this.#guarded.set(name, made);
    return made;
  }

  #forget(name: VolumeName, { conflicts }: Guarded): void {
    this.#unreported += conflicts.unreportedCount;
    this.#gaps += conflicts.cutCount;
    this.#guarded.delete(name);
  }

  #end(key: string, watch: Watch): void {
    watch.writes[Symbol.dispose]();
    this.#watches.delete(key);
    const isOfThat = ({ volume, container }: Watch): boolean =>
      volume === watch.volume && container === watch.container;
    if ([...this.#watches.values()].some(isOfThat)) return;
    this.#guarded.get(watch.volume)?.conflicts.forget(watch.container);
  }

  #schedule(pauseMs = 0): void {
    if (this.#watches.size === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    } else if (this.#timer === undefined && !this.#isStopped) {
      const pollMs = this.#parts.pollMs ?? POLL_MS;
      this.#timer = setTimeout(
        () => {
          this.#timer = undefined;
          this.#schedule(this.#readRound() * PAUSE_TIMES);
        },
        Math.max(pollMs, pauseMs),
      );
      this.#timer.unref();
    }
  }

  #read(): void {
    for (const watch of this.#watches.values()) this.#readOne(watch);
  }

  /** Those first that were read longest ago. Returns how long it took, in milliseconds. */
  #readRound(): number {
    const { monotonicMs } = this.#parts.host;
    const startedMs = monotonicMs();
    const inTurn = [...this.#watches.values()].sort((one, other) => one.readMs - other.readMs);
    let tookMs = 0;
    for (const watch of inTurn) {
      this.#readOne(watch);
      tookMs = monotonicMs() - startedMs;
      if (tookMs >= ROUND_MS_MAX) break;
    }
    return tookMs;
  }

  #readOne(watch: Watch): void {
    const { host, operation } = this.#parts;
    const guarded = this.#guarded.get(watch.volume);
    const startedMs = host.monotonicMs();
    const afterMs = watch.readMs;
    try {
      const { written, isCut } = watch.writes.read();
      watch.readMs = startedMs;
      // What was written before a long pause cannot be put in order any more.
      const isLate = written.length > 0 && startedMs - afterMs > WINDOW_MS;
      if (isCut || isLate) this.#noteGap(watch, isCut);
      if (written.length === 0 || guarded === undefined) return;
      const programs = new Map<number, string>();
      for (const { pid } of written) {
        if (programs.size < PROGRAM_COUNT_MAX && !programs.has(pid)) {
          programs.set(pid, host.programOf(pid));
        }
      }
      const { news, isConflict } = guarded.conflicts.note({
        container: watch.container,
        written: written.map(({ file, pid }) => ({ file, program: programs.get(pid) ?? "" })),
        ...{ afterMs, atMs: host.monotonicMs() },
      });
      for (const conflict of news) this.#reports.report(watch.volume, conflict, watch.path);
      if (isConflict) this.#reports.goesOn(watch.volume);
    } catch (thrown) {
      const error = toEngineError(thrown).message;
      operation().log.warn("writes could not be read", { volume: watch.volume, error });
    }
  }

  #noteGap(watch: Watch, isCut: boolean): void {
    this.#gaps += 1;
    const nowMs = this.#parts.host.monotonicMs();
    if (nowMs - watch.gapLoggedMs < GAP_LOG_MS) return;
    watch.gapLoggedMs = nowMs;
    const { volume, container } = watch;
    const reason = isCut ? "the kernel's queue was full" : "the daemon was stopped or busy";
    const { log } = this.#parts.operation();
    log.info("some writes were not seen", { volume, container, reason });
  }
}

function usesOfHold({ uses, path }: Hold): readonly Use[] {
  return uses.flatMap((mount): readonly Use[] => {
    const { container, isReadOnly } = mount;
    return container === null || isReadOnly ? [] : [{ container, mount, path }];
  });
}

function keyOf(volume: VolumeName, { container, mount }: Use): string {
  return `${volume} ${container} ${mount.namespace} ${mount.target}`;
}

/** Whether a mount shows what the hold at `path` shows, or something in it. */
function isBelowHold(path: string, table: readonly MountInfo[]): (mount: MountInfo) => boolean {
  const holds = table.filter(({ target }) => target === path);
  return ({ device, root }) =>
    holds.some(
      (hold) =>
        hold.device === device &&
        (hold.root === "/" || root === hold.root || root.startsWith(`${hold.root}/`)),
    );
}

function limitText(countMax: number): string {
  return `all ${countMax} mounts that are watched at once are taken`;
}

function watchingText(useCount: number, refusals: ReadonlyMap<string, string>): Watching {
  const [reason] = refusals.values();
  if (reason === undefined) return { state: "yes", reason: null };
  const seenCount = useCount - refusals.size;
  if (seenCount < 2) return { state: "no", reason };
  const { size } = refusals;
  return { state: "partly", reason: `${size} of ${useCount} mounts are not watched: ${reason}` };
}
