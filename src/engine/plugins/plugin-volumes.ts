// Volumes of plugins: when plugins are asked what they have, and what is known meanwhile.
//
// Everything here is in the background: `ls` and `inspect` answer from rows, and wait a moment only
// for a plugin that answered within it the last time.
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { DriverName, VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { PluginHost, PluginStatus } from "../../core/plugin.ts";
import type { StateStore, VolumeEntry } from "../../core/state-store.ts";
import type { Drivers } from "../drivers.ts";
import type { EventLog } from "../event-log.ts";
import { endUnheldCounts } from "../holds/counted-mounts.ts";
import { MadeLately } from "../made-lately.ts";
import { unlessAborted } from "../pause.ts";
import { type StartTimer, startIdleTimer } from "../trash/timers.ts";
import type { VolumeEngine } from "../volumes.ts";
import {
  followList,
  LISTED_COUNT_MAX,
  type PluginList,
  type PluginListParts,
  readList,
} from "./plugin-lists.ts";
import { PluginWords } from "./plugin-words.ts";

/** How often plugins are asked, in milliseconds. */
const TICK_MS = 30_000;
/** Lists have a plugin asked no more often than that, in milliseconds. */
const PAUSE_MS = 1_000;
/** How long a list waits for plugins that answer as fast, in milliseconds. */
const WAIT_MS_MAX = 20;

/** How many names a line of the log has. */
const TOLD_NAME_COUNT = 10;

/** What is wrong with a volume because of its plugin. */
export interface PluginVolumeState {
  readonly word: "unreachable" | "disabled" | "gone" | "not listed";
  /** Milliseconds since the epoch. */
  readonly sinceMs: number;
  /** One line; "" where nothing is known. */
  readonly reason: string;
}

export interface PluginVolumesParts extends Omit<PluginListParts, "host" | "isMaking"> {
  readonly state: StateStore;
  readonly host: Pick<Host, "nowMs" | "programOf" | "monotonicMs">;
  readonly plugins: PluginHost;
  readonly drivers: Drivers;
  readonly events: EventLog;
  readonly volumes: Pick<VolumeEngine, "isMaking" | "held">;
  /** A fresh operation on the daemon's own account. */
  readonly operation: () => Operation;
  /** By default a real one. */
  readonly startTimer?: StartTimer | undefined;
}

/** What is known of one plugin's List. */
interface Listing {
  /** The look that is under way. */
  look: Promise<void> | undefined;
  /** Another one follows: the plugin is another process since, or has just become ready. */
  isWantedAgain: boolean;
  /** When the last look began, by the clock that only goes forward. */
  beganMs: number;
  /** How long the last List took; undefined: it has never answered. */
  tookMs: number | undefined;
  /** Why the last List failed; undefined: it did not. */
  failure: string | undefined;
  /** Volumes with a row that the last List did not have, and since when. */
  unlisted: Map<VolumeName, number>;
  /** That it lists what is no volume here is said once. */
  isTold: boolean;
  /** Of how many volumes another driver has the names. Said again when they become more. */
  hiddenCount: number;
}

export class PluginVolumes {
  readonly #parts: PluginVolumesParts;
  readonly #listings = new Map<string, Listing>();
  readonly #words: PluginWords;
  readonly #stopping = new AbortController();
  /** Names that were made, removed or renamed while some plugin was being asked, and when. */
  readonly #changed = new Map<string, number>();
  readonly #work = new Set<Promise<void>>();
  readonly #made: MadeLately;
  #unfollow: () => void = () => undefined;
  #stopTimer: () => void = () => undefined;

  constructor(parts: PluginVolumesParts) {
    this.#parts = parts;
    this.#words = new PluginWords({ ...parts, operation: () => this.#operation() });
    this.#made = new MadeLately(parts.startTimer ?? startIdleTimer, (name) => {
      const entry = this.#entry(name);
      if (entry !== undefined) void this.refreshOne(entry);
    });
    parts.events.watch(({ type, actor, action, attributes }) => {
      if (type !== "volume") return;
      this.#noteChange(actor);
      if (action === "rename") this.#noteChange(attributes["from"] ?? "");
      if (action === "destroy") this.#words.forget(actor);
      if (action === "create") this.#noteMade(actor);
    });
  }

  /** Follows plugins from now on, and asks those that are ready. */
  start(): void {
    this.#unfollow = this.#parts.plugins.follow((status) => this.#follow(status));
    for (const name of this.#ready()) {
      void this.#look(name);
      void this.#track(endUnheldCounts(this.#parts, name, this.#operation()));
    }
    this.#schedule();
  }

  /** Ends what is under way. */
  async stop(): Promise<void> {
    this.#stopping.abort(new EngineError("engine.stopping", "the daemon is shutting down"));
    this.#unfollow();
    this.#stopTimer();
    this.#made.stop();
    await Promise.all(this.#work);
  }

  /**
   * Has plugins asked that were not for a second. undefined: there is nobody to wait for; else
   * resolves within 20 ms, and never rejects.
   */
  refresh(): Promise<void> | undefined {
    const swift: Promise<void>[] = [];
    for (const name of this.#ready()) {
      const look = this.#look(name, PAUSE_MS);
      if (look !== undefined && this.#isSwift(name)) swift.push(look);
    }
    return swift.length === 0 ? undefined : aMoment(Promise.all(swift));
  }

  /** As `refresh`, for what the plugin says of one volume: for `words` next. */
  refreshOne(entry: VolumeEntry): Promise<void> | undefined {
    const { drivers } = this.#parts;
    if (!drivers.isOfPlugin(entry.driver) || !drivers.isReady(entry.driver)) return undefined;
    const asked = this.#track(this.#words.ask(entry));
    return this.#isSwift(entry.driver) ? aMoment(asked) : undefined;
  }

  /** The volume as its plugin described it last, with Docker's `Status` where it has one. */
  words(entry: VolumeEntry): {
    readonly entry: VolumeEntry;
    readonly status: Readonly<Record<string, unknown>>;
  } {
    return this.#words.of(entry);
  }

  /** The volume alone, as its plugin described it last. */
  described(entry: VolumeEntry): VolumeEntry {
    return this.#parts.drivers.isOfPlugin(entry.driver) ? this.#words.of(entry).entry : entry;
  }

  /** What is wrong with the volume; undefined: nothing, or it is not a plugin's. */
  stateOf({ name, driver }: VolumeEntry): PluginVolumeState | undefined {
    const { drivers } = this.#parts;
    if (!drivers.isOfPlugin(driver)) return undefined;
    const { state, sinceMs, reason } = drivers.pluginStatus(driver);
    if (state === "gone" || state === "disabled") return { word: state, sinceMs, reason };
    if (state !== "ready") {
      // Who has just been started is about to answer.
      const isStarting = state === "starting" && reason === "";
      return isStarting ? undefined : { word: "unreachable", sinceMs, reason };
    }
    const unlistedMs = this.#listings.get(driver)?.unlisted.get(name);
    if (unlistedMs === undefined) return undefined;
    return { word: "not listed", sinceMs: unlistedMs, reason: "its plugin does not list it" };
  }

  /** Docker's `Warnings` of a list: plugins whose volumes are listed as they were. */
  get warnings(): readonly string[] {
    const { plugins, drivers } = this.#parts;
    return plugins.statuses().flatMap(({ name, state, reason }) => {
      if (drivers.builtIn.has(name)) return [];
      const failure = state === "ready" ? this.#listings.get(name)?.failure : reason || state;
      const isSilent = state === "unreachable" || state === "restarting" || state === "ready";
      return isSilent && failure !== undefined ? [`list ${name}: ${failure}`] : [];
    });
  }

  /** Whether nobody is being asked just now. */
  get isQuiet(): boolean {
    return this.#work.size === 0;
  }

  #follow({ name, state }: PluginStatus): void {
    if (this.#stopping.signal.aborted || this.#parts.drivers.builtIn.has(name)) return;
    const { volumes } = this.#parts;
    if (state === "ready") {
      const listing = this.#listings.get(name);
      if (listing?.look === undefined) void this.#look(name);
      else listing.isWantedAgain = true;
      void this.#track(volumes.held.tellAll(this.#operation(), name));
      void this.#track(endUnheldCounts(this.#parts, name, this.#operation()));
    } else if (state !== "unreachable") {
      // Its process has ended, or another one has begun.
      volumes.held.lost(name);
    }
  }

  #noteMade(name: string): void {
    const entry = this.#entry(name);
    if (entry === undefined || !this.#parts.drivers.isOfPlugin(entry.driver)) return;
    this.#listings.get(entry.driver)?.unlisted.delete(entry.name);
    this.#made.add(name);
  }

  #schedule(): void {
    const { startTimer = startIdleTimer } = this.#parts;
    this.#stopTimer = startTimer(TICK_MS, () => {
      for (const name of this.#ready()) void this.#look(name, PAUSE_MS);
      this.#schedule();
    });
  }

  /** Plugins that can be asked; none that has the name of a built-in driver. */
  #ready(): readonly DriverName[] {
    const { plugins, drivers } = this.#parts;
    return plugins
      .statuses()
      .filter(({ name, state }) => state === "ready" && !drivers.builtIn.has(name))
      .map(({ name }) => name);
  }

  /** Begins a look, unless one is under way or has begun within `pauseMs`. */
  #look(name: DriverName, pauseMs = 0): Promise<void> | undefined {
    const { host } = this.#parts;
    if (this.#stopping.signal.aborted) return undefined;
    const listing = this.#listings.get(name) ?? newListing();
    this.#listings.set(name, listing);
    if (listing.look !== undefined) return listing.look;
    const nowMs = host.monotonicMs();
    if (nowMs - listing.beganMs < pauseMs) return undefined;
    listing.beganMs = nowMs;
    listing.look = this.#track(this.#ask(name, listing)).finally(() => {
      listing.look = undefined;
      if (listing.isWantedAgain) {
        listing.isWantedAgain = false;
        void this.#look(name);
      }
      if (![...this.#listings.values()].some(({ look }) => look !== undefined)) {
        this.#changed.clear();
      }
    });
    return listing.look;
  }

  /** Never rejects. */
  async #ask(name: DriverName, listing: Listing): Promise<void> {
    const { host, drivers, volumes } = this.#parts;
    const operation = this.#operation();
    const { beganMs } = listing;
    const driver = drivers.get(name);
    if (driver === undefined) return;
    try {
      const list = await unlessAborted(readList(driver, operation), operation.signal);
      listing.tookMs = host.monotonicMs() - beganMs;
      listing.failure = undefined;
      this.#tellOnce(name, listing, list);
      this.#tellHidden(name, listing, list);
      const isMaking = (each: string) => volumes.isMaking(each);
      const hasChanged = (each: string) => (this.#changed.get(each) ?? -1) >= beganMs;
      const parts = { ...this.#parts, isMaking };
      const foundCount = await followList(parts, { driver, list, hasChanged }, operation);
      listing.unlisted = list.isCut
        ? new Map()
        : this.#unlisted(listing, (row) => list.records.has(row) || hasChanged(row), name);
      if (foundCount > 0) {
        operation.log.info("a plugin has volumes that were not known", {
          ...{ driver: name, count: foundCount },
        });
      }
    } catch (error) {
      if (operation.signal.aborted) return;
      const { code, message } = toEngineError(error);
      if (listing.failure !== message) {
        operation.log.warn("a plugin does not list its volumes; they are left as they were", {
          ...{ driver: name, code, error: message },
        });
      }
      listing.failure = message;
    }
  }

  #unlisted(
    { unlisted: before }: Listing,
    isThere: (name: VolumeName) => boolean,
    driver: DriverName,
  ): Listing["unlisted"] {
    const nowMs = this.#parts.host.nowMs();
    return this.#parts.state.read((view) => {
      const unlisted = new Map<VolumeName, number>();
      for (const row of view.volumes()) {
        if (row.driver !== driver || row.phase !== "ready" || isThere(row.name)) continue;
        unlisted.set(row.name, before.get(row.name) ?? nowMs);
      }
      return unlisted;
    });
  }

  #tellOnce(
    driver: DriverName,
    listing: Listing,
    { badNameCount, isCut }: { readonly badNameCount: number; readonly isCut: boolean },
  ): void {
    if (listing.isTold || (badNameCount === 0 && !isCut)) return;
    listing.isTold = true;
    const { log } = this.#operation();
    if (badNameCount > 0) {
      log.warn("a plugin lists volumes whose names are none here; they are not shown", {
        ...{ driver, count: badNameCount },
      });
    }
    if (isCut) {
      log.warn("a plugin lists more volumes than are looked at; the rest is not shown", {
        ...{ driver, countMax: LISTED_COUNT_MAX },
      });
    }
  }

  /** A name is one volume: what another driver has by it is there, and not to be seen. */
  #tellHidden(driver: DriverName, listing: Listing, { records }: PluginList): void {
    const hidden = this.#parts.state.read((view) =>
      [...records.keys()].filter((name) => (view.volume(name)?.driver ?? driver) !== driver),
    );
    const isMore = hidden.length > listing.hiddenCount;
    listing.hiddenCount = hidden.length;
    if (!isMore) return;
    this.#operation().log.warn(
      "a plugin has volumes that are not shown: other drivers have volumes of these names",
      { driver, count: hidden.length, names: hidden.slice(0, TOLD_NAME_COUNT) },
    );
  }

  #noteChange(name: string): void {
    for (const listing of this.#listings.values()) {
      if (listing.look === undefined) continue;
      this.#changed.set(name, this.#parts.host.monotonicMs());
      return;
    }
  }

  /** Whether its last List took no longer than that, and the one under way has not either. */
  #isSwift(driver: string): boolean {
    const listing = this.#listings.get(driver);
    if (listing?.tookMs === undefined || listing.tookMs > WAIT_MS_MAX) return false;
    if (listing.look === undefined) return true;
    return this.#parts.host.monotonicMs() - listing.beganMs <= WAIT_MS_MAX;
  }

  #entry(name: string): VolumeEntry | undefined {
    return this.#parts.state.read((view) => view.volume(name));
  }

  #operation(): Operation {
    return { ...this.#parts.operation(), signal: this.#stopping.signal };
  }

  #track(work: Promise<void>): Promise<void> {
    const tracked = work.finally(() => this.#work.delete(tracked));
    this.#work.add(tracked);
    return tracked;
  }
}

function newListing(): Listing {
  return {
    ...{
      look: undefined,
      isWantedAgain: false,
      beganMs: Number.NEGATIVE_INFINITY,
      tookMs: undefined,
    },
    ...{ failure: undefined, unlisted: new Map(), isTold: false, hiddenCount: 0 },
  };
}

async function aMoment(work: Promise<unknown>): Promise<void> {
  await unlessAborted(work, AbortSignal.timeout(WAIT_MS_MAX)).catch(() => undefined);
}
