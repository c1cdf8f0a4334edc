// Measures what the storage of a volume does, and remembers what was found in this life.
//
// A report says what was at one moment, and is soon told anew: it is not worth a place on disk.
import type { VolumeDriver } from "../core/driver.ts";
import { EngineError, toEngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { mountOf } from "../core/mount-of.ts";
import { parseHolderId, type VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type { StateStore, VolumeEntry } from "../core/state-store.ts";
import {
  type Ability,
  abilities,
  type Measurement,
  type MeasureRequest,
  type StorageFacts,
  type StorageJudge,
  type VolumeReport,
} from "../core/volume-report.ts";
import { databasesIn, databaseWords, isForMany } from "./databases/recognised-databases.ts";
import type { Drivers } from "./drivers.ts";
import { driverOptions, engineOptions } from "./engine-options.ts";
import type { EventLog } from "./event-log.ts";
import type { Health } from "./health/health.ts";
import { refuseSilent, silentStorage } from "./health/must-answer.ts";
import { serverOf } from "./health/storage-server.ts";
import { startIdleTimer } from "./trash/timers.ts";
import type { VolumeEngine } from "./volumes.ts";

/** Who has a volume while it is measured. */
export const DOCTOR_HOLDER = parseHolderId("holdfast-doctor");

/** How long a look at what is in the volume may take. */
const RECOGNISE_MS_MAX = 2_000;

/** How long one measurement may take before the storage counts as silent. */
const SILENCE_MS_MAX = 10_000;

export interface VolumeDoctorParts {
  readonly host: Host;
  readonly state: StateStore;
  readonly drivers: Drivers;
  readonly volumes: VolumeEngine;
  readonly health: Pick<Health, "of">;
  readonly events: EventLog;
  readonly judge: StorageJudge;
  readonly operation: () => Operation;
  /** Instead of ten seconds. */
  readonly silenceMsMax?: number | undefined;
}

export interface ExamineHow {
  readonly isQuick: boolean;
  /** Hears each measurement as soon as it is made. */
  readonly told?: ((measurement: Measurement) => void) | undefined;
}

/** How often an unmount that fails is tried again, and after how many milliseconds each time. */
const UNMOUNT_TRIES = 12;
const UNMOUNT_AGAIN_MS = 5_000;

export class VolumeDoctor {
  readonly #parts: VolumeDoctorParts;
  readonly #reports = new Map<VolumeName, VolumeReport>();
  readonly #running = new Map<VolumeName, Promise<VolumeReport>>();

  constructor(parts: VolumeDoctorParts) {
    this.#parts = parts;
    parts.events.watch(({ type, action, actor, attributes }) => {
      if (type !== "volume" || actor === "") return;
      if (action === "destroy" || action === "create") this.#reports.delete(actor);
      const old = action === "rename" ? attributes["from"] : undefined;
      if (old !== undefined) this.#forgetText(old);
    });
  }

  /** Of this life; undefined: none was made. */
  reportOf(name: VolumeName): VolumeReport | undefined {
    return this.#reports.get(name);
  }

  /**
   * Mounts the volume for a holder of its own, measures, and unmounts it. Resolves in half a minute
   * at most after the mount, whatever the storage does: what does not answer is in the report. Who
   * asks while another run is under way gets that one's report. Throws `volume.not_found`, what
   * `mount` throws, `storage.*`, `driver.timed_out`, and `remote.unreachable` where not even the
   * first answer comes: at once of a server that is known to be silent.
   */
  async examine(asked: string, how: ExamineHow, operation: Operation): Promise<VolumeReport> {
    const { name } = this.#parts.volumes.inspect(asked);
    const running = this.#running.get(name);
    if (running !== undefined) return await running;
    const work = this.#examine(name, how, operation);
    this.#running.set(name, work);
    try {
      const report = await work;
      this.#reports.set(name, report);
      return report;
    } finally {
      this.#running.delete(name);
    }
  }

  /** Ends what runs of an earlier life have mounted still, one after the other. Never rejects. */
  async endLeftovers(): Promise<void> {
    const { state } = this.#parts;
    const left = state.read((view) =>
      [...view.volumes()].filter(({ name }) =>
        view.holders(name).some(({ holder }) => holder === DOCTOR_HOLDER),
      ),
    );
    for (const { name } of left) await this.#unmount(name, this.#parts.operation());
  }

  async #examine(name: VolumeName, how: ExamineHow, operation: Operation): Promise<VolumeReport> {
    const { host, volumes, drivers, judge, health } = this.#parts;
    // A table in which all is unknown is worth no wait for it.
    await refuseSilent({ host, drivers, health }, volumes.inspect(name), operation);
    const path = await volumes.mount(name, DOCTOR_HOLDER, operation);
    try {
      const entry = volumes.inspect(name);
      const driver = drivers.of(entry);
      const [atMs, startedMs] = [host.nowMs(), host.monotonicMs()];
      await using second = await this.#secondMount(driver, entry, operation);
      const request = { elsewhere: second?.path ?? null, isQuick: how.isQuick };
      const { tried, ended } = await this.#measure(path, { request, how }, operation);
      const server = serverOf(driver, entry);
      if (ended !== "" && tried.length === 0 && server !== "")
        throw silentStorage(name, server, ended);
      const storage = storageFacts(host, path, driver);
      const measurements = complete(tried, judge.known(storage), ended);
      return {
        ...{ volume: name, atMs, tookMs: host.monotonicMs() - startedMs, isQuick: how.isQuick },
        ...{ storage, hadSecondMount: second !== undefined, ended, measurements },
        advice: await this.#advice(entry, path, operation),
        fitness: judge.fitness(measurements),
      };
    } finally {
      await this.#unmount(name, operation);
    }
  }

  /** What is in the volume changes no measurement: where it cannot be seen there is no advice. */
  async #advice(
    { name, options }: VolumeEntry,
    path: string,
    operation: Operation,
  ): Promise<readonly string[]> {
    const { sharing, database } = engineOptions(options);
    if (sharing !== "all" || database === "exclusive") return [];
    const signal = AbortSignal.any([operation.signal, AbortSignal.timeout(RECOGNISE_MS_MAX)]);
    const looking = databasesIn(this.#parts.host, path, { ...operation, signal });
    const found = (await looking.catch(() => [])).filter((one) => !isForMany(one));
    if (found.length === 0) return [];
    return [
      `${databaseWords(found)} is in it, which two servers at once would damage: keep the second ` +
        `from starting with: holdfast volume update ${name} -o database=exclusive`,
    ];
  }

  /** undefined: this storage has no second client, or it could not be had in time. */
  async #secondMount(driver: VolumeDriver, entry: VolumeEntry, operation: Operation) {
    const silence = silenceOf(this.#parts.silenceMsMax ?? SILENCE_MS_MAX);
    const signal = AbortSignal.any([operation.signal, silence.signal]);
    try {
      return await driver.elsewhere?.mount(entry.name, { ...operation, signal });
    } catch (error) {
      const { code, message } = toEngineError(error);
      const fields = { volume: entry.name, code, error: message };
      operation.log.warn("no second mount could be made for a measurement", fields);
      return undefined;
    } finally {
      silence.end();
    }
  }

  /** What was measured, and why it ended early: "" where it did not. */
  async #measure(
    directory: string,
    { request, how }: { readonly request: MeasureRequest; readonly how: ExamineHow },
    operation: Operation,
  ): Promise<{ readonly tried: readonly Measurement[]; readonly ended: string }> {
    const silenceMsMax = this.#parts.silenceMsMax ?? SILENCE_MS_MAX;
    const silence = silenceOf(silenceMsMax);
    const tried: Measurement[] = [];
    const told = (line: unknown): void => {
      silence.broken();
      // The helper is this same executable, and tells nothing else.
      const measurement = line as Measurement;
      tried.push(measurement);
      how.told?.(measurement);
    };
    const signal = AbortSignal.any([operation.signal, silence.signal]);
    try {
      const asking = { command: "measure-storage", directory, input: request, told } as const;
      await this.#parts.host.assist(asking, { ...operation, signal });
      return { tried, ended: "" };
    } catch (error) {
      if (!silence.signal.aborted) throw error;
      return { tried, ended: `the storage did not answer for ${silenceMsMax / 1000} s` };
    } finally {
      silence.end();
    }
  }

  /** What a run that was given up still does there keeps it busy for a while: later, then. */
  async #unmount(name: VolumeName, operation: Operation, triesLeft = UNMOUNT_TRIES): Promise<void> {
    if (this.#running.has(name) && triesLeft < UNMOUNT_TRIES) return;
    try {
      await this.#parts.volumes.unmount(name, DOCTOR_HOLDER, operation);
    } catch (error) {
      const { code, message } = toEngineError(error);
      if (code === "volume.not_found") return;
      if (triesLeft > 0) {
        const again = () => void this.#unmount(name, this.#parts.operation(), triesLeft - 1);
        startIdleTimer(UNMOUNT_AGAIN_MS, again);
        return;
      }
      operation.log.warn("a volume that was measured could not be unmounted", {
        ...{ volume: name, code, error: message },
      });
    }
  }

  #forgetText(old: string): void {
    for (const name of this.#reports.keys()) if (name === old) this.#reports.delete(name);
  }
}

