// Databases with several writers: noticed when the second one comes or later, told of, and over.
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { eventually } from "../../../test/support/child.ts";
import { type EngineBench, named, startedEngine } from "../../../test/support/engine-bench.ts";
import { containerWith, memoryEngine } from "../../../test/support/memory-engine.ts";
import { volumeCondition } from "../../api/volume-state.ts";
import { parseHolderId } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { SharedDatabase } from "./shared-databases.ts";

const id = (digit: string) => digit.repeat(64);

interface Bench extends AsyncDisposable {
  readonly bench: EngineBench;
  /** Starts a container with the volume; the end of it is what is returned. */
  start(digit: string, isReadOnly?: boolean): Promise<() => Promise<void>>;
  put(files: Readonly<Record<string, string>>): void;
  shared(): SharedDatabase | undefined;
  look(): Promise<void>;
}

async function withVolume(
  options: Readonly<Record<string, string>> | null,
  lookAfterMs: readonly number[] = [0, 100, 500, 2_000],
): Promise<Bench> {
  const docker = memoryEngine();
  const bench = await startedEngine({ finder: docker.finder, lookAfterMs });
  const { engine } = bench;
  await engine.volumes.create(named("data", { options }), bench.operation());
  const call = (): Operation => ({ ...bench.operation(), caller: docker.caller });
  await engine.holds.noteCaller(call());
  const { name, mountpoint } = engine.volumes.inspect("data");
  const look = () => engine.holds.refresh(bench.operation());
  return {
    bench,
    look,
    async start(digit, isReadOnly = false) {
      const holder = parseHolderId(id(digit));
      docker.containers.push(
        containerWith("data", { id: id(digit), name: `c${digit}`, isReadOnly }),
      );
      const path = await engine.holds.mount("data", holder, call());
      const end = bench.binds.copy(path, { container: id(digit), isReadOnly });
      await look();
      return async () => {
        end();
        await engine.holds.unmount("data", holder, call());
        await look();
      };
    },
    put(files) {
      for (const [file, text] of Object.entries(files)) {
        mkdirSync(dirname(join(mountpoint, file)), { recursive: true });
        writeFileSync(join(mountpoint, file), text);
      }
    },
    shared: () => engine.sharedDatabases.of(name),
    [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
  };
}

const postgres = { PG_VERSION: "15\n", "global/pg_control": "", "base/1": "" };

async function found(it: Bench): Promise<SharedDatabase> {
  return await eventually(() => it.shared(), {
    timeoutMs: 10_000,
    otherwise: () => JSON.stringify(it.bench.log),
  });
}

const told = ({ bench }: Bench) =>
  bench.events.filter(({ action }) => action === "database-shared").map((one) => one.attributes);

test("a second writer of a database: event, state and a way out, until one is left", async () => {
  await using it = await withVolume(null);
  it.put(postgres);
  await it.start("1");
  await it.start("2", true);
  expect(it.shared()).toBeUndefined();
  const end = await it.start("3");
  const shared = await found(it);
  expect(shared).toMatchObject({ database: "PostgreSQL 15", containers: ["c1", "c3"] });
  expect(told(it)).toEqual([
    {
      ...{ driver: "local", database: "PostgreSQL 15", containers: "c1, c3" },
      message:
        "PostgreSQL 15 can be written by 2 containers (c1, c3): two servers on the same files " +
        "damage them; stop all but one, and keep others from starting with: " +
        "holdfast volume update data -o database=exclusive",
    },
  ]);
  const { engine } = it.bench;
  const condition = () => volumeCondition(engine, engine.volumes.inspect("data"), 3);
  expect(condition()).toMatchObject({ state: "shared database", reason: "PostgreSQL 15: c1, c3" });
  await end();
  expect(it.shared()).toBeUndefined();
  expect(condition().state).toBe("in use");
});

test("an empty volume that both make a database, and a third one", async () => {
  await using it = await withVolume(null);
  await it.start("1");
  await it.start("2");
  it.put(postgres);
  expect((await found(it)).containers).toEqual(["c1", "c2"]);
  const end = await it.start("3");
  await eventually(() => (told(it).length === 2 ? true : undefined), {
    timeoutMs: 10_000,
    otherwise: () => JSON.stringify(told(it)),
  });
  expect(it.shared()?.containers).toEqual(["c1", "c2", "c3"]);
  await end();
  expect(told(it)).toHaveLength(2);
});

test("SQLite is made for many on one machine: what must be true, and no alarm", async () => {
  await using it = await withVolume(null);
  it.put({ "app.db": `SQLite format 3\0\x10\0\x02\x02` });
  await it.start("1");
  await it.start("2");
  expect(await found(it)).toMatchObject({ isAlarm: false, database: "SQLite (app.db)" });
  expect(it.shared()?.sentence).toContain("safe on this machine as long as each opens it");
  const { engine } = it.bench;
  expect(volumeCondition(engine, engine.volumes.inspect("data"), 2).state).toBe("in use");
  expect(told(it)).toHaveLength(1);
});

test.each([
  ["uploads", null, { "a.jpg": "", HEAD: "ref: x", "objects/a": "", "refs/b": "" }],
  ["a database that may", { database: "off" }, postgres],
  ["what the judge is for", { database: "exclusive" }, postgres],
  ["what the judge is for too", { sharing: "onewriter" }, postgres],
] as const)("nothing of %s", async (_, options, files) => {
  await using it = await withVolume(options, [0]);
  it.put(files);
  await it.start("1");
  await it.start("2");
  await it.bench.engine.sharedDatabases.stop();
  expect([it.shared(), told(it)]).toEqual([undefined, []]);
});
