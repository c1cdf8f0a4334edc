// What happened, for followers: Docker's ring of the last 256 events and a live stream.
import type { DriverName, VolumeName } from "../core/names.ts";
import type { PluginId } from "../core/plugin.ts";

/** How many events the history keeps: dockerd's figure. */
export const EVENT_HISTORY_COUNT = 256;
/** How many followers may listen at once; each costs a connection and a filter run per event. */
export const EVENT_FOLLOWER_COUNT_MAX = 256;

const NANOSECONDS_PER_MS = 1_000_000;

/** A step back of the clock that is more than jitter, in milliseconds. */
const CLOCK_STEP_MS = 1_000;

/**
 * The first five are Docker's. "violation": a container has broken a volume's sharing mode.
 * "warning": a volume's data is on storage that cannot carry it. Of the trash: "restore", "purge"
 * (it is destroyed) and "evict" (space is wanted; its purge follows). Of its storage: "degraded"
 * (it is not as it should be) and "recovered". Of its locks: "lock-lost" (its holder did not renew
 * it in time) and "lock-stolen". "conflict": two containers wrote one of its files.
 * "database-shared": a database is in it, and a second running container may write to it.
 */
export type VolumeAction =
  | "create"
  | "mount"
  | "unmount"
  | "destroy"
  | "prune"
  | "violation"
  | "restore"
  | "purge"
  | "evict"
  | "rename"
  | "update"
  | "protect"
  | "unprotect"
  | "degraded"
  | "recovered"
  | "lock-lost"
  | "lock-stolen"
  | "conflict"
  | "database-shared"
  | "publish"
  | "warning";

/** Docker's, of managed plugins. */
export type PluginAction = "pull" | "create" | "enable" | "disable" | "remove";

/** Docker's, of Swarm's secrets; ours are Holdfast's own. */
export type SecretAction = "create" | "update" | "remove";

/** One event. Times are split because nanoseconds since the epoch do not fit a number. */
export type EngineEvent = EventMoment &
  (
    | {
        readonly type: "volume";
        readonly action: VolumeAction;
        /** The volume's name; "" for prune. */
        readonly actor: VolumeName | "";
      }
    | {
        readonly type: "plugin";
        readonly action: PluginAction;
        /** The plugin's id; of "pull" what was pulled. */
        readonly actor: PluginId;
      }
    | {
        readonly type: "secret";
        readonly action: SecretAction;
        /** The secret's name. */
        readonly actor: string;
      }
  );

interface EventMoment {
  readonly attributes: Readonly<Record<string, string>>;
  /** Whole seconds since the epoch. */
  readonly seconds: number;
  /** 0 to 999,999,999. Strictly increasing within a second, so that events can be told apart. */
  readonly nanoseconds: number;
}

/** What is wanted of the log, by time. Both ends are inclusive, in milliseconds with fractions. */
export interface EventSpan {
  readonly sinceMs?: number;
  readonly untilMs?: number;
}

/** An event that has no time yet. */
type EventNews = EngineEvent extends infer Event
  ? Event extends EngineEvent
    ? Omit<Event, "seconds" | "nanoseconds">
    : never
  : never;

export class EventLog {
  readonly #nowMs: () => number;
  readonly #ring: EngineEvent[] = [];
  readonly #followers = new Set<(event: EngineEvent) => void>();
  readonly #watchers: ((event: EngineEvent) => void)[] = [];
  #lastMs = 0;
  #nanosecondsAfter = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get followerCount(): number {
    return this.#followers.size;
  }

  /** A volume's event; `driver` becomes an attribute, as in Docker. */
  volume(
    action: VolumeAction,
    name: VolumeName,
    attributes: { readonly driver: DriverName } & Readonly<Record<string, string>>,
  ): void {
    this.#publish({ type: "volume", action, actor: name, attributes });
  }

  /** A plugin's event; `name` is what the caller calls it. */
  plugin(action: PluginAction, actor: PluginId, name: string): void {
    this.#publish({ type: "plugin", action, actor, attributes: { name } });
  }

  /** A secret's event. Its value is in none. */
  secret(action: SecretAction, name: string): void {
    this.#publish({ type: "secret", action, actor: name, attributes: { name } });
  }

  /** The end of a prune, also of one that removed nothing. */
  pruned(reclaimedBytes: number): void {
    const attributes = { reclaimed: String(reclaimedBytes) };
    this.#publish({ type: "volume", action: "prune", actor: "", attributes });
  }

  /** The events of the ring within the span, oldest first. */
  history(span: EventSpan): readonly EngineEvent[] {
    return this.#ring.filter((event) => {
      const atMs = event.seconds * 1000 + event.nanoseconds / 1e6;
      return (
        (span.sinceMs === undefined || atMs >= span.sinceMs) &&
        (span.untilMs === undefined || atMs <= span.untilMs)
      );
    });
  }

  /** As `follow`, for a part of the engine itself: for ever, and not counted. */
  watch(listener: (event: EngineEvent) => void): void {
    this.#watchers.push(listener);
  }

  /** Calls `listener` for every event from now on, until the returned function is called. */
  follow(listener: (event: EngineEvent) => void): () => void {
    this.#followers.add(listener);
    return () => void this.#followers.delete(listener);
  }

  #publish(news: EventNews): void {
    const event: EngineEvent = { ...news, ...this.#tick() };
    if (this.#ring.length >= EVENT_HISTORY_COUNT) this.#ring.shift();
    this.#ring.push(event);
    for (const watcher of this.#watchers) watcher(event);
    for (const follower of this.#followers) follower(event);
  }

  /** The clock gives milliseconds and may step back; events never do. */
  #tick(): { readonly seconds: number; readonly nanoseconds: number } {
    const nowMs = this.#nowMs();
    // A clock that was far ahead and has been set right must not stamp events for days to come.
    if (nowMs > this.#lastMs || nowMs < this.#lastMs - CLOCK_STEP_MS) {
      this.#lastMs = nowMs;
      this.#nanosecondsAfter = 0;
    } else {
      this.#nanosecondsAfter += 1;
      if (this.#nanosecondsAfter === NANOSECONDS_PER_MS) {
        this.#lastMs += 1;
        this.#nanosecondsAfter = 0;
      }
    }
    return {
      seconds: Math.floor(this.#lastMs / 1000),
      nanoseconds: (this.#lastMs % 1000) * NANOSECONDS_PER_MS + this.#nanosecondsAfter,
    };
  }
}