/** A signal that fires when nothing was heard for so long. */
function silenceOf(msMax: number) {
  const controller = new AbortController();
  const fire = () => {
    const words = `the storage was silent for ${msMax / 1000} s`;
    controller.abort(new EngineError("driver.timed_out", words));
  };
  let timer = setTimeout(fire, msMax);
  return {
    signal: controller.signal,
    end: () => clearTimeout(timer),
    broken(): void {
      clearTimeout(timer);
      timer = setTimeout(fire, msMax);
    },
  };
}

/** What is mounted at a volume's path. Asks the mount table alone. */
export function storageFacts(
  host: Pick<Host, "mounts">,
  path: string,
  driver: Pick<VolumeDriver, "flush">,
): StorageFacts {
  const mount = mountOf(host.mounts(), path);
  return {
    fileSystem: mount?.fileSystem ?? "",
    source: mount?.source ?? "",
    options: [...new Set([...(mount?.options ?? []), ...(mount?.superOptions ?? [])])],
    isWrittenLater: driver.flush !== undefined,
  };
}

/** Whether a volume may be on other machines' storage, where less can be relied on. */
export function isRemote(driver: VolumeDriver, entry: VolumeEntry): boolean {
  if (driver.isPlugin) return false;
  if (driver.health !== undefined) return serverOf(driver, entry) !== "";
  return "type" in driverOptions(entry.options);
}

/** Two that came to no blows prove nothing where their kind of storage is known for them. */
const byChance: ReadonlySet<Ability> = new Set(["append-elsewhere"]);

/** Each ability once: as it was tried, else as it is known, else unknown. */
function complete(
  tried: readonly Measurement[],
  known: readonly Measurement[],
  ended: string,
): readonly Measurement[] {
  return abilities.map((ability) => {
    const own = tried.find((each) => each.ability === ability);
    const general = known.find((each) => each.ability === ability);
    if (own?.answer === "yes" && general?.answer === "no" && byChance.has(ability)) return general;
    if (own !== undefined && (own.answer !== "unknown" || general === undefined)) return own;
    if (general !== undefined) return general;
    const detail = ended === "" ? "it was not tried" : `it was not reached: ${ended}`;
    return { ability, answer: "unknown", value: "unknown", figure: null, detail, tookMs: 0 };
  });
}
