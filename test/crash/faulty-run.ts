// One run of an engine whose storage and state fail at random, and what must be true after it.
//
// The rows are what clients see, so each volume's row is looked at after every call: what was
// acknowledged must be there, what was refused must be as it was or done as a whole, and a restart
// must change neither. The purge is held back while things fail: when it runs depends on timers,
// and a run must depend on its seed alone.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { VolumeDriver } from "../../src/core/driver.ts";
import { EngineError, toEngineError } from "../../src/core/errors.ts";
import { type HolderId, parseHolderId, parseVolumeName } from "../../src/core/names.ts";
import type { StateStore } from "../../src/core/state-store.ts";
import { faulty } from "../../src/layers/faulty.ts";
import { EngineBench } from "../support/engine-bench.ts";
import { Random } from "../support/random.ts";
import { LastCalls, untilStopped } from "./last-calls.ts";

const OPERATION_COUNT = 60;
const RESTART_CHANCE = 0.05;
/** How often the engine dies within its next few calls of the driver and commits. */
const DEATH_CHANCE = 0.1;
const LAST_CALLS_MAX = 6;
/** Of how many calls of the driver, and commits, one fails. */
const FAULT_ONE_IN = 4;
const COMMIT_FAULT_CHANCE = 0.2;
/** How many steps a failure tells of. */
const TOLD_COUNT = 25;

const names = ["va", "vb"].map(parseVolumeName);
const holders = ["h1", "h2"].map(parseHolderId);
/** Mounts nothing before all faults are over. */
const lastHolder = parseHolderId("last");

type Name = (typeof names)[number];

/** A volume as its clients know it. */
interface Known {
  exists: boolean;
  /** A create failed, and may have left a directory that the next start finds. */
  mayAppear: boolean;
  /** What may stand in its file: null is none. One value from the first mount on. */
  contents: readonly (string | null)[];
  readonly holders: Set<HolderId>;
  /** Those whose mounts failed in this life: the driver may count them. */
  readonly doubtful: Set<HolderId>;
}

export class FaultyRun implements AsyncDisposable {
  readonly #seed: number;
  readonly #kind: "scratch" | "local";
  readonly #random: Random;
  readonly #commitFaults: Random;
  readonly #bench: EngineBench;
  readonly #known = new Map<Name, Known>(names.map((name) => [name, unknown()]));
  readonly #steps: string[] = [];
  #isFailing = false;
  #isStarting = false;
  readonly #calls = new LastCalls();
  #lifeCount = 0;
  #fileCount = 0;
  faultCount = 0;
  acknowledgedCount = 0;
  refusedCount = 0;

