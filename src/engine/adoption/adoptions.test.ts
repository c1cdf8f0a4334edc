// Adoption and release end at every step, as by kill -9: the data is always at exactly one place,
// and the next start, or a repeated command, heals the rest.
import { describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { eventually } from "../../../test/support/child.ts";
import { DirectoryDocker, directoryDockerKey } from "../../../test/support/directory-docker.ts";
import { EngineBench, failureOf, named } from "../../../test/support/engine-bench.ts";
import type { ContainerEngine } from "../../core/container-engine.ts";
import type { VolumeDriver } from "../../core/driver.ts";
import type { ForeignVolumes } from "../../core/foreign-volumes.ts";
import type { StateStore } from "../../core/state-store.ts";
import { dataPlaces } from "../../host/data-places.ts";

const labels = { app: "wiki" };
const optionSets = [null, { type: "tmpfs", device: "tmpfs", o: "size=1m" }] as const;

/** A life that ends at its Nth step: then nothing has an effect any more. */
class Life {
  stepCount = 0;
  endsAt = Number.POSITIVE_INFINITY;

  /** "before": the step is not done; "after": it is, and nobody hears of it. */
  dies: "before" | "after" = "before";

  get isOver(): boolean {
    return this.stepCount > this.endsAt;
  }

  step<T>(work: () => T): T {
    if (this.isOver) throw new Error("dead");
    this.stepCount++;
    if (this.stepCount !== this.endsAt) return work();
    this.stepCount++;
    if (this.dies === "before") throw new Error("died before it");
    const done = work();
    if (done instanceof Promise) {
      // The effect is there when the next life looks.
      return done.then(() => {
        throw new Error("died after it");
      }) as T; // A promise that only rejects is one of anything.
    }
    throw new Error("died after it");
  }

  begin(): void {
    this.stepCount = 0;
    this.endsAt = Number.POSITIVE_INFINITY;
  }
}

/** The engine behind the directory: it has no container with a volume of ours. */
const nobodysContainers: ContainerEngine = {
  kind: "docker",
  key: directoryDockerKey,
  isAskableInCalls: true,
  mountsOnceForAll: false,
  isBusyWith: async () => false,
  containers: async () => [],
  services: async () => [],
  stop: async () => undefined,
  restart: async () => undefined,
  startAgain: async () => false,
};

class Bench implements AsyncDisposable {
  readonly life = new Life();
  readonly engine: EngineBench;
  readonly docker: DirectoryDocker;

  constructor() {
    const { life } = this;
    this.engine = new EngineBench({
      // Recovery compares the times of rows with those of directories, which the kernel takes.
      host: (host) => ({ ...host, nowMs: Date.now }),
      finder: { ofCaller: () => undefined, ofKey: () => nobodysContainers, running: () => [] },
      places: {
        look: dataPlaces.look,
        move: async (from, to) => life.step(() => dataPlaces.move(from, to)),
        make: (place) => life.step(() => dataPlaces.make(place)),
        removeEmpty: (place) => life.step(() => dataPlaces.removeEmpty(place)),
      },
      drivers: (bench) => [mortalDriver(bench.local(), life)],
      state: (state) => mortalState(state, life),
      foreign: () => ({
        of: (key) => {
          const volumes = this.docker.of(key);
          return volumes === undefined ? undefined : mortalVolumes(volumes, life);
        },
      }),
    });
    this.docker = new DirectoryDocker(join(this.engine.root, "../docker"));
  }

  adopt(name: string) {
    return this.engine.engine.adoptions.adopt(name, directoryDockerKey, this.engine.operation());
  }

  release(name: string) {
    return this.engine.engine.adoptions.release(name, directoryDockerKey, this.engine.operation());
  }

  /** Another life over what this one left. */
  async again(): Promise<void> {
    await this.engine.stop();
    this.life.begin();
    await this.engine.restart();
  }

  /** The data directory here. */
  ours(name: string): string {
    return join(this.engine.volumePath(name), "_data");
  }

  /** Where a file of the volume is: exactly one place, whole. */
  placeOf(name: string, inode: number): "ours" | "theirs" {
    const found = (["ours", "theirs"] as const).filter((place) => {
      const file = join(place === "ours" ? this.ours(name) : this.docker.data(name), "file");
      return existsSync(file) && statSync(file).ino === inode;
    });
    if (found.length !== 1 || found[0] === undefined) throw new Error(`found at [${found}]`);
    return found[0];
  }

  /** Nothing is on its way any more. */
  async settled(): Promise<void> {
    await eventually(
      () => (this.engine.engine.adoptions.unfinished.length === 0 ? true : undefined),
      { timeoutMs: 5_000, otherwise: () => JSON.stringify(this.engine.log) },
    );
  }

  row(name: string) {
    return this.engine.state.read((view) => view.volume(name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.life.begin();
    await this.engine[Symbol.asyncDispose]();
  }
}

function mortalState(state: StateStore, life: Life): StateStore {
  return {
    id: state.id,
    origin: state.origin,
    read: (work) => state.read(work),
    write: async (work) => life.step(() => state.write(work)),
    history: (query) => state.history(query),
    close: () => state.close(),
  };
}

function mortalVolumes(volumes: ForeignVolumes, life: Life): ForeignVolumes {
  return {
    ...volumes,
    create: async (spec, operation) => life.step(() => volumes.create(spec, operation)),
    forget: async (name, operation) => life.step(() => volumes.forget(name, operation)),
  };
}

function mortalDriver(driver: VolumeDriver, life: Life): VolumeDriver {
  const { rebuild, trash } = driver;
  if (rebuild === undefined || trash === undefined) throw new Error("local has both");
  return {
    ...driver,
    rebuild: { ...rebuild, createNow: (spec) => life.step(() => rebuild.createNow(spec)) },
    trash: {
      ...trash,
      retire: async (name, id, operation) => life.step(() => trash.retire(name, id, operation)),
    },
  };
}

async function startedBench(): Promise<Bench> {
  const bench = new Bench();
  await bench.engine.start();
  return bench;
}

/** Puts a file in and returns its inode. */
function fill(directory: string): number {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "file"), "kept");
  return statSync(join(directory, "file")).ino;
}

/** How many steps it takes when nobody dies. */
async function stepsOf(work: (bench: Bench) => Promise<unknown>): Promise<number> {
  await using bench = await startedBench();
  await work(bench);
  return bench.life.stepCount;
}

/** A move of the volume `wiki`, and when its life ends. */
interface DyingMove {
  /** Makes the volume and returns its file's inode. */
  readonly prepare: (bench: Bench) => Promise<number>;
  readonly act: (bench: Bench) => Promise<unknown>;
  readonly dies: "before" | "after";
}

/**
 * Ends the life at each step of the move in turn, begins the next one, and compares: the row says
 * where the data is, and so does Docker. Then `goOn`. Returns how many steps the move takes.
 */
async function dieAtEveryStep(
  { prepare, act, dies }: DyingMove,
  goOn: (
    bench: Bench,
    left: { readonly inode: number; readonly place: "ours" | "theirs" },
  ) => Promise<void>,
): Promise<number> {
  const stepCount = await stepsOf(async (bench) => {
    await prepare(bench);
    bench.life.begin();
    await act(bench);
  });
  for (let endsAt = 1; endsAt <= stepCount; endsAt++) {
    await using bench = await startedBench();
    const inode = await prepare(bench);
    Object.assign(bench.life, { stepCount: 0, endsAt, dies });
    await act(bench).catch(() => undefined);
    bench.placeOf("wiki", inode);
    await bench.again();
    await bench.settled();
    const place = bench.placeOf("wiki", inode);
    expect([endsAt, bench.row("wiki")?.phase]).toEqual([
      endsAt,
      place === "ours" ? "ready" : undefined,
    ]);
    expect(bench.docker.names).toEqual(place === "ours" ? [] : ["wiki"]);
    await goOn(bench, { inode, place });
  }
  return stepCount;
}

describe("a crash at every step", () => {
  for (const options of optionSets) {
    for (const dies of ["before", "after"] as const) {
      const what = options === null ? "a plain volume" : "one with options";
      test(`of an adoption of ${what}, ${dies} it is done`, async () => {
        const prepare = async (bench: Bench) => {
          bench.docker.make("wiki", labels, options);
          return fill(bench.docker.data("wiki"));
        };
        const act = (bench: Bench) => bench.adopt("wiki");
        const stepCount = await dieAtEveryStep({ prepare, act, dies }, async (bench, { inode }) => {
          const entry = await bench.adopt("wiki");
          expect(entry).toMatchObject({ labels, options, phase: "ready", origin: "made" });
          expect(entry.mountpoint).toBe(bench.ours("wiki"));
          expect(bench.placeOf("wiki", inode)).toBe("ours");
          expect(bench.docker.names).toEqual([]);
          await bench.again();
          expect(bench.row("wiki")).toEqual(entry);
          expect(bench.engine.engine.recovery.missing).toEqual([]);
        });
        expect(stepCount).toBeGreaterThanOrEqual(5);
      });

      test(`of a release of ${what}, ${dies} it is done`, async () => {
        const prepare = async (bench: Bench) => {
          const request = named("wiki", { labels, options });
          await bench.engine.engine.volumes.create(request, bench.engine.operation());
          return fill(bench.ours("wiki"));
        };
        const act = (bench: Bench) => bench.release("wiki");
        const stepCount = await dieAtEveryStep({ prepare, act, dies }, async (bench, left) => {
          const { inode, place } = left;
          if (place === "ours") await bench.release("wiki");
          expect(bench.placeOf("wiki", inode)).toBe("theirs");
          expect(bench.row("wiki")).toBeUndefined();
          await bench.again();
          expect(bench.row("wiki")).toBeUndefined();
          await bench.engine.purged();
          expect(await bench.adopt("wiki")).toMatchObject({ labels, phase: "ready" });
          expect(bench.placeOf("wiki", inode)).toBe("ours");
        });
        expect(stepCount).toBeGreaterThanOrEqual(6);
      });
    }
  }
});

describe("an adoption", () => {
  test("whose engine falls silent goes on at the next start, and when repeated", async () => {
    for (const heal of ["start", "repeat"] as const) {
      await using bench = await startedBench();
      bench.docker.make("wiki", labels);
      const inode = fill(bench.docker.data("wiki"));
      bench.docker.beforeForget = () => {
        bench.docker.isSilent = true;
        throw new Error("no answer");
      };
      expect(await failureOf(bench.adopt("wiki"))).toMatchObject({ code: "volume.moving" });
      expect(bench.placeOf("wiki", inode)).toBe("ours");
      const { volumes } = bench.engine.engine;
      const operation = bench.engine.operation();
      expect(await failureOf(volumes.remove("wiki", operation))).toMatchObject({
        code: "volume.moving",
      });
      expect(await failureOf(bench.release("wiki"))).toMatchObject({ code: "volume.moving" });
      await bench.again();
      expect(bench.row("wiki")?.phase).toBe("adopting");
      bench.docker.isSilent = false;
      bench.docker.beforeForget = () => undefined;
      if (heal === "repeat") await bench.adopt("wiki");
      else await bench.again();
      await bench.settled();
      expect(bench.placeOf("wiki", inode)).toBe("ours");
      expect(bench.row("wiki")).toMatchObject({ phase: "ready", labels });
      expect(bench.docker.names).toEqual([]);
    }
  });

  test("whose data is at neither place keeps its row: it may be found by hand", async () => {
    await using bench = await startedBench();
    bench.docker.make("wiki", labels);
    fill(bench.docker.data("wiki"));
    Object.assign(bench.life, { stepCount: 0, endsAt: 2, dies: "after" });
    await bench.adopt("wiki").catch(() => undefined);
    const aside = join(bench.engine.root, "aside");
    renameSync(bench.docker.data("wiki"), aside);
    // Another directory in its place is not it.
    mkdirSync(bench.docker.data("wiki"));
    await bench.again();
    expect(bench.row("wiki")).toMatchObject({ phase: "adopting", labels });
    rmSync(bench.docker.data("wiki"), { recursive: true });
    await bench.again();
    expect(bench.row("wiki")).toMatchObject({ phase: "adopting", labels });
    expect(await failureOf(bench.adopt("wiki"))).toMatchObject({ code: "volume.moving" });
    renameSync(aside, bench.docker.data("wiki"));
    await bench.again();
    expect(bench.row("wiki")).toBeUndefined();
    expect(await bench.adopt("wiki")).toMatchObject({ phase: "ready", labels });
  });

  test("that loses the race against a container is taken back", async () => {
    await using bench = await startedBench();
    bench.docker.make("wiki", labels);
    const inode = fill(bench.docker.data("wiki"));
    bench.docker.beforeForget = () => {
      const user = { name: "late", project: null, isRunning: false, isByPath: false };
      bench.docker.users.set("wiki", user);
    };
    const failure = await failureOf(bench.adopt("wiki"));
    expect(failure.code).toBe("adoption.in_use");
    expect(failure.message).toInclude("late (stopped)");
    expect(bench.placeOf("wiki", inode)).toBe("theirs");
    expect(bench.row("wiki")).toBeUndefined();
    expect(bench.docker.names).toEqual(["wiki"]);
    await bench.again();
    expect(bench.row("wiki")).toBeUndefined();
    expect([...bench.engine.state.read((view) => [...view.engines()])]).toEqual([]);
  });

  test("is a line of the history, and its volume is removed like any other", async () => {
    await using bench = await startedBench();
    bench.docker.make("wiki", labels);
    fill(bench.docker.data("wiki"));
    const entry = await bench.adopt("wiki");
    expect(entry.createdAtMs).toBe(Date.UTC(2026, 0, 2, 3, 4, 5));
    const { engine } = bench.engine;
    expect(engine.state.history({ order: "newest first", countMax: 1 }).entries).toMatchObject([
      { action: "adopt", volume: "wiki" },
    ]);
    await engine.volumes.remove("wiki", bench.engine.operation());
    await bench.engine.purged();
    expect(existsSync(bench.engine.volumePath("wiki"))).toBe(false);
  });

  test("of what is in our place already, and of a directory that is gone, is refused", async () => {
    await using bench = await startedBench();
    bench.docker.make("wiki");
    const inode = fill(bench.docker.data("wiki"));
    mkdirSync(bench.ours("wiki"), { recursive: true });
    writeFileSync(join(bench.ours("wiki"), "strange"), "kept");
    expect(await failureOf(bench.adopt("wiki"))).toMatchObject({
      code: "volume.exists_differently",
    });
    expect(bench.placeOf("wiki", inode)).toBe("theirs");
    expect(readFileSync(join(bench.ours("wiki"), "strange"), "utf8")).toBe("kept");
    const operation = bench.engine.operation();
    const plan = await bench.engine.engine.adoptions.plan(directoryDockerKey, operation);
    expect(plan).toMatchObject([{ volume: { name: "wiki" }, obstacle: undefined }]);
    expect(
      await failureOf(bench.engine.engine.adoptions.plan("podman:x", operation)),
    ).toMatchObject({ code: "request.invalid" });
  });
});
