// Warnings of databases on storage that cannot carry them: when, how often, and where they show.
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { eventually } from "../../../test/support/child.ts";
import {
  changedScratch,
  create,
  type EngineBench,
  type EngineBenchParts,
  named,
  startedEngine,
} from "../../../test/support/engine-bench.ts";
import type { Host } from "../../core/host.ts";
import { parseHolderId } from "../../core/names.ts";
import { storageJudge } from "../../doctor/volume/judge.ts";

const holder = parseHolderId("c1");
const BACKGROUND_MS_MAX = 10_000;

/** The scratch driver as if its data were on an rclone mount of a server. */
function remote(around: (host: Host) => Host = (host) => host, server = "s3:bucket") {
  const paths: string[] = [];
  const shown = (host: Host): Host => ({
    ...host,
    mounts: () => [
      ...host.mounts(),
      ...paths.map((target) => ({
        ...{ mountId: 1, parentId: 1, device: "0:1", root: "/", target, options: ["rw"] },
        ...{ propagation: [], fileSystem: "fuse.rclone", source: server },
      })),
    ],
  });
  const parts: EngineBenchParts = {
    ...changedScratch((driver) => ({
      async mount(...call) {
        const path = await driver.mount(...call);
        paths.push(path);
        return path;
      },
      health: {
        server: () => server,
        check: async () => ({ state: "ready", reason: "", tookMs: 1 }),
        heal: async () => undefined,
      },
      flush: { flush: async () => undefined },
    })),
    examining: { judge: storageJudge, afterCreateMs: 10, afterMountMs: 10 },
    host: (host) => around(shown(host)),
  };
  return parts;
}

function put(bench: EngineBench, name: string, files: Readonly<Record<string, string>>): void {
  const data = join(bench.scratchRoot, "volumes", name, "_data");
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(data, file)), { recursive: true });
    writeFileSync(join(data, file), text);
  }
}

function putPostgres(bench: EngineBench, name: string): void {
  put(bench, name, { PG_VERSION: "15\n", "global/pg_control": "", "base/1": "" });
}

/** Counts what helpers are asked. */
function counting(asked: string[]): (host: Host) => Host {
  return (host) => ({
    ...host,
    assist: async (request, operation) => {
      asked.push(request.command);
      return await host.assist(request, operation);
    },
  });
}

async function warned(bench: EngineBench, name: string): Promise<readonly string[]> {
  const { unfitData } = bench.engine;
  const entry = bench.engine.volumes.inspect(name);
  return await eventually(
    () => {
      const words = unfitData.warningsOf(entry.name);
      return words.length > 0 ? words : undefined;
    },
    { timeoutMs: BACKGROUND_MS_MAX, otherwise: () => JSON.stringify(bench.log) },
  );
}

const warnings = (bench: EngineBench) =>
  bench.events.filter(({ action }) => action === "warning").map(({ attributes }) => attributes);

test("a database on storage that loses what was synced: once, and until it is gone", async () => {
  await using bench = await startedEngine(remote());
  const { volumes, unfitData } = bench.engine;
  await create(bench, named("orders", { driver: "scratch" }));
  putPostgres(bench, "orders");
  // Whether it is fit for that is not known.
  put(bench, "orders", { HEAD: "ref: x", "objects/a": "", "refs/b": "" });
  await volumes.mount("orders", holder, bench.operation());
  const [words, ...more] = await warned(bench, "orders");
  expect(more).toEqual([]);
  expect(words).toStartWith("PostgreSQL 15 is on ");
  expect(words).toContain("unfit for it (survives-power-cut: ");
  expect(warnings(bench)).toEqual([{ driver: "scratch", message: words ?? "" }]);
  expect(bench.log.filter(({ level }) => level === "warn")).toHaveLength(1);
  expect(unfitData.warnings).toEqual([`Volume orders: ${words}`]);
  await volumes.unmount("orders", holder, bench.operation());
  await volumes.mount("orders", holder, bench.operation());
  await volumes.unmount("orders", holder, bench.operation());
  // A report counts more than what is known of such storage, and has Git unfit for nothing.
  await bench.engine.doctor.examine("orders", { isQuick: true }, bench.operation());
  expect(unfitData.warnings).toEqual([`Volume orders: ${words}`]);
  await unfitData.stop();
  expect(warnings(bench)).toHaveLength(1);
});

