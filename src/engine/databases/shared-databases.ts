// Notices databases that several running containers may write to: event, log line and state.
//
// What is in a volume is looked for when a second writer appears and some times later: an empty
// volume may be made a database by both. Volumes whose options keep a second writer away are left
// to the judge of those.
import { isDeepStrictEqual } from "node:util";
import type { Host } from "../../core/host.ts";
import type { VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { StateStore, VolumeEntry } from "../../core/state-store.ts";
import type { RecognisedData } from "../../core/volume-report.ts";
import type { ContainerLists } from "../container-lists.ts";
import type { Drivers } from "../drivers.ts";
import { engineOptions } from "../engine-options.ts";
import type { EventLog } from "../event-log.ts";
import type { Hold } from "../holds/hold-table.ts";
import { containerUses } from "../sharing/sharing.ts";
import { isRemote } from "../volume-doctor.ts";
import { BackgroundLooks } from "./background-looks.ts";
import { databasesIn, databaseWords, isForMany } from "./recognised-databases.ts";

/** When it is looked again after a second writer appeared, in milliseconds. */
const LOOK_AFTER_MS = [0, 5_000, 30_000, 300_000] as const;

export interface SharedDatabasesParts {
  readonly host: Pick<Host, "assist" | "nowMs">;
  readonly state: StateStore;
  readonly drivers: Pick<Drivers, "get">;
  readonly events: EventLog;
  readonly lists: Pick<ContainerLists, "ask" | "shownName">;
  readonly operation: () => Operation;
  /** Instead of at once, and after 5, 30 and 300 seconds. */
  readonly lookAfterMs?: readonly number[] | undefined;
}

/** A database with two writers or more. */
export interface SharedDatabase {
  /** For one line: `PostgreSQL 15`. */
  readonly database: string;
  /** Their names, the oldest first. */
  readonly containers: readonly string[];
  /** False: it is made for that, as SQLite is here; `sentence` says what must be true. */
  readonly isAlarm: boolean;
  /** Without its full stop. */
  readonly sentence: string;
  /** When it was noticed, in milliseconds since the epoch. */
  readonly sinceMs: number;
}

interface Watch {
  /** Ids of containers that have the volume read-write, the oldest first. */
  writers: readonly string[];
  shared: SharedDatabase | undefined;
  /** Where an engine was given the volume. */
  readonly path: string;
  timers: readonly ReturnType<typeof setTimeout>[];
}

export class SharedDatabases {
  readonly #parts: SharedDatabasesParts;
  readonly #watches = new Map<VolumeName, Watch>();
  readonly #looks: BackgroundLooks;

  constructor(parts: SharedDatabasesParts) {
    this.#parts = parts;
    this.#looks = new BackgroundLooks(parts.operation);
  }

  /** undefined is the rule. Asks nobody. */
  of(name: VolumeName): SharedDatabase | undefined {
    return this.#watches.get(name)?.shared;
  }

  /** By the last look at all holds. Begins what is to be done, and waits for nothing. */
  judge(holds: readonly Hold[]): void {
    if (this.#looks.isStopped) return;
    const byVolume = Map.groupBy(holds, ({ volume }) => volume);
    for (const name of this.#watches.keys()) if (!byVolume.has(name)) this.#end(name);
    for (const [name, own] of byVolume) this.#judgeOne(name, own);
  }

  async stop(): Promise<void> {
    for (const name of this.#watches.keys()) this.#end(name);
    await this.#looks.stop();
  }

  #judgeOne(name: VolumeName, holds: readonly Hold[]): void {
    const writers = containerUses(holds)
      .filter(({ isReadOnly }) => !isReadOnly)
      .map(({ container }) => container);
    const watch = this.#watches.get(name);
    if (watch === undefined && writers.length < 2) return;
    if (writers.length < 2 || !this.#isWatched(name)) {
      this.#end(name);
      return;
    }
    if (watch !== undefined && writers.every((id) => watch.writers.includes(id))) {
      watch.writers = writers;
      return;
    }
    this.#end(name);
    const begun: Watch = { writers, shared: watch?.shared, path: holds[0]?.path ?? "", timers: [] };
    this.#watches.set(name, begun);
    const look = () => this.#looks.inTurn((operation) => this.#look(name, begun, operation), name);
    begun.timers = (this.#parts.lookAfterMs ?? LOOK_AFTER_MS).map((ms) => {
      const timer = setTimeout(look, ms);
      timer.unref();
      return timer;
    });
  }

  /** Where options keep a second writer away, whoever breaks them is told of by their judge. */
  #isWatched(name: VolumeName): boolean {
    const entry = this.#parts.state.read((view) => view.volume(name));
    if (entry === undefined) return false;
    const { sharing, database } = engineOptions(entry.options);
    return sharing === "all" && database === "warn";
  }

  #end(name: VolumeName): void {
    for (const timer of this.#watches.get(name)?.timers ?? []) clearTimeout(timer);
    this.#watches.delete(name);
  }

  async #look(name: VolumeName, watch: Watch, operation: Operation): Promise<void> {
    const { host, state, lists } = this.#parts;
    const entry = state.read((view) => view.volume(name));
    if (this.#watches.get(name) !== watch || entry === undefined) return;
    const isOfPlugin = this.#parts.drivers.get(entry.driver)?.isPlugin === true;
    // What an engine was given is kept from being unmounted by a look.
    const path = isOfPlugin ? watch.path : entry.mountpoint;
    const found = await databasesIn(host, path, operation);
    await lists.ask(operation);
    // Meanwhile one of them may have gone.
    if (this.#watches.get(name) !== watch || found.length === 0) return;
    const shared = this.#shared(entry, watch, found);
    const isKnown = isDeepStrictEqual({ ...watch.shared, sinceMs: shared.sinceMs }, shared);
    watch.shared = shared;
    if (!isKnown) this.#tell(entry, shared);
  }

  #shared(entry: VolumeEntry, watch: Watch, found: readonly RecognisedData[]): SharedDatabase {
    const { host, lists, drivers } = this.#parts;
    const containers = watch.writers.map((id) => lists.shownName(id));
    const driver = drivers.get(entry.driver);
    const isHere = driver !== undefined && !driver.isPlugin && !isRemote(driver, entry);
    const dangerous = isHere ? found.filter((one) => !isForMany(one)) : found;
    const isAlarm = dangerous.length > 0;
    const database = databaseWords(isAlarm ? dangerous : found);
    const names = containers.join(", ");
    const who = `${database} can be written by ${containers.length} containers (${names})`;
    const update = `holdfast volume update ${entry.name} -o database=`;
    return {
      ...{ database, containers, isAlarm },
      sentence: isAlarm
        ? `${who}: two servers on the same files damage them; stop all but one, and keep others ` +
          `from starting with: ${update}exclusive`
        : `${who}: that is safe on this machine as long as each opens it with SQLite's locks ` +
          "(no nolock, no immutable) and nobody copies or replaces its files meanwhile; where " +
          `that is known: ${update}off`,
      sinceMs: watch.shared?.sinceMs ?? host.nowMs(),
    };
  }

  #tell({ name, driver }: VolumeEntry, shared: SharedDatabase): void {
    const { events, operation } = this.#parts;
    const { database, sentence, isAlarm } = shared;
    const containers = shared.containers.join(", ");
    events.volume("database-shared", name, { driver, database, containers, message: sentence });
    const { log } = operation();
    const fields = { volume: name, database, containers };
    if (isAlarm) log.warn("several containers may write to one database", fields);
    else log.info("several containers have one database, which is made for that", fields);
  }
}
