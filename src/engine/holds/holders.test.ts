// Holders: what mount and unmount record, repeat and undo, and what a restart makes of them.
import { describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import {
  type EngineBench,
  type EngineBenchParts,
  failureOf,
  startedEngine,
} from "../../../test/support/engine-bench.ts";
import type { VolumeDriver } from "../../core/driver.ts";
import { EngineError } from "../../core/errors.ts";
import { type HolderId, parseHolderId } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";

const c1 = parseHolderId("c1");
const c2 = parseHolderId("c2");
const full = new EngineError("storage.full", "no space left on device");

async function withVolume(parts: EngineBenchParts = {}): Promise<EngineBench> {
  const bench = await startedEngine(parts);
  await bench.engine.volumes.create(
    { name: "wiki", options: null, labels: null },
    bench.operation(),
  );
  return bench;
}

function mount(bench: EngineBench, holder: HolderId, name = "wiki"): Promise<string> {
  return bench.engine.volumes.mount(name, holder, bench.operation());
}

function unmount(bench: EngineBench, holder: HolderId, name = "wiki"): Promise<void> {
  return bench.engine.volumes.unmount(name, holder, bench.operation());
}

function holders(bench: EngineBench): readonly (readonly [string, number])[] {
  const entry = bench.engine.volumes.inspect("wiki");
  return bench.state.read((view) =>
    view.holders(entry.name).map((each) => [each.holder, each.sinceMs] as const),
  );
}

/** The local driver, noting what it is asked to mount and unmount. */
function noted(calls: string[], change: Partial<VolumeDriver> = {}): EngineBenchParts {
  return {
    drivers: (bench) => {
      const driver = bench.local();
      return [
        {
          ...driver,
          mount: (name, holder, operation) => {
            calls.push(`mount ${holder}`);
            return driver.mount(name, holder, operation);
          },
          unmount: (name, holder, operation) => {
            calls.push(`unmount ${holder}`);
            return driver.unmount(name, holder, operation);
          },
          ...change,
        },
      ];
    },
  };
}

describe("mount", () => {
  test("gives the path, and records the holder, the first use and the identity", async () => {
    await using bench = await withVolume();
    bench.nowMs += 1_000;
    const entry = bench.engine.volumes.inspect("wiki");
    expect(await mount(bench, c1)).toBe(entry.mountpoint);
    expect(holders(bench)).toEqual([["c1", bench.nowMs]]);
    const used = bench.engine.volumes.inspect("wiki");
    expect(used.usedAtMs).toBe(bench.nowMs);
    expect(used.identity).toMatch(/^\d+-\d+$/);
    bench.nowMs += 1_000;
    await mount(bench, c2);
    expect(bench.engine.volumes.inspect("wiki")).toBe(used);
    expect(holders(bench)).toHaveLength(2);
    expect(bench.events.at(-1)).toMatchObject({
      action: "mount",
      attributes: {
        container: "c2",
        destination: entry.mountpoint,
        driver: "local",
        propagation: "",
        "read/write": "true",
      },
    });
  });

  test("repeated for the same holder it changes nothing", async () => {
    const calls: string[] = [];
    await using bench = await withVolume(noted(calls));
    const path = await mount(bench, c1);
    const before = holders(bench);
    bench.nowMs += 1_000;
    expect(await mount(bench, c1)).toBe(path);
    expect(holders(bench)).toEqual(before);
    expect(bench.events.filter((event) => event.action === "mount")).toHaveLength(1);
    expect(bench.state.history({ order: "newest first", countMax: 9 }).entries).toHaveLength(2);
    // The driver is asked all the same: what it mounted may have gone meanwhile.
    expect(calls).toEqual(["mount c1", "mount c1"]);
  });

  test("of what is not there is Docker's 404", async () => {
    await using bench = await withVolume();
    for (const work of [mount(bench, c1, "other"), unmount(bench, c1, "other")]) {
      expect((await failureOf(work)).message).toBe("get other: no such volume");
    }
  });

  test("that the driver refuses records nothing", async () => {
    const dead = new EngineError("volume.mount_failed", "no route to host");
    const parts = noted([], { mount: () => Promise.reject(dead) });
    await using bench = await withVolume(parts);
    expect(await failureOf(mount(bench, c1))).toBe(dead);
    expect(holders(bench)).toEqual([]);
    expect(bench.engine.volumes.inspect("wiki").usedAtMs).toBeNull();
    expect(bench.events.map((event) => event.action)).toEqual(["create"]);
  });

  test("that cannot be recorded is undone: nothing would ever end it", async () => {
    const calls: string[] = [];
    let isFull = false;
    const parts: EngineBenchParts = {
      ...noted(calls),
      state: (state) => ({
        ...state,
        write: (work) => (isFull ? Promise.reject(full) : state.write(work)),
      }),
    };
    await using bench = await withVolume(parts);
    isFull = true;
    expect(await failureOf(mount(bench, c1))).toBe(full);
    isFull = false;
    expect(calls).toEqual(["mount c1", "unmount c1"]);
    await bench.engine.volumes.remove("wiki", bench.operation());
  });

  test("that can neither be recorded nor undone is ended by the removal", async () => {
    let isFull = false;
    const busy = new EngineError("volume.unmount_failed", "target is busy");
    const local = (bench: EngineBench): VolumeDriver => {
      const driver = bench.local();
      return {
        ...driver,
        unmount: (name, holder, operation) =>
          isFull ? Promise.reject(busy) : driver.unmount(name, holder, operation),
      };
    };
    await using bench = await withVolume({
      drivers: (it) => [local(it)],
      state: (state) => ({
        ...state,
        write: (work) => (isFull ? Promise.reject(full) : state.write(work)),
      }),
    });
    isFull = true;
    expect(await failureOf(mount(bench, c1))).toBe(full);
    isFull = false;
    expect(bench.log).toMatchObject([{ level: "warn", fields: { volume: "wiki", holder: "c1" } }]);
    await bench.engine.volumes.remove("wiki", bench.operation());
  });

  test("of a directory that vanished is an error, and makes none", async () => {
    await using bench = await withVolume();
    await mount(bench, c1);
    await unmount(bench, c1);
    rmSync(bench.volumePath("wiki"), { recursive: true });
    const { code } = await failureOf(mount(bench, c1));
    expect(code).toBe("volume.data_missing");
    expect(holders(bench)).toEqual([]);
  });
});

describe("unmount", () => {
  test("ends one holder's mount and no other's", async () => {
    await using bench = await withVolume();
    await mount(bench, c1);
    await mount(bench, c2);
    await unmount(bench, c1);
    expect(holders(bench).map(([holder]) => holder)).toEqual(["c2"]);
    expect(bench.events.at(-1)).toMatchObject({
      action: "unmount",
      attributes: { container: "c1", driver: "local" },
    });
    expect(bench.state.history({ order: "newest first", countMax: 1 }).entries).toMatchObject([
      { action: "unmount" },
    ]);
  });

  test("of who holds nothing succeeds, and tells nobody", async () => {
    const calls: string[] = [];
    await using bench = await withVolume(noted(calls));
    await unmount(bench, c1);
    expect(calls).toEqual(["unmount c1"]);
    expect(bench.state.history({ order: "newest first", countMax: 1 }).entries).toMatchObject([
      { action: "create" },
    ]);
    expect(bench.events.map((event) => event.action)).toEqual(["create"]);
  });

  test("that the driver refuses keeps the holder", async () => {
    const busy = new EngineError("volume.unmount_failed", "target is busy");
    await using bench = await withVolume(noted([], { unmount: () => Promise.reject(busy) }));
    await mount(bench, c1);
    expect(await failureOf(unmount(bench, c1))).toBe(busy);
    expect(holders(bench)).toHaveLength(1);
    expect((await failureOf(bench.engine.volumes.remove("wiki", bench.operation()))).code).toBe(
      "volume.in_use",
    );
  });
});

describe("after a restart", () => {
  test("the driver is told of every holder before the first change", async () => {
    const calls: string[] = [];
    await using bench = await withVolume(noted(calls));
    await mount(bench, c1);
    await mount(bench, c2);
    calls.length = 0;
    await bench.restart();
    await unmount(bench, c1);
    expect(calls).toEqual(["mount c1", "mount c2", "unmount c1"]);
    await unmount(bench, c2);
    expect(calls.slice(3)).toEqual(["unmount c2"]);
  });

  test("a dead server keeps neither the start, nor refusals, nor the end waiting", async () => {
    let isDead = false;
    const parts: EngineBenchParts = {
      drivers: (bench) => {
        const driver = bench.local();
        const untilGivenUp = ({ signal }: Operation): Promise<never> =>
          new Promise((_, reject) => {
            signal.addEventListener("abort", () => reject(signal.reason));
          });
        return [
          {
            ...driver,
            mount: (name, holder, operation) =>
              isDead ? untilGivenUp(operation) : driver.mount(name, holder, operation),
          },
        ];
      },
    };
    await using bench = await withVolume(parts);
    await mount(bench, c1);
    isDead = true;
    await bench.restart();
    const removal = bench.engine.volumes.remove("wiki", bench.operation());
    expect((await failureOf(removal)).code).toBe("volume.in_use");
    await bench.restart();
    isDead = false;
    await bench.restart();
    await unmount(bench, c1);
    expect(bench.log.filter(({ level }) => level === "warn")).toEqual([]);
  });

  test("a holder whose mount cannot be repeated can still be ended", async () => {
    let isDead = false;
    const dead = new EngineError("volume.mount_failed", "no route to host");
    const parts: EngineBenchParts = {
      drivers: (bench) => {
        const driver = bench.local();
        return [
          {
            ...driver,
            mount: (name, holder, operation) =>
              isDead ? Promise.reject(dead) : driver.mount(name, holder, operation),
          },
        ];
      },
    };
    await using bench = await withVolume(parts);
    await mount(bench, c1);
    isDead = true;
    await bench.restart();
    await unmount(bench, c1);
    expect(holders(bench)).toEqual([]);
    expect(bench.log.at(-1)).toMatchObject({ level: "warn", fields: { volume: "wiki" } });
  });
});

test("mounts and removals at once never leave a holder without a volume", async () => {
  await using bench = await withVolume();
  const ignore = (work: Promise<unknown>) =>
    work.then(
      () => "done",
      (error: EngineError) => error.code,
    );
  for (let round = 0; round < 10; round++) {
    const answers = await Promise.all([
      ignore(mount(bench, c1)),
      ignore(bench.engine.volumes.remove("wiki", bench.operation())),
      ignore(unmount(bench, c1)),
      ignore(mount(bench, c2)),
    ]);
    const expected = new Set(["done", "volume.in_use", "volume.not_found"]);
    expect(new Set(answers).isSubsetOf(expected)).toBe(true);
    await bench.engine.volumes.create(
      { name: "wiki", options: null, labels: null },
      bench.operation(),
    );
    const held = holders(bench).map(([holder]) => parseHolderId(holder));
    for (const holder of held) await unmount(bench, holder);
  }
});

describe("one ID of a client and of a container engine", () => {
  test.each([
    ["client", "engine"],
    ["engine", "client"],
  ] as const)(
    "a %s's holder is not taken for an %s's, which would end it",
    async (first, second) => {
      await using bench = await withVolume();
      const { volumes } = bench.engine;
      const entry = volumes.inspect("wiki");
      await volumes.holders.mount(entry, { holder: c1, kind: first }, bench.operation());
      const more = volumes.holders.mount(entry, { holder: c1, kind: second }, bench.operation());
      const { code, message } = await failureOf(more);
      expect([code, message]).toEqual(["request.invalid", expect.stringContaining("another ID")]);
      expect(holders(bench)).toHaveLength(1);
    },
  );
});