test("after a create of what was there before, without anybody's mount", async () => {
  await using bench = await startedEngine(remote());
  putPostgres(bench, "found");
  const { name } = await create(bench, named("found", { driver: "scratch" }));
  await warned(bench, "found");
  expect(bench.state.read((view) => view.holders(name))).toEqual([]);
  expect(bench.events.some(({ action }) => action === "mount")).toBe(false);
  await bench.engine.volumes.remove("found", bench.operation());
  expect(bench.engine.unfitData.warnings).toEqual([]);
});

test("nothing is looked at on this machine, and what is fit is not told", async () => {
  const asked: string[] = [];
  await using bench = await startedEngine(remote(counting(asked), ""));
  await create(bench, named("orders", { driver: "scratch" }));
  putPostgres(bench, "orders");
  await bench.engine.volumes.mount("orders", holder, bench.operation());
  await bench.engine.unfitData.stop();
  expect(asked).toEqual([]);
});

test("only the first of several holders has it looked at", async () => {
  const asked: string[] = [];
  await using bench = await startedEngine(remote(counting(asked)));
  const { volumes } = bench.engine;
  await create(bench, named("orders", { driver: "scratch" }));
  for (const id of ["c1", "c2", "c3"]) {
    await volumes.mount("orders", parseHolderId(id), bench.operation());
  }
  await untilAsked(asked, 1);
  await volumes.unmount("orders", holder, bench.operation());
  await volumes.mount("orders", holder, bench.operation());
  // Looks come in turn: one at `orders` would be before this one.
  await create(bench, named("later", { driver: "scratch" }));
  await volumes.mount("later", holder, bench.operation());
  await untilAsked(asked, 2);
  await bench.engine.unfitData.stop();
  expect(asked).toHaveLength(2);
});

async function untilAsked(asked: readonly string[], count: number): Promise<void> {
  await eventually(() => asked.length >= count || undefined, {
    timeoutMs: BACKGROUND_MS_MAX,
    otherwise: () => `${asked.length} looks`,
  });
}

test("a mount never waits for the look, and a look that fails is no warning", async () => {
  const asked: string[] = [];
  const silent = (host: Host): Host => ({
    ...host,
    assist: ({ command }, { signal }) =>
      new Promise((_resolve, reject) => {
        asked.push(command);
        signal.addEventListener("abort", () => reject(signal.reason));
      }),
  });
  await using bench = await startedEngine(remote(silent));
  const { volumes, unfitData } = bench.engine;
  await create(bench, named("orders", { driver: "scratch" }));
  await volumes.mount("orders", holder, bench.operation());
  await untilAsked(asked, 1);
  await unfitData.stop();
  expect(unfitData.warnings).toEqual([]);
  expect(bench.log.filter(({ level }) => level === "warn")).toEqual([]);
});

test("of many volumes in one moment some are looked at at once, and all in the end", async () => {
  let [now, most] = [0, 0];
  const watched = (host: Host): Host => ({
    ...host,
    async assist(request, operation) {
      most = Math.max(most, ++now);
      try {
        return await host.assist(request, operation);
      } finally {
        now--;
      }
    },
  });
  await using bench = await startedEngine(remote(watched));
  const names = Array.from({ length: 9 }, (_, index) => `many${index}`);
  for (const name of names) putPostgres(bench, name);
  for (const name of names) {
    await create(bench, named(name, { driver: "scratch" }));
    await bench.engine.volumes.mount(name, holder, bench.operation());
  }
  for (const name of names) await warned(bench, name);
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(3);
});
