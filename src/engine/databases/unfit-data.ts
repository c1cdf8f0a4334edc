// Warns of databases on storage that cannot carry them: recognised by their files, in background.
import type { Host } from "../../core/host.ts";
import { parseVolumeName, type VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { StateStore, VolumeEntry } from "../../core/state-store.ts";
import type {
  RecognisedData,
  StorageFacts,
  StorageJudge,
  VolumeReport,
} from "../../core/volume-report.ts";
import type { Drivers } from "../drivers.ts";
import type { EngineEvent, EventLog } from "../event-log.ts";
import { DOCTOR_HOLDER, isRemote, storageFacts, type VolumeDoctor } from "../volume-doctor.ts";
import type { VolumeEngine } from "../volumes.ts";
import { BackgroundLooks } from "./background-looks.ts";
import { recognisedIn, recognisedText } from "./recognised-data.ts";

/** A create is mostly followed by a mount, which looks by itself. */
const AFTER_CREATE_MS = 5_000;
/** A container is about to start: a look's program would take processor time from it. */
const AFTER_MOUNT_MS = 1_000;

export interface UnfitDataParts {
  readonly host: Host;
  readonly state: StateStore;
  readonly drivers: Drivers;
  readonly volumes: VolumeEngine;
  readonly events: EventLog;
  readonly judge: StorageJudge;
  readonly doctor: Pick<VolumeDoctor, "reportOf">;
  readonly operation: () => Operation;
  /** Instead of five seconds. */
  readonly afterCreateMs?: number | undefined;
  /** Instead of one second. */
  readonly afterMountMs?: number | undefined;
}

export class UnfitData {
  readonly #parts: UnfitDataParts;
  readonly #seen = new Map<VolumeName, Seen>();
  /** Volumes that are mounted now and were looked at since they were. */
  readonly #looked = new Set<VolumeName>();
  readonly #timers = new Map<VolumeName, ReturnType<typeof setTimeout>>();
  readonly #looks: BackgroundLooks;

  constructor(parts: UnfitDataParts) {
    this.#parts = parts;
    this.#looks = new BackgroundLooks(parts.operation);
    parts.events.watch((event) => this.#hear(event));
  }

  /**
   * Sentences of a volume's data on storage that is unfit for it, by its last report; none is the
   * rule. Asks nobody.
   */
  warningsOf(name: VolumeName): readonly string[] {
    const seen = this.#seen.get(name);
    if (seen === undefined) return [];
    const report = this.#parts.doctor.reportOf(name);
    if (report === seen.report) return seen.words;
    const { found, storage } = seen;
    const words = warningsFor({ found, storage, report, judge: this.#parts.judge });
    this.#seen.set(name, { found, storage, report, words });
    return words;
  }

  /** All of them, sorted by volume. */
  get warnings(): readonly string[] {
    const names = [...this.#seen.keys()].sort();
    return names.flatMap((name) => this.warningsOf(name).map((word) => `Volume ${name}: ${word}`));
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await this.#looks.stop();
  }

  #hear({ type, action, actor, attributes }: EngineEvent): void {
    if (type !== "volume" || actor === "" || this.#looks.isStopped) return;
    const from = action === "rename" ? attributes["from"] : undefined;
    if (action === "create") this.#lookLater(actor);
    else if (action === "mount") this.#hearMount(actor, attributes);
    else if (action === "destroy") this.#forget(actor);
    else if (action === "unmount" && !this.#isHeld(actor)) this.#looked.delete(actor);
    else if (from !== undefined) this.#forget(parseVolumeName(from));
  }

  #hearMount(name: VolumeName, attributes: EngineEvent["attributes"]): void {
    const path = attributes["destination"];
    if (this.#looked.has(name) || path === undefined) return;
    if (attributes["container"] === DOCTOR_HOLDER) return;
    const entry = this.#remote(name);
    if (entry === undefined) return;
    this.#looked.add(name);
    // It may have been let go before its turn came: then there is nothing to look at.
    const work = async (operation: Operation) => {
      if (this.#isHeld(name)) await this.#look(entry, path, operation);
      else this.#looked.delete(name);
    };
    const { afterMountMs = AFTER_MOUNT_MS } = this.#parts;
    this.#later(name, afterMountMs, () => this.#looks.inTurn(work, name));
  }

  /** Only what was there before a create can be a database already. */
  #lookLater(name: VolumeName): void {
    if (this.#remote(name) === undefined) return;
    const { afterCreateMs = AFTER_CREATE_MS } = this.#parts;
    this.#later(name, afterCreateMs, () => {
      const entry = this.#remote(name);
      if (entry === undefined || this.#looked.has(name) || this.#isHeld(name)) return;
      this.#looks.inTurn((operation) => this.#lookAtUnused(entry, operation), name);
    });
  }

  /** A mount soon after a create is looked at once, as a mount. */
  #later(name: VolumeName, delayMs: number, look: () => void): void {
    clearTimeout(this.#timers.get(name));
    const timer = setTimeout(() => {
      this.#timers.delete(name);
      look();
    }, delayMs);
    timer.unref?.();
    this.#timers.set(name, timer);
  }

  /**
   * Mounted for this look alone, by who has its lease: no row says so, and nobody is refused
   * because of it.
   */
  async #lookAtUnused(entry: VolumeEntry, operation: Operation): Promise<void> {
    const { volumes, drivers } = this.#parts;
    await using _lease = await volumes.lease(entry.name, operation);
    const driver = drivers.of(entry);
    const presence = await driver.get(entry.name, operation);
    const isAdopted = presence.state === "found" && presence.record.origin === "adopted";
    if (!isAdopted || this.#isHeld(entry.name)) return;
    const path = await driver.mount(entry.name, DOCTOR_HOLDER, operation);
    try {
      await this.#look(entry, path, operation);
    } finally {
      // A look that was given up does not keep the volume mounted.
      await driver.unmount(entry.name, DOCTOR_HOLDER, this.#parts.operation());
    }
  }

  async #look(entry: VolumeEntry, path: string, operation: Operation): Promise<void> {
    const { host, drivers, judge, doctor } = this.#parts;
    const found = await recognisedIn(host, path, operation);
    const before = this.warningsOf(entry.name);
    const storage = storageFacts(host, path, drivers.of(entry));
    const report = doctor.reportOf(entry.name);
    const words = warningsFor({ found, storage, report, judge });
    if (found.length === 0) this.#seen.delete(entry.name);
    else this.#seen.set(entry.name, { found, storage, report, words });
    this.#warn(entry, words, before);
  }

  #warn({ name, driver }: VolumeEntry, words: readonly string[], before: readonly string[]): void {
    for (const message of words.filter((word) => !before.includes(word))) {
      this.#parts.events.volume("warning", name, { driver, message });
      const { log } = this.#parts.operation();
      log.warn("data is on storage that cannot carry it", { volume: name, warning: message });
    }
  }

  /** undefined: it is gone, or on this machine. */
  #remote(name: VolumeName): VolumeEntry | undefined {
    const { state, drivers } = this.#parts;
    const entry = state.read((view) => view.volume(name));
    if (entry === undefined) return undefined;
    const driver = drivers.get(entry.driver);
    return driver !== undefined && isRemote(driver, entry) ? entry : undefined;
  }

  #isHeld(name: VolumeName): boolean {
    return this.#parts.state.read((view) => view.holders(name).length > 0);
  }

  #forget(name: VolumeName): void {
    this.#seen.delete(name);
    this.#looked.delete(name);
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }
}

/** What was found in a volume when it was last looked at, on which storage. */
interface Found {
  readonly found: readonly RecognisedData[];
  readonly storage: StorageFacts;
  /** By which it was judged; undefined: by what is known of such storage. */
  readonly report: VolumeReport | undefined;
}

interface Seen extends Found {
  readonly words: readonly string[];
}

/** One sentence for each that is unfit, without its full stop. */
function warningsFor({
  found,
  storage,
  report,
  judge,
}: Found & { readonly judge: StorageJudge }): readonly string[] {
  const measured = report?.measurements ?? judge.known(storage);
  const fitness = new Map(judge.fitness(measured).map((each) => [each.use, each]));
  return found.flatMap((data) => {
    const judged = fitness.get(data.use);
    const [reason] = judged?.reasons ?? [];
    if (judged?.verdict !== "unfit" || reason === undefined) return [];
    const kind = storage.fileSystem === "" ? "this storage" : storage.fileSystem;
    return [
      `${recognisedText(data)} is on ${kind}, which is unfit for it (${reason.ability}: ` +
        `${reason.because}); ${reason.change}`,
    ];
  });
}
