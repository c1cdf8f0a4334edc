// One run of an engine that keeps what is removed, over storage and a state that fail at random.
//
// Each volume has a file that says which one it is. After every call each must have just one row,
// as a volume or in the trash, and in the end its file. Only what was given up may be gone.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { VolumeDriver } from "../../src/core/driver.ts";
import { EngineError, toEngineError } from "../../src/core/errors.ts";
import type { RetiredEntry, StateStore } from "../../src/core/state-store.ts";
import { faulty } from "../../src/layers/faulty.ts";
import { Random } from "../support/random.ts";
import { TrashBench } from "../support/trash-bench.ts";
import { LastCalls, untilStopped } from "./last-calls.ts";

const OPERATION_COUNT = 60;
const RESTART_CHANCE = 0.05;
/** How often the engine dies within its next few calls of the driver and commits. */
const DEATH_CHANCE = 0.15;
const LAST_CALLS_MAX = 5;
/** Of how many calls of the driver, and commits, one fails. */
const FAULT_ONE_IN = 4;
const COMMIT_FAULT_CHANCE = 0.2;
/** How many steps a failure tells of. */
const TOLD_COUNT = 25;

const names = ["va", "vb", "vc"];

export class TrashRun implements AsyncDisposable {
  readonly #seed: number;
  readonly #random: Random;
  readonly #commitFaults: Random;
  readonly #bench: TrashBench;
  /** By the label that each volume has, which is in its file too; what was given up is not. */
  readonly #wanted = new Set<string>();
  readonly #steps: string[] = [];
  #isFailing = false;
  #isStarting = false;
  readonly #calls = new LastCalls();
  #lifeCount = 0;
  #volumeCount = 0;
  faultCount = 0;
  restoredCount = 0;
  purgedCount = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new Random(seed);
    this.#commitFaults = this.#random.fork();
    this.#bench = new TrashBench({
      drivers: (bench) => [this.#driver(bench.local())],
      state: (state) => this.#state(state),
      // Recovery compares the times of rows with those of directories, which the kernel takes.
      host: (host) => ({ ...host, nowMs: Date.now }),
    });
  }

  /** Throws what is wrong, with the seed and the last steps. */
  async play(): Promise<void> {
    try {
      await this.#bench.engine.start();
      this.#isFailing = true;
      for (let count = 0; count < OPERATION_COUNT; count++) await this.#step();
      this.#isFailing = false;
      this.#note("faults are over");
      // A removal that was taken back without a look at the storage is healed by a start.
      await this.#restart();
      await this.#restoreAll();
    } catch (error) {
      const what = `HOLDFAST_TEST_SEED=${this.#seed}: ${String(error)}`;
      const text = [what, ...this.#steps.slice(-TOLD_COUNT)].join("\n  ");
      throw new Error(text, { cause: error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isFailing = false;
    await this.#bench[Symbol.asyncDispose]();
  }

  async #step(): Promise<void> {
    if (this.#random.chance(RESTART_CHANCE)) await this.#restart();
    const isLast = this.#random.chance(DEATH_CHANCE);
    this.#calls.left = isLast ? this.#random.below(LAST_CALLS_MAX) : undefined;
    const action = this.#random.pick(["create", "remove", "remove", "restore", "restore", "purge"]);
    const name = this.#random.pick(names);
    const retired = this.#kept();
    if (action === "create") await this.#create(name);
    else if (action === "remove") await this.#try(`remove ${name}`, this.#bench.remove(name));
    else if (retired.length > 0) await this.#ofTrash(action, this.#random.pick(retired), name);
    if (isLast) await this.#restart();
    this.#mustMatch();
  }

  async #create(name: string): Promise<void> {
    if (this.#bench.engine.state.read((view) => view.volume(name)) !== undefined) return;
    this.#volumeCount += 1;
    const of = `volume ${this.#volumeCount}`;
    const request = { name, options: null, labels: { of } };
    const { volumes } = this.#bench.engine.engine;
    const work = volumes.create(request, this.#bench.engine.operation());
    if (!(await this.#try(`create ${name} as ${of}`, work))) return;
    writeFileSync(join(volumes.inspect(name).mountpoint, "file"), of);
    this.#wanted.add(of);
  }

  async #ofTrash(action: string, entry: RetiredEntry, name: string): Promise<void> {
    const of = entry.volume.labels?.["of"] ?? "";
    if (action === "restore") {
      const work = this.#bench.restore(entry.id, name);
      if (await this.#try(`restore ${of} as ${name}`, work)) this.restoredCount += 1;
      return;
    }
    // Also when it fails: it may be done, and only the answer is lost.
    const isDone = await this.#try(`purge ${of}`, this.#bench.purge(entry.id));
    const row = this.#bench.row(entry.id);
    if (isDone && row?.phase === "kept") throw new Error(`${of} was purged and is there`);
    if (row?.phase !== "kept") this.#wanted.delete(of);
    if (isDone) this.purgedCount += 1;
  }

  #kept(): readonly RetiredEntry[] {
    return this.#bench.engine.state.read((view) =>
      [...view.retired()].filter(({ phase }) => phase === "kept"),
    );
  }

  /**
   * Each wanted volume has one row. A create that failed may leave an empty directory, which the
   * next start adopts as nobody's.
   */
  #mustMatch(): void {
    const found = this.#bench.engine.state.read((view) => [
      ...[...view.volumes()].map(({ labels }) => labels?.["of"] ?? "nobody"),
      ...this.#kept().map(({ volume }) => volume.labels?.["of"] ?? "nobody"),
    ]);
    for (const of of this.#wanted) {
      const count = found.filter((each) => each === of).length;
      if (count !== 1) throw new Error(`${of} has ${count} rows`);
    }
  }

  /** Everything that is wanted is there, or can be restored, with its data. */
  async #restoreAll(): Promise<void> {
    const { engine } = this.#bench;
    for (const entry of this.#kept()) {
      await engine.engine.trash.restore(entry.id, `back-${entry.id}`, engine.operation());
    }
    this.#mustMatch();
    for (const { name, labels, mountpoint } of engine.engine.volumes.list({})) {
      const of = labels?.["of"] ?? "";
      if (!this.#wanted.has(of)) continue;
      const file = join(mountpoint, "file");
      const text = existsSync(file) ? readFileSync(file, "utf8") : "nothing";
      if (text !== of) throw new Error(`${name} is ${of} and holds ${text}`);
    }
  }

  /** Whether it was acknowledged. Only errors of ours may be answered, and no bugs. */
  async #try(what: string, work: Promise<unknown>): Promise<boolean> {
    try {
      await work;
      this.#note(`${what}: ok`);
      return true;
    } catch (thrown) {
      const { code, message } = toEngineError(thrown);
      if (code === "internal.bug") throw thrown;
      this.#note(`${what}: ${code}: ${message}`);
      return false;
    }
  }

  async #restart(): Promise<void> {
    this.#calls.left = undefined;
    this.#isStarting = true;
    await this.#bench.engine.restart();
    this.#isStarting = false;
    const told = Object.entries(this.#bench.engine.engine.recovery).filter(
      ([, list]) => list.length > 0,
    );
    this.#note(`restart: ${JSON.stringify(Object.fromEntries(told))}`);
    this.#mustMatch();
  }

  #driver(inner: VolumeDriver): VolumeDriver {
    this.#lifeCount += 1;
    const failing = faulty(inner, {
      seed: this.#seed * 1_000 + this.#lifeCount,
      oneIn: FAULT_ONE_IN,
      isOn: () => this.#isFailing,
      failed: ({ call, volume, moment }) => {
        this.faultCount += 1;
        this.#note(`  fault: ${call} of ${volume}, ${moment}`);
      },
    });
    const mortal = this.#calls.driver(failing);
    const { trash } = mortal;
    if (trash === undefined) throw new Error("the driver has a trash");
    // When it runs depends on timers, and a run must depend on its seed alone.
    const purge: typeof trash.purge = (ids, operation) =>
      this.#isFailing ? untilStopped(operation.signal) : trash.purge(ids, operation);
    return { ...mortal, trash: { ...trash, purge } };
  }

  #state(inner: StateStore): StateStore {
    return {
      ...inner,
      write: async (work) => {
        this.#calls.spend();
        const isFaulty = this.#isFailing && !this.#isStarting;
        if (isFaulty && this.#commitFaults.chance(COMMIT_FAULT_CHANCE)) {
          this.faultCount += 1;
          this.#note("  fault: commit");
          // Not "storage.full": a removal would have others evicted, and wait for their purge.
          throw new EngineError("storage.failed", "the commit failed on purpose");
        }
        return await inner.write(work);
      },
    };
  }

  #note(step: string): void {
    this.#steps.push(step);
  }
}