  constructor(seed: number, kind: "scratch" | "local") {
    this.#seed = seed;
    this.#kind = kind;
    this.#random = new Random(seed);
    this.#commitFaults = this.#random.fork();
    this.#bench = new EngineBench({
      drivers: (bench) => [this.#driver(kind === "local" ? bench.local() : bench.scratch())],
      state: (state) => this.#state(state),
      // Recovery compares the times of rows with those of directories, which the kernel takes.
      host: (host) => ({ ...host, nowMs: Date.now }),
    });
  }

  /** Throws what is wrong, with the seed and the last steps. */
  async play(): Promise<void> {
    try {
      await this.#start();
      this.#isFailing = true;
      for (let count = 0; count < OPERATION_COUNT; count++) await this.#step();
      this.#isFailing = false;
      this.#note("faults are over");
      // Half of the runs have to get along without a restart.
      if (this.#random.chance(0.5)) await this.#removeAll();
      await this.#restart();
      await this.#mountAll();
      await this.#removeAll();
      await this.#mustBeEmpty();
    } catch (error) {
      const what = `HOLDFAST_TEST_SEED=${this.#seed} over ${this.#kind}: ${String(error)}`;
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
    const name = this.#random.pick(names);
    const [first] = this.#of(name).holders;
    const picked = this.#random.pick(holders);
    const holder = this.#random.chance(0.5) ? picked : (first ?? picked);
    const action = this.#random.pick(["create", "mount", "unmount", "remove", "remove"]);
    if (action === "create" || !this.#of(name).exists) await this.#create(name);
    else if (action === "mount") await this.#mount(name, holder);
    else if (action === "unmount" || first !== undefined) await this.#unmount(name, holder);
    else await this.#remove(name);
    if (isLast) await this.#restart();
    this.#mustMatch();
  }

  async #create(name: Name): Promise<void> {
    const known = this.#of(name);
    const request = { name, driver: this.#kind, options: null, labels: null };
    const isDone = await this.#try(`create ${name}`, async () => {
      await this.#bench.engine.volumes.create(request, this.#bench.operation());
    });
    if (known.exists) {
      if (!isDone) throw new Error(`create of ${name}, which exists, failed`);
      return;
    }
    known.exists = this.#hasRow(name);
    if (isDone && !known.exists) throw new Error(`${name} was created and is not there`);
    known.mayAppear = !known.exists;
  }

  async #mount(name: Name, holder: HolderId): Promise<void> {
    const known = this.#of(name);
    let path = "";
    const isDone = await this.#try(`mount ${name} for ${holder}`, async () => {
      path = await this.#bench.engine.volumes.mount(name, holder, this.#bench.operation());
    });
    if (!isDone && !known.holders.has(holder)) known.doubtful.add(holder);
    if (!isDone) return;
    if (!known.exists) throw new Error(`${name} was mounted and does not exist`);
    known.holders.add(holder);
    known.doubtful.delete(holder);
    this.#readAndWrite(name, path);
  }

  /** A client looks for what it has written, and writes into a volume that is new. */
  #readAndWrite(name: Name, path: string): void {
    const known = this.#of(name);
    const file = join(path, "file");
    const found = existsSync(file) ? readFileSync(file, "utf8") : null;
    if (!known.contents.includes(found)) {
      throw new Error(`${name} holds ${found}, not ${known.contents.join(" or ")}`);
    }
    if (found === null) {
      this.#fileCount += 1;
      writeFileSync(file, `content ${this.#fileCount}`);
      known.contents = [`content ${this.#fileCount}`];
    } else {
      known.contents = [found];
    }
  }

  async #unmount(name: Name, holder: HolderId): Promise<void> {
    const known = this.#of(name);
    const isDone = await this.#try(`unmount ${name} for ${holder}`, () =>
      this.#bench.engine.volumes.unmount(name, holder, this.#bench.operation()),
    );
    if (!isDone) return;
    known.holders.delete(holder);
    known.doubtful.delete(holder);
  }

  async #remove(name: Name): Promise<void> {
    const known = this.#of(name);
    const isDone = await this.#try(`remove ${name}`, () =>
      this.#bench.engine.volumes.remove(name, this.#bench.operation()),
    );
    if (isDone && known.holders.size > 0) throw new Error(`${name} was removed while in use`);
    if (!known.exists) return;
    known.exists = this.#hasRow(name);
    if (isDone && known.exists) throw new Error(`${name} was removed and is there`);
    if (known.exists) return;
    // One who was told that the removal failed, and creates it again, may find the data of before.
    known.contents = isDone ? [null] : [null, ...known.contents];
    known.mayAppear = false;
  }

  /** Whether it was acknowledged. Only errors of ours may be answered, and no bugs. */
  async #try(what: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      this.acknowledgedCount += 1;
      this.#note(`${what}: ok`);
      return true;
    } catch (thrown) {
      const { code, message } = toEngineError(thrown);
      if (code === "internal.bug") throw thrown;
      this.refusedCount += 1;
      this.#note(`${what}: ${code}: ${message}`);
      return false;
    }
  }

  async #start(): Promise<void> {
    this.#isStarting = true;
    await this.#bench.start();
    this.#isStarting = false;
  }

  async #restart(): Promise<void> {
    this.#calls.left = undefined;
    this.#isStarting = true;
    await this.#bench.restart();
    this.#isStarting = false;
    const { recovery } = this.#bench.engine;
    const told = Object.entries(recovery).filter(([, list]) => list.length > 0);
    this.#note(`restart: ${JSON.stringify(Object.fromEntries(told))}`);
    for (const [name, known] of this.#known) {
      known.doubtful.clear();
      if (known.exists) continue;
      // What is gone after a start does not come back with a name.
      known.contents = [null];
      if (!known.mayAppear || !this.#hasRow(name)) continue;
      known.exists = true;
      known.mayAppear = false;
    }
    this.#mustMatch();
  }

  /** Rows and holders are what clients were told. */
  #mustMatch(): void {
    for (const [name, known] of this.#known) {
      if (this.#hasRow(name) !== known.exists) {
        throw new Error(`${name} ${known.exists ? "is lost" : "is there again"}`);
      }
      const found = this.#bench.state.read((view) => view.holders(name).map((each) => each.holder));
      if (found.toSorted().join() !== [...known.holders].toSorted().join()) {
        throw new Error(`${name} is held by ${found.join()}, not by ${[...known.holders].join()}`);
      }
    }
  }

  /** Every volume can be used, and holds what was written into it. */
  async #mountAll(): Promise<void> {
    for (const [name, known] of this.#known) {
      if (!known.exists) continue;
      await this.#mount(name, lastHolder);
      if (!known.holders.has(lastHolder)) throw new Error(`${name} cannot be mounted`);
    }
  }

  /** Every volume can be removed once those have let go whose mounts succeeded. */
  async #removeAll(): Promise<void> {
    for (const [name, known] of this.#known) {
      if (!known.exists) continue;
      for (const holder of [...known.holders]) await this.#unmount(name, holder);
      if (known.holders.size > 0) throw new Error(`${name} cannot be unmounted`);
      await this.#remove(name);
      if (known.exists) throw new Error(`${name} is stuck`);
    }
    this.#mustMatch();
  }

  async #mustBeEmpty(): Promise<void> {
    await this.#bench.purged();
    const { root, scratchRoot } = this.#bench;
    const left = readdirSync(join(this.#kind === "local" ? root : scratchRoot, "volumes"));
    if (left.length > 0) throw new Error(`directories are left: ${left.join()}`);
  }

  #driver(inner: VolumeDriver): VolumeDriver {
    this.#lifeCount += 1;
    const { trash } = inner;
    if (trash === undefined) throw new Error("the driver has no trash");
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
    if (mortal.trash === undefined) throw new Error("the driver has no trash");
    const purge: typeof trash.purge = (ids, operation) =>
      this.#isFailing ? untilStopped(operation.signal) : trash.purge(ids, operation);
    return { ...mortal, trash: { ...mortal.trash, purge } };
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
          throw new EngineError("storage.full", "the commit failed on purpose");
        }
        return await inner.write(work);
      },
    };
  }

  #hasRow(name: Name): boolean {
    return this.#bench.state.read((view) => view.volume(name)) !== undefined;
  }

  #of(name: Name): Known {
    const known = this.#known.get(name);
    if (known === undefined) throw new Error(`no volume is called ${name}`);
    return known;
  }

  #note(step: string): void {
    this.#steps.push(step);
  }
}

function unknown(): Known {
  return {
    exists: false,
    mayAppear: false,
    contents: [null],
    holders: new Set(),
    doubtful: new Set(),
  };
}
