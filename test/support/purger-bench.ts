// A purger alone, over a real state and a trash that only notes, with timers fired by hand.
import type { TrashCapable, VolumeDriver } from "../../src/core/driver.ts";
import { EngineError } from "../../src/core/errors.ts";
import { makeTrashId, parseVolumeName, type TrashId } from "../../src/core/names.ts";
import type { RetiredEntry, StateStore } from "../../src/core/state-store.ts";
import { Purger } from "../../src/engine/trash/purger.ts";
import { type EngineBench, type LogLine, startedEngine } from "./engine-bench.ts";
import { retiredRow } from "./recovery-bench.ts";

const dead = new EngineError("storage.failed", "the disk does not answer");

export interface PurgerPlan {
  /** Removed volumes that wait to be purged, in this order. */
  readonly names: readonly string[];
  /** Those of them that cannot be purged. */
  readonly bad: readonly string[];
  /** What purging them throws; `storage.failed` unless given. */
  readonly error?: EngineError;
}

export interface PurgerBench extends AsyncDisposable {
  /** Those that cannot be purged; a test may change its mind. */
  readonly bad: Set<string>;
  /** Every call of `purge`, by the names it was given. */
  readonly purges: (readonly string[])[];
  readonly log: readonly LogLine[];
  /** What still has a row, in the order of removal. */
  left(): readonly string[];
  /** Makes every commit fail, or succeed again. */
  failCommits(isFailing: boolean): void;
  /** A client makes a change. */
  change(): void;
  /** Fires the timer of the next round, once. */
  gather(): Promise<void>;
  /** Whether a timer is set. */
  isTicking(): boolean;
  /** Lets the purger do all that it does without a tick. */
  idle(): Promise<void>;
  /** Fires the timers that are set, and lets the purger do what comes of it. */
  tick(): Promise<void>;
}

/** A purger that was given the plan's volumes and has done nothing yet. */
export async function purgerBench(plan: PurgerPlan): Promise<PurgerBench> {
  const bench = await startedEngine();
  const bad = new Set(plan.bad);
  const entries = await retire(bench, plan.names);
  const commits = failingCommits(bench.state);
  const timers = handTimers();
  const { driver, purges } = notingDriver(bench.scratch(), (id) => {
    const name: string = entries.get(id)?.volume.name ?? "";
    if (!bad.has(name)) return { name };
    return { name, error: plan.error ?? dead };
  });
  const purger = new Purger({
    state: commits.state,
    drivers: new Map([["scratch", driver]]),
    operation: () => bench.operation(),
    startTimer: timers.start,
  });
  for (const entry of entries.values()) purger.add(entry);
  const [gatherMs = 0] = timers.set();

  async function idle(): Promise<void> {
    // Only a commit takes more than one turn of the event loop here.
    while (timers.fire(gatherMs)) {
      do await new Promise((resolve) => setImmediate(resolve));
      while (commits.count() > 0);
    }
  }
  return {
    bad,
    purges,
    log: bench.log,
    left: () => bench.state.read((view) => [...view.retired()].map((each) => each.volume.name)),
    failCommits: commits.fail,
    change: () => purger.noteChange(),
    async gather() {
      timers.fire(gatherMs);
      await new Promise((resolve) => setImmediate(resolve));
    },
    isTicking: () => timers.set().length > 0,
    idle,
    async tick() {
      for (const delayMs of timers.set()) timers.fire(delayMs);
      await idle();
    },
    async [Symbol.asyncDispose]() {
      await purger.stop();
      await bench[Symbol.asyncDispose]();
    },
  };
}

/** Rows of removed volumes, by their ids in the trash. */
async function retire(
  bench: EngineBench,
  names: readonly string[],
): Promise<ReadonlyMap<TrashId, RetiredEntry>> {
  const request = { name: "any", driver: "scratch", options: null, labels: null };
  const volume = await bench.engine.volumes.create(request, bench.operation());
  const entries = names.map((name, index) =>
    retiredRow(
      { ...volume, name: parseVolumeName(name) },
      { id: makeTrashId(index.toString(16).padStart(16, "0")), retiredAtMs: bench.nowMs },
    ),
  );
  await bench.state.write((transaction) => {
    for (const entry of entries) transaction.putRetired(entry);
  });
  return new Map(entries.map((entry) => [entry.id, entry]));
}

/** A state whose commits fail when asked to, and how many of them are under way. */
function failingCommits(inner: StateStore) {
  let isFailing = false;
  let underWay = 0;
  const state: StateStore = {
    ...inner,
    async write(work) {
      if (isFailing) throw dead;
      underWay += 1;
      return await inner.write(work).finally(() => {
        underWay -= 1;
      });
    },
  };
  return {
    state,
    count: () => underWay,
    fail(isSo: boolean): void {
      isFailing = isSo;
    },
  };
}

/** A driver whose trash notes what is to be purged, and throws when one of them has an error. */
function notingDriver(
  driver: VolumeDriver,
  look: (id: TrashId) => { readonly name: string; readonly error?: EngineError },
) {
  const purges: (readonly string[])[] = [];
  if (driver.trash === undefined) throw new Error("the driver has no trash");
  const trash: TrashCapable = {
    ...driver.trash,
    async purge(ids) {
      const seen = ids.map(look);
      purges.push(seen.map(({ name }) => name));
      for (const { error } of seen) if (error !== undefined) throw error;
    },
  };
  return { driver: { ...driver, trash }, purges };
}

/** Timers that somebody fires by their delay; one of each delay is set at a time. */
function handTimers() {
  const timers = new Map<number, () => void>();
  return {
    start(delayMs: number, fire: () => void): () => void {
      timers.set(delayMs, fire);
      return () => void timers.delete(delayMs);
    },
    set: (): readonly number[] => [...timers.keys()],
    /** Whether there was one. */
    fire(delayMs: number): boolean {
      const timer = timers.get(delayMs);
      timers.delete(delayMs);
      timer?.();
      return timer !== undefined;
    },
  };
}
