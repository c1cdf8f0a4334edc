// Volumes: create, inspect and list, and what a create that fails leaves behind.
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  changedLocal,
  create,
  failureOf,
  named,
  names,
  startedEngine,
} from "../../test/support/engine-bench.ts";
import { EngineError } from "../core/errors.ts";
import { type DriverName, parseHolderId, type VolumeName } from "../core/names.ts";
import type { CreateRequest } from "./volumes.ts";

const holder = parseHolderId("c1");

describe("create", () => {
  test("makes the directory and says what was asked, with the host's time", async () => {
    await using bench = await startedEngine();
    const labels = { b: "2", a: "1" };
    const entry = await create(bench, named("wiki", { labels }));
    expect(entry).toMatchObject({
      name: "wiki" as VolumeName,
      driver: "local" as DriverName,
      scope: "local",
      labels,
      options: null,
      createdAtMs: bench.nowMs,
      origin: "made",
      phase: "ready",
      mountpoint: join(bench.volumePath("wiki"), "_data"),
      identity: "",
      usedAtMs: null,
    });
    expect(existsSync(entry.mountpoint)).toBe(true);
    expect(
      bench.events.map(({ action, actor, attributes }) => [action, actor, attributes]),
    ).toEqual([["create", "wiki" as VolumeName, { driver: "local" }]]);
    const [change] = bench.state.history({ order: "newest first", countMax: 5 }).entries;
    expect(change).toMatchObject({ action: "create", volume: "wiki", caller: { kind: "system" } });
  });

  test("the time of creation stays, whatever happens to the directory", async () => {
    await using bench = await startedEngine();
    const createdAtMs = bench.nowMs;
    const entry = await create(bench, named("wiki"));
    bench.nowMs += 5_000_000;
    writeFileSync(join(entry.mountpoint, "file"), "x");
    writeFileSync(join(bench.volumePath("wiki"), "other"), "x");
    await bench.engine.volumes.mount("wiki", holder, bench.operation());
    await bench.restart();
    expect(bench.engine.volumes.inspect("wiki").createdAtMs).toBe(createdAtMs);
  });

  test("an existing name is answered as it is, whatever else is asked", async () => {
    await using bench = await startedEngine();
    const first = await create(bench, named("wiki", { labels: { a: "1" } }));
    for (const more of [
      {},
      { labels: { b: "2" } },
      { driver: "local" },
      { driver: "" },
      { options: { nonsense: "x" } },
    ]) {
      expect(await create(bench, named("wiki", more))).toEqual(first);
    }
    expect(bench.events).toHaveLength(1);
    expect(bench.state.history({ order: "newest first", countMax: 9 }).entries).toHaveLength(1);
  });

  test("a name that another driver has is a conflict with Docker's text", async () => {
    await using bench = await startedEngine();
    await create(bench, named("wiki", { driver: "scratch" }));
    const refused = await failureOf(create(bench, named("wiki", { driver: "local" })));
    expect([refused.code, refused.kind, refused.message]).toEqual([
      "volume.exists_differently",
      "conflict",
      "driver 'scratch' already has volume 'wiki': volume name must be unique",
    ]);
    const unspecified = await create(bench, named("wiki"));
    expect(unspecified.driver as string).toBe("scratch");
    expect(existsSync(bench.volumePath("wiki"))).toBe(false);
  });

  test("without a name one is made up, and the volume is labelled anonymous", async () => {
    await using bench = await startedEngine();
    for (const request of [{}, { name: "" }, { name: undefined }]) {
      const entry = await create(bench, { options: null, labels: null, ...request });
      expect(entry.name).toMatch(/^[0-9a-f]{64}$/);
      expect(entry.labels).toEqual({ "com.docker.volume.anonymous": "" });
    }
    const labelled = await create(bench, { options: null, labels: { a: "1" } });
    expect(labelled.labels).toEqual({ a: "1", "com.docker.volume.anonymous": "" });
    expect(names(bench)).toHaveLength(4);
    const typed = await create(bench, named("0".repeat(64)));
    expect(typed.labels).toBeNull();
  });

  test("nothing and an empty object stay what they were, over a restart", async () => {
    await using bench = await startedEngine();
    await create(bench, named("nothing"));
    await create(bench, named("empty", { labels: {}, options: {} }));
    for (const restarts of [false, true]) {
      if (restarts) await bench.restart();
      const { inspect } = bench.engine.volumes;
      const seen = ["nothing", "empty"].map((name) => inspect.call(bench.engine.volumes, name));
      expect(seen.map(({ labels, options }) => [labels, options])).toEqual([
        [null, null],
        [{}, {}],
      ]);
    }
  });

  test("what is refused leaves no row, no directory, no history and no event", async () => {
    await using bench = await startedEngine();
    const refusals: readonly (readonly [CreateRequest, string])[] = [
      [named("x"), "volume.name_invalid"],
      [named("../x"), "volume.name_invalid"],
      [named("a/b"), "volume.name_invalid"],
      [named("wiki\n"), "volume.name_invalid"],
      [named("-wiki"), "volume.name_invalid"],
      [named("n".repeat(256)), "volume.name_invalid"],
      [named("wiki", { driver: "nosuch" }), "driver.not_found"],
      [named("wiki", { driver: "\u0000" }), "request.invalid"],
      [named("wiki", { options: { foo: "1" } }), "volume.option_invalid"],
      [named("wiki", { options: { type: "tmpfs" } }), "volume.option_invalid"],
      [{ options: { foo: "1" }, labels: null }, "volume.option_invalid"],
    ];
    for (const [request, code] of refusals) {
      const refused = await failureOf(create(bench, request));
      expect([request.name, refused.code as string]).toEqual([request.name, code]);
    }
    expect(names(bench)).toEqual([]);
    expect(readdirSync(join(bench.root, "volumes"))).toEqual([]);
    expect(bench.state.history({ order: "newest first", countMax: 9 }).entries).toEqual([]);
    expect(bench.events).toEqual([]);
  });

  test("an unknown driver is said at once, in Docker's words", async () => {
    await using bench = await startedEngine();
    const { message, details } = await failureOf(
      create(bench, named("wiki", { driver: "nosuch" })),
    );
    expect(message).toBe('error looking up volume plugin nosuch: plugin "nosuch" not found');
    expect(details).toEqual({ driver: "nosuch" });
  });
});

