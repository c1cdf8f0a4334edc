// Health: looks at the storage of volumes again and again, remembers what it found, has it mended.
//
// health-table.ts has the rules of one volume, health-servers.ts those of a server, and
// health-mending.ts says when health-care.ts mends. Nothing here is waited for by anybody who lists
// or inspects.
import type { StorageHealth, StorageSpace, StorageState, Unsaved } from "../../core/driver.ts";
import { EngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { StateStore, VolumeEntry } from "../../core/state-store.ts";
import type { Drivers } from "../drivers.ts";
import type { EventLog } from "../event-log.ts";
import type { HeldMounts } from "../holds/held-mounts.ts";
import { type StartTimer, startIdleTimer } from "../trash/timers.ts";
import { DeathWatch } from "./health-deaths.ts";
import { HealthFigures } from "./health-figures.ts";
import { type HealthCare, Mending } from "./health-mending.ts";
import { Questions, silence } from "./health-questions.ts";
import {
  checksAtOnce,
  dueMsFor,
  newServer,
  nextDueMs,
  noteServer,
  noteStir,
  type ServerWatch,
  takeDue,
} from "./health-servers.ts";
import {
  type HealthChange,
  inferState,
  lookMs,
  type Now,
  newWatch,
  noteAnswer,
  type Watch,
} from "./health-table.ts";
import { serverOf } from "./storage-server.ts";

export interface HealthParts {
  readonly state: StateStore;
  readonly host: Pick<Host, "monotonicMs" | "nowMs">;
  readonly drivers: Pick<Drivers, "get">;
  readonly held: Pick<HeldMounts, "isUnmounted" | "isMounting">;
  readonly events: EventLog;
  /** A fresh operation of the daemon's own. */
  readonly operation: () => Operation;
  readonly care: HealthCare;
  /** A test's own clock. */
  readonly clock?: HealthClock | undefined;
}

export interface HealthClock {
  readonly monotonicMs: () => number;
  readonly startTimer: StartTimer;
}

/** What is known of a volume's storage. */
export interface VolumeHealth {
  readonly state: StorageState;
  /** It is just being mounted for those who had it before the daemon was started. */
  readonly isMounting: boolean;
  readonly server: string;
  readonly sinceMs: number | null;
  /** "" where there is nothing to say. */
  readonly reason: string;
  readonly tookMs: number | null;
  readonly unsaved: Unsaved | undefined;
  /** As its last answer had it. */
  readonly space: StorageSpace | undefined;
}

/** What is wrong with some volumes of one server. */
export interface Trouble {
  readonly server: string;
  readonly state: StorageState;
  readonly names: readonly VolumeName[];
}

export class Health {
  readonly #parts: HealthParts;
  readonly #clock: HealthClock;
  readonly #watches = new Map<string, Watch>();
  readonly #servers = new Map<string, ServerWatch>();
  readonly figures = new HealthFigures();
  readonly #work = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #questions: Questions;
  readonly #deaths: DeathWatch;
  readonly #mending: Mending;
  #runningCount = 0;
  #stopTimer: (() => void) | undefined;
  #armedMs = Number.POSITIVE_INFINITY;

  constructor(parts: HealthParts) {
    this.#parts = parts;
    const { monotonicMs } = parts.host;
    this.#clock = parts.clock ?? { monotonicMs, startTimer: startIdleTimer };
    this.#questions = new Questions(this.#clock);
    this.#mending = new Mending({
      ...{ care: parts.care, held: parts.held, signal: this.#stopping.signal },
      monotonicMs: this.#clock.monotonicMs,
      ended: ({ name }) => this.askSoon(name),
    });
    this.#deaths = new DeathWatch({
      ...{ ...this.#clock, drivers: parts.drivers },
      found: ({ name }) => this.askSoon(name),
    });
  }

  /** From now on it looks. Costs nothing while no volume has storage that may fall silent. */
  start(): void {
    const { state, events } = this.#parts;
    // Most volumes are on this machine: one pass for all.
    const watched = state.read((view) =>
      [...view.volumes()].filter((entry) => this.#serverOf(entry) !== ""),
    );
    for (const { name } of watched) this.#follow(name);
    events.watch((event) => {
      if (event.type !== "volume" || event.actor === "") return;
      this.noteChange(event.actor);
      // Whoever changes what does not work wants to know whether it does now.
      const isIll = (this.#watches.get(event.actor)?.state ?? "ready") !== "ready";
      if (event.action === "update" && isIll) this.askSoon(event.actor);
    });
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new EngineError("engine.stopping", "the daemon is shutting down"));
    this.#stopTimer?.();
    this.#questions.stop();
    this.#deaths.stop();
    await Promise.all([...this.#work, this.#mending.stop()]);
    await this.#parts.care.stop();
  }

  /** Of a volume on this machine's own storage: undefined. Asks nobody. */
  of(name: string): VolumeHealth | undefined {
    const watch = this.#watches.get(name);
    if (watch === undefined) return undefined;
    const { state, server, sinceMs, reason, tookMs, unsaved, space } = watch;
    const isMounting = this.#parts.held.isMounting(name);
    return { state, isMounting, server, sinceMs, reason, tookMs, unsaved, space };
  }

  /** How many volumes of each driver are in each state. O(watched volumes). */
  counts(): ReadonlyMap<string, ReadonlyMap<StorageState, number>> {
    const counts = new Map<string, Map<StorageState, number>>();
    for (const { driver, state } of this.#watches.values()) {
      const own = counts.get(driver) ?? new Map<StorageState, number>();
      counts.set(driver, own.set(state, (own.get(state) ?? 0) + 1));
    }
    return counts;
  }

  /** Volumes that are not ready, by server and state, sorted. */
  troubles(): ReadonlyMap<string, Trouble> {
    const troubled = [...this.#watches.values()].filter(({ state }) => state !== "ready");
    const found = new Map<string, Trouble & { readonly names: VolumeName[] }>();
    for (const { server, state, name } of troubled.sort(byServer)) {
      const trouble = found.get(`${state} ${server}`) ?? { server, state, names: [] };
      trouble.names.push(name);
      found.set(`${state} ${server}`, trouble);
    }
    return found;
  }

  /** A volume was made, removed, renamed, mounted or given other options: it is looked at anew. */
  noteChange(name: VolumeName): void {
    this.#follow(name);
    this.#armFor(name);
  }

  /** Asks soon, whatever the turn, what `isDue` says yes to. */
  askSoon(name: VolumeName, isDue: (watch: Watch, nowMs: number) => boolean = () => true): void {
    const watch = this.#watches.get(name);
    const nowMs = this.#clock.monotonicMs();
    if (watch !== undefined && isDue(watch, nowMs)) watch.dueMs = nowMs;
    this.#armFor(name);
  }

  #follow(name: VolumeName): void {
    const { state } = this.#parts;
    const entry = state.read((view) => view.volume(name));
    const server = entry === undefined ? "" : this.#serverOf(entry);
    const known = this.#watches.get(name);
    if (entry === undefined || server === "") {
      this.#forget(name);
      return;
    }
    const isHeld = state.read((view) => view.holders(name)).length > 0;
    if (known?.server === server && known.driver === entry.driver) {
      // What has just been mounted is known to be there: it need not be asked at once.
      if (known.isHeld === isHeld) return;
      known.isHeld = isHeld;
      this.#deaths.follow(known);
      if (!known.isChecking) this.#schedule(known);
      return;
    }
    this.#forget(name);
    const watch = newWatch({ name, driver: entry.driver, server, isHeld });
    const key = `${entry.driver} ${server}`;
    const place = this.#servers.get(key) ?? newServer(key, server);
    this.#servers.set(key, place);
    place.watches.set(name, watch);
    this.#watches.set(name, watch);
    this.#deaths.follow(watch);
    // What was wrong where it was before is not well until it has answered where it is now.
    if (known !== undefined && known.state !== "ready") {
      inferState(watch, known, known.sinceMs ?? this.#now().nowMs);
    }
    if (place.isDown) inferState(watch, { state: "unreachable", reason: "" }, this.#now().nowMs);
  }

  #serverOf(entry: VolumeEntry): string {
    return serverOf(this.#parts.drivers.get(entry.driver), entry);
  }

  #forget(name: VolumeName): void {
    const watch = this.#watches.get(name);
    if (watch === undefined) return;
    this.#watches.delete(name);
    this.#deaths.forget(watch);
    const key = keyOf(watch);
    const server = this.#servers.get(key);
    server?.watches.delete(name);
    if (server?.watches.size === 0) this.#servers.delete(key);
  }

  #now(): Now {
    return { nowMs: this.#parts.host.nowMs(), monotonicMs: this.#clock.monotonicMs() };
  }

  /** Asks those whose turn it is, and sets the timer for the next ones. */
  #look(): void {
    for (const server of this.#servers.values()) {
      const room = checksAtOnce.ofAll - this.#runningCount;
      for (const watch of takeDue(server, this.#now(), room)) this.#start(server, watch);
    }
    this.#arm();
  }

  #arm(): void {
    const nowMs = this.#clock.monotonicMs();
    let dueMs = Number.POSITIVE_INFINITY;
    for (const server of this.#servers.values()) dueMs = Math.min(dueMs, nextDueMs(server, nowMs));
    this.#armAt(dueMs, nowMs);
  }

  /** As `#arm`, where only this one has changed: its cost does not grow with the others. */
  #armFor(name: VolumeName): void {
    const watch = this.#watches.get(name);
    const server = watch === undefined ? undefined : this.#servers.get(keyOf(watch));
    // The timer of one that is gone finds nothing to do, and is set for the next one.
    if (watch === undefined || server === undefined) return;
    const nowMs = this.#clock.monotonicMs();
    this.#armAt(Math.min(this.#armedMs, dueMsFor(server, watch, nowMs)), nowMs);
  }

  #armAt(dueMs: number, nowMs: number): void {
    if (this.#stopping.signal.aborted) return;
    if (this.#runningCount >= checksAtOnce.ofAll) return;
    if (dueMs === this.#armedMs) return;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.#armedMs = dueMs;
    if (dueMs === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.max(0, dueMs - nowMs);
    this.#stopTimer = this.#clock.startTimer(delayMs, () => {
      this.#armedMs = Number.POSITIVE_INFINITY;
      this.#look();
    });
  }

  #start(server: ServerWatch, watch: Watch): void {
    watch.isChecking = true;
    watch.dueMs = Number.POSITIVE_INFINITY;
    server.runningCount += 1;
    this.#runningCount += 1;
    const free = () => {
      server.runningCount -= 1;
      this.#runningCount -= 1;
    };
    const work = this.#ask(server, watch, free).finally(() => this.#work.delete(work));
    this.#work.add(work);
  }

  async #ask(server: ServerWatch, watch: Watch, free: () => void): Promise<void> {
    const operation = this.#parts.operation();
    const health = await this.#answer(server, watch, operation);
    free();
    watch.isChecking = false;
    if (health !== undefined && this.#watches.get(watch.name) === watch) {
      this.#note(server, watch, health, operation);
    }
    this.#schedule(watch);
    this.#look();
  }

  /** undefined: there is no such volume, or this life ends. */
  async #answer(
    server: ServerWatch,
    watch: Watch,
    operation: Operation,
  ): Promise<StorageHealth | undefined> {
    const driver = this.#parts.drivers.get(watch.driver);
    if (driver === undefined) return undefined;
    if (watch.isStuck) return silence;
    const { answer, ended, isGivenUp } = this.#questions.ask(driver, watch.name, operation);
    const health = await answer;
    if (!isGivenUp()) return health;
    watch.isStuck = true;
    void ended.then(() => {
      // The end of one that was stuck is a sign of life.
      watch.isStuck = false;
      noteStir(server, watch, this.#clock.monotonicMs());
      this.#look();
    });
    return health;
  }

  #note(server: ServerWatch, watch: Watch, health: StorageHealth, operation: Operation): void {
    const now = this.#now();
    this.figures.note(watch.driver, health.state, health.tookMs);
    const own = noteAnswer(watch, health, now);
    const others = noteServer(server, watch, now);
    for (const change of [...(own === undefined ? [] : [own]), ...others]) {
      this.#tell(change, operation);
    }
    const well = [watch, ...others.map((change) => change.watch)];
    for (const { name, state } of well) {
      if (state !== "ready") continue;
      this.#parts.care.noteAnswer(name, { ...operation, signal: this.#stopping.signal });
    }
    if (others.length > 0) {
      const { server: place } = watch;
      const facts = { driver: watch.driver, server: place, volumes: others.length };
      if (server.isDown) operation.log.warn("a storage server does not answer", facts);
      else operation.log.info("a storage server answers again", facts);
    }
    this.#mending.consider(watch, health.state, operation);
  }

  /** Events of idle volumes that share their server's fate would only hide others. */
  #tell({ watch, from }: HealthChange, operation: Operation): void {
    const { name, driver, server, state, reason, isHeld, isInferred } = watch;
    if (isInferred && !isHeld) return;
    const action = state === "ready" ? "recovered" : "degraded";
    this.#parts.events.volume(action, name, { driver, server, state, from, reason });
    if (isInferred) return;
    const facts = { volume: name, driver, server, state, from, reason };
    if (state === "ready") operation.log.info("a volume's storage has recovered", facts);
    else operation.log.warn("a volume's storage is not as it should be", facts);
  }

  #schedule(watch: Watch): void {
    const delayMs = lookMs(watch, this.#parts.held.isUnmounted(watch.name));
    watch.dueMs = delayMs === undefined ? Infinity : this.#clock.monotonicMs() + delayMs;
  }
}

function keyOf({ driver, server }: Pick<Watch, "driver" | "server">): string {
  return `${driver} ${server}`;
}

function byServer(one: Watch, other: Watch): number {
  if (one.server !== other.server) return one.server < other.server ? -1 : 1;
  return one.name < other.name ? -1 : 1;
}
