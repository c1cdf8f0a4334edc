// A create that fails at any step leaves nothing behind, and a crash in it ends with a whole
// volume.
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import {
  changedLocal,
  create,
  type EngineBenchParts,
  failureOf,
  named,
  names,
  startedEngine,
} from "../../test/support/engine-bench.ts";
import { bracketed } from "../../test/support/recovery-bench.ts";
import { EngineError } from "../core/errors.ts";
import type { StateStore, VolumeEntry } from "../core/state-store.ts";

describe("a create that fails", () => {
  const full = new EngineError("storage.full", "no space left on device");

  test("takes its row back when the directory cannot be made", async () => {
    let isFull = true;
    const parts = changedLocal(({ rebuild }) => ({
      rebuild: rebuild && {
        ...rebuild,
        createNow: (spec) => {
          if (isFull) throw full;
          return rebuild.createNow(spec);
        },
      },
    }));
    await using bench = await startedEngine(parts);
    expect(await failureOf(create(bench, named("wiki")))).toBe(full);
    expect(names(bench)).toEqual([]);
    expect(bench.events).toEqual([]);
    isFull = false;
    expect(existsSync((await create(bench, named("wiki"))).mountpoint)).toBe(true);
  });

  test("is not answered as an existing volume to somebody else meanwhile", async () => {
    const parts = changedLocal(({ rebuild }) => ({
      rebuild: rebuild && {
        ...rebuild,
        createNow: () => {
          // In this moment the row is there, and will be taken back.
          second = bench.engine.volumes.create(named("wiki"), bench.operation());
          second.catch(() => undefined);
          throw full;
        },
      },
    }));
    let second: Promise<VolumeEntry> | undefined;
    await using bench = await startedEngine(parts);
    const first = create(bench, named("wiki"));
    expect(await failureOf(first)).toBe(full);
    // Its own attempt fails as well, and starts a third one that nobody waits for.
    expect(await failureOf(second ?? first)).toBe(full);
  });

  test("leaves nothing when the row cannot be written", async () => {
    let isFull = false;
    const parts: EngineBenchParts = {
      state: (state) => ({
        ...state,
        write: (work) => (isFull ? Promise.reject(full) : state.write(work)),
      }),
    };
    await using bench = await startedEngine(parts);
    isFull = true;
    expect(await failureOf(create(bench, named("wiki")))).toBe(full);
    isFull = false;
    expect(existsSync(bench.volumePath("wiki"))).toBe(false);
    expect(names(bench)).toEqual([]);
  });

  test("the row is on disk before the directory is touched", async () => {
    let atDirectory: readonly string[] = [];
    const parts = changedLocal(({ rebuild }, bench) => ({
      rebuild: rebuild && {
        ...rebuild,
        createNow: (spec) => {
          atDirectory = names(bench);
          expect(existsSync(bench.volumePath(spec.name))).toBe(false);
          return rebuild.createNow(spec);
        },
      },
    }));
    await using bench = await startedEngine(parts);
    await create(bench, named("wiki"));
    expect(atDirectory).toEqual(["wiki"]);
  });

  test("a crash between row and directory ends with the directory", async () => {
    const crash = new Promise<never>(() => undefined);
    const committed = Promise.withResolvers<void>();
    let isCrashing = false;
    const parts: EngineBenchParts = {
      // The commit is there, and its caller never hears of it.
      state: (state): StateStore => ({
        ...state,
        write: (work) => {
          const written = state.write(work);
          if (!isCrashing) return written;
          void written.then(() => committed.resolve());
          return crash;
        },
      }),
    };
    await using bench = await startedEngine(parts);
    isCrashing = true;
    void create(bench, named("wiki", { labels: { a: "1" } }));
    await committed.promise;
    isCrashing = false;
    expect(existsSync(bench.volumePath("wiki"))).toBe(false);
    await bench.restart();
    expect(bench.engine.recovery.rebuilt as readonly string[]).toEqual(["wiki"]);
    const entry = bench.engine.volumes.inspect("wiki");
    expect(entry.labels).toEqual({ a: "1" });
    expect(existsSync(entry.mountpoint)).toBe(true);
  });
});

describe("create by a driver that cannot rebuild", () => {
  const onScratch = (name: string) => named(name, { driver: "scratch" });

  test("is bracketed by two commits, and the row is the driver's record", async () => {
    const seen: (string | undefined)[] = [];
    const parts: EngineBenchParts = {
      drivers: (bench) => {
        const driver = bench.scratch();
        const look = () => bench.state.read((view) => view.volume("wiki")?.phase);
        return [
          {
            ...driver,
            rebuild: undefined,
            create: (spec, operation) => {
              seen.push(look());
              return driver.create(spec, operation);
            },
          },
        ];
      },
    };
    await using bench = await startedEngine(parts);
    const entry = await create(bench, onScratch("wiki"));
    expect(seen).toEqual(["creating"]);
    expect(entry.phase).toBe("ready");
    expect(entry.identity).toMatch(/^[0-9a-f]{16}$/);
    expect(bench.engine.volumes.inspect("wiki")).toBe(entry);
  });

  test("a failure takes the row back", async () => {
    const dead = new EngineError("driver.timed_out", "no answer");
    await using bench = await startedEngine(
      bracketed(() => ({ create: () => Promise.reject(dead) })),
    );
    expect(await failureOf(create(bench, onScratch("wiki")))).toBe(dead);
    expect(names(bench)).toEqual([]);
    expect(bench.events).toEqual([]);
  });

  test("what is not made yet is not answered as existing", async () => {
    const gate = Promise.withResolvers<void>();
    const dead = new EngineError("driver.timed_out", "no answer");
    const begun = Promise.withResolvers<void>();
    const create1 = async () => {
      begun.resolve();
      await gate.promise;
      throw dead;
    };
    await using bench = await startedEngine(bracketed(() => ({ create: create1 })));
    const first = create(bench, onScratch("wiki"));
    await begun.promise;
    expect(bench.state.read((view) => view.volume("wiki"))?.phase).toBe("creating");
    expect(bench.engine.volumes.list({})).toEqual([]);
    expect((await failureOf(() => bench.engine.volumes.inspect("wiki"))).code).toBe(
      "volume.not_found",
    );
    const second = create(bench, onScratch("wiki"));
    gate.resolve();
    expect(await failureOf(first)).toBe(dead);
    expect(await failureOf(second)).toBe(dead);
  });
});