describe("races on one name", () => {
  test("one create wins, the others are told of its volume, one event", async () => {
    await using bench = await startedEngine();
    const labels = Array.from({ length: 20 }, (_, index) => ({ by: String(index) }));
    const entries = await Promise.all(
      labels.map((each) => create(bench, named("wiki", { labels: each }))),
    );
    expect(new Set(entries).size).toBe(1);
    expect(bench.events).toHaveLength(1);
  });

  test("of two drivers one gets the name, the other a conflict", async () => {
    await using bench = await startedEngine();
    const outcomes = await Promise.allSettled([
      create(bench, named("wiki", { driver: "local" })),
      create(bench, named("wiki", { driver: "scratch" })),
    ]);
    expect(outcomes.map((each) => each.status).sort()).toEqual(["fulfilled", "rejected"]);
    const driver = bench.engine.volumes.inspect("wiki").driver as string;
    expect(existsSync(bench.volumePath("wiki"))).toBe(driver === "local");
  });

  test("creates and removes at once leave either a volume or none", async () => {
    await using bench = await startedEngine();
    const ignore = (work: Promise<unknown>) => work.catch((error) => error);
    for (let round = 0; round < 10; round++) {
      const answers = await Promise.all(
        Array.from({ length: 12 }, (_, index) =>
          index % 3 === 0
            ? ignore(bench.engine.volumes.remove("wiki", bench.operation()))
            : ignore(create(bench, named("wiki"))),
        ),
      );
      const codes = answers.map((each) => (each instanceof EngineError ? each.code : "done"));
      expect(new Set(codes).isSubsetOf(new Set(["done", "volume.not_found"]))).toBe(true);
      expect(existsSync(bench.volumePath("wiki"))).toBe(names(bench).includes("wiki"));
    }
  });
});

describe("inspect and list", () => {
  test("never ask a driver, even when its storage is gone, and change nothing", async () => {
    const asked: string[] = [];
    const parts = changedLocal((driver) => ({
      get: (name, operation) => {
        asked.push(name);
        return driver.get(name, operation);
      },
    }));
    await using bench = await startedEngine(parts);
    const entry = await create(bench, named("wiki"));
    rmSync(bench.volumePath("wiki"), { recursive: true });
    expect(bench.engine.volumes.inspect("wiki")).toBe(entry);
    expect(bench.engine.volumes.list({ drivers: new Set(["local"]) })).toEqual([entry]);
    expect(asked).toEqual([]);
    expect(existsSync(bench.volumePath("wiki"))).toBe(false);
    await bench.engine.volumes.remove("wiki", bench.operation());
    expect(asked).toEqual(["wiki"]);
  });

  test("what is not there has Docker's text", async () => {
    await using bench = await startedEngine();
    const texts = ["wiki", "", "a/b"].map((name) => {
      try {
        return bench.engine.volumes.inspect(name).name;
      } catch (error) {
        return error instanceof EngineError ? [error.code, error.message] : error;
      }
    });
    expect(texts).toEqual([
      ["volume.not_found", "get wiki: no such volume"],
      ["volume.not_found", "get: no such volume"],
      ["volume.not_found", "get a/b: no such volume"],
    ]);
  });

  test("a list is in the order of creation, and says so after a restart", async () => {
    await using bench = await startedEngine();
    const order = ["zz", "aa", "mm", "bb"];
    for (const name of order) await create(bench, named(name));
    expect(names(bench)).toEqual(order);
    await bench.engine.volumes.remove("aa", bench.operation());
    await create(bench, named("aa"));
    await bench.engine.volumes.mount("zz", holder, bench.operation());
    expect(names(bench)).toEqual(["zz", "mm", "bb", "aa"]);
    await bench.restart();
    expect(names(bench)).toEqual(["zz", "mm", "bb", "aa"]);
  });

  test("directories that appear meanwhile are nobody's until the next start", async () => {
    await using bench = await startedEngine();
    mkdirSync(join(bench.volumePath("late"), "_data"), { recursive: true });
    expect(names(bench)).toEqual([]);
    await bench.restart();
    expect(names(bench)).toEqual(["late"]);
  });
});
