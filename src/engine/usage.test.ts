// Usage: Docker's selection for df, sizes, holders, and -1 where nobody can say.
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { failureOf, startedEngine } from "../../test/support/engine-bench.ts";
import { EngineError } from "../core/errors.ts";
import { parseHolderId } from "../core/names.ts";

test("local volumes without options, with their bytes and their holders", async () => {
  await using bench = await startedEngine();
  const { volumes, usage } = bench.engine;
  const tmpfs = { type: "tmpfs", device: "tmpfs" };
  const requests = [
    { name: "full", options: {} },
    { name: "empty", options: null },
    { name: "mounted", options: tmpfs },
    { name: "elsewhere", driver: "scratch", options: null },
  ];
  for (const request of requests) {
    await volumes.create({ labels: null, ...request }, bench.operation());
  }
  writeFileSync(join(bench.volumePath("full"), "_data", "file"), "12345");
  await volumes.mount("full", parseHolderId("c1"), bench.operation());
  await volumes.mount("full", parseHolderId("c2"), bench.operation());
  const all = await usage.all(bench.operation());
  const seen = all.map(({ entry, sizeBytes, holderCount }) => [entry.name, sizeBytes, holderCount]);
  expect(seen.sort()).toEqual([
    ["empty", 0, 0],
    ["full", 5, 2],
  ] as unknown as typeof seen);
});

test("what cannot be measured is -1, and an operation that is over ends", async () => {
  const dead = new EngineError("storage.failed", "the disk does not answer");
  await using bench = await startedEngine({
    drivers: (it) => [
      { ...it.local(), usage: { measure: () => Promise.reject(dead) } },
      { ...it.scratch(), usage: undefined },
    ],
  });
  const { volumes, usage } = bench.engine;
  for (const driver of ["local", "scratch"]) {
    const request = { name: `on-${driver}`, driver, options: null, labels: null };
    const entry = await volumes.create(request, bench.operation());
    expect(await usage.measure(entry, bench.operation())).toBe(-1);
  }
  expect(bench.log).toMatchObject([{ level: "debug", fields: { volume: "on-local" } }]);
  const over = AbortSignal.abort(new EngineError("operation.cancelled", "over"));
  const measuring = usage.measure(volumes.inspect("on-local"), bench.operation(over));
  expect((await failureOf(measuring)).code).toBe("operation.cancelled");
});

test("however many ask at once, one walks", async () => {
  let walks = 0;
  await using bench = await startedEngine({
    drivers: (it) => {
      const driver = it.local();
      const { usage } = driver;
      if (usage === undefined) throw new Error("local measures");
      return [
        {
          ...driver,
          usage: {
            measure(name, operation) {
              walks += 1;
              return usage.measure(name, operation);
            },
          },
        },
      ];
    },
  });
  const { volumes, usage } = bench.engine;
  await volumes.create({ name: "wiki", options: null, labels: null }, bench.operation());
  const all = await Promise.all(Array.from({ length: 40 }, () => usage.all(bench.operation())));
  expect([walks, all.length]).toEqual([1, 40]);
  await usage.all(bench.operation());
  expect(walks).toBe(2);
});

test("volumes that take no time together give others their turn", async () => {
  const burn = (milliseconds: number) => {
    const endsAt = performance.now() + milliseconds;
    while (performance.now() < endsAt);
  };
  await using bench = await startedEngine({
    drivers: (it) => [
      {
        ...it.local(),
        usage: {
          // A driver that answers from memory: nothing in it lets go of the event loop.
          async measure() {
            burn(1);
            return { usedBytes: 1 };
          },
        },
      },
    ],
  });
  const { volumes, usage } = bench.engine;
  const creations = Array.from({ length: 100 }, (_, index) =>
    volumes.create({ name: `v${index}`, options: null, labels: null }, bench.operation()),
  );
  await Promise.all(creations);
  let turnCount = 0;
  let isOver = false;
  const count = () => {
    turnCount += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const all = await usage.all(bench.operation());
  isOver = true;
  expect(all).toHaveLength(100);
  // 100 ms of work in slices of 4 ms, and one volume more in each.
  expect(turnCount).toBeGreaterThanOrEqual(15);
});

test("who is called off ends, and the measurement goes on for the others", async () => {
  const begun = Promise.withResolvers<void>();
  const measured = Promise.withResolvers<{ usedBytes: number }>();
  await using bench = await startedEngine({
    drivers: (it) => [
      {
        ...it.local(),
        usage: {
          async measure(_name, { signal }) {
            begun.resolve();
            const result = await measured.promise;
            signal.throwIfAborted();
            return result;
          },
        },
      },
    ],
  });
  const { volumes, usage } = bench.engine;
  await volumes.create({ name: "wiki", options: null, labels: null }, bench.operation());
  const controller = new AbortController();
  const first = usage.all(bench.operation(controller.signal));
  const failure = failureOf(first);
  const second = usage.all(bench.operation());
  await begun.promise;
  controller.abort(new EngineError("operation.cancelled", "over"));
  expect((await failure).code).toBe("operation.cancelled");
  measured.resolve({ usedBytes: 7 });
  expect((await second).map(({ sizeBytes }) => sizeBytes)).toEqual([7]);
  const over = AbortSignal.abort(new EngineError("operation.cancelled", "over"));
  expect((await failureOf(usage.all(bench.operation(over)))).code).toBe("operation.cancelled");
});

test("what is not measured within the budget is left out, and waits for nobody", async () => {
  const hung = Promise.withResolvers<never>();
  await using bench = await startedEngine({
    drivers: (it) => [
      { ...it.local(), usage: { measure: async () => ({ usedBytes: 5 }) } },
      // A server that is gone: not even the signal ends it.
      { ...it.scratch(), usage: { measure: () => hung.promise } },
    ],
  });
  const { volumes, usage } = bench.engine;
  const entries = [];
  for (const driver of ["local", "scratch"]) {
    const request = { name: `on-${driver}`, driver, options: null, labels: null };
    entries.push(await volumes.create(request, bench.operation()));
  }
  const measured = await usage.measureEach(entries, 50, bench.operation());
  expect([...measured].map(([{ name }, bytes]) => `${name} ${bytes}`)).toEqual(["on-local 5"]);
  expect(entries.map((entry) => usage.known(entry))).toEqual([5, null]);
  const ended = new AbortController();
  const measuring = usage.measureEach(entries, 60_000, bench.operation(ended.signal));
  ended.abort(new EngineError("operation.cancelled", "over"));
  expect((await failureOf(measuring)).code).toBe("operation.cancelled");
});
