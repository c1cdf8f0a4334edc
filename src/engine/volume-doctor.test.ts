// Runs of a volume's doctor: the mount of its own, the report, and storage that falls silent.
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  changedScratch,
  create,
  failureOf,
  named,
  startedEngine,
} from "../../test/support/engine-bench.ts";
import { EngineError } from "../core/errors.ts";
import type { AssistRequest, Host } from "../core/host.ts";
import type { Operation } from "../core/operation.ts";
import { abilities, type Measurement } from "../core/volume-report.ts";
import { storageJudge } from "../doctor/volume/judge.ts";
import { DOCTOR_HOLDER } from "./volume-doctor.ts";

const examining = { judge: storageJudge };
const quick = { isQuick: true };
const onScratch = { driver: "scratch" };

test("measures, reports, and leaves the volume as it was", async () => {
  await using bench = await startedEngine({ examining });
  const { doctor, volumes, state } = bench.engine;
  const { name } = await create(bench, named("wiki"));
  expect(doctor.reportOf(name)).toBeUndefined();
  const told: Measurement[] = [];
  const how = { isQuick: true, told: (one: Measurement) => void told.push(one) };
  const report = await doctor.examine("wiki", how, bench.operation());
  expect(report.measurements.map(({ ability }) => ability)).toEqual([...abilities]);
  expect(report).toMatchObject({ volume: "wiki", ended: "", hadSecondMount: false });
  expect(report.fitness.find(({ use }) => use === "logs")?.verdict).toBe("fit");
  expect(told.length).toBeGreaterThan(20);
  expect(doctor.reportOf(name)).toBe(report);
  expect(readdirSync(join(bench.volumePath("wiki"), "_data"))).toEqual([]);
  expect(state.read((view) => view.holders(name))).toEqual([]);
  expect((await failureOf(doctor.examine("no", quick, bench.operation()))).code).toBe(
    "volume.not_found",
  );
  await volumes.remove("wiki", bench.operation());
  expect(doctor.reportOf(name)).toBeUndefined();
});

test("advises to keep a second server of a database away, where nothing does", async () => {
  await using bench = await startedEngine({ examining });
  const { doctor, upkeep } = bench.engine;
  await create(bench, named("wiki"));
  const data = join(bench.volumePath("wiki"), "_data");
  const advice = async () => (await doctor.examine("wiki", quick, bench.operation())).advice;
  writeFileSync(join(data, "app.db"), "SQLite format 3\0\x10\0\x02\x02");
  expect(await advice()).toEqual([]);
  for (const folder of ["global", "base"]) mkdirSync(join(data, folder));
  writeFileSync(join(data, "PG_VERSION"), "15\n");
  expect(await advice()).toEqual([
    "PostgreSQL 15 is in it, which two servers at once would damage: keep the second from " +
      "starting with: holdfast volume update wiki -o database=exclusive",
  ]);
  const change = {
    ...{ labelsSet: {}, labelsRemoved: [], optionsRemoved: [] },
    optionsSet: { database: "exclusive" },
  };
  await upkeep.update("wiki", change, bench.operation());
  expect(await advice()).toEqual([]);
});

test("one run at a time: who asks meanwhile gets its report", async () => {
  await using bench = await startedEngine({ examining });
  const { doctor } = bench.engine;
  await create(bench, named("wiki"));
  const [first, second] = await Promise.all([
    doctor.examine("wiki", quick, bench.operation()),
    doctor.examine("wiki", quick, bench.operation()),
  ]);
  expect(second).toBe(first);
  const mounts = bench.events.filter(({ action }) => action === "mount");
  expect(mounts).toHaveLength(1);
});

/** Answers one measurement, then never again until it is given up. */
const silentHost = (host: Host): Host => ({
  ...host,
  assist: async ({ told }: AssistRequest, { signal }: Operation) => {
    told?.({
      ...{ ability: "writable", answer: "yes", value: "yes", figure: null, detail: "", tookMs: 1 },
    });
    return await new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  },
});

test("storage that falls silent ends the run, and what was not reached is unknown", async () => {
  const silent = { examining: { ...examining, silenceMsMax: 50 }, host: silentHost };
  await using bench = await startedEngine(silent);
  await create(bench, named("wiki"));
  const report = await bench.engine.doctor.examine("wiki", quick, bench.operation());
  expect(report.ended).toContain("did not answer");
  const of = (wanted: string) => report.measurements.find(({ ability }) => ability === wanted);
  expect(of("writable")?.answer).toBe("yes");
  expect(of("flock")).toMatchObject({ answer: "unknown" });
  expect(of("flock")?.detail).toContain("did not answer");
  expect(report.fitness.find(({ use }) => use === "git")?.verdict).toBe("unknown");
});

test("a run that fails is told, and the volume is unmounted", async () => {
  const failing = (host: Host): Host => ({
    ...host,
    assist: () => Promise.reject(new EngineError("storage.failed", "the disk is on fire")),
  });
  await using bench = await startedEngine({ examining, host: failing });
  const { name } = await create(bench, named("wiki"));
  const examined = bench.engine.doctor.examine("wiki", quick, bench.operation());
  expect((await failureOf(examined)).message).toBe("the disk is on fire");
  expect(bench.state.read((view) => view.holders(name))).toEqual([]);
});

test("what a crash left mounted is unmounted by the next life", async () => {
  await using bench = await startedEngine({ examining });
  const { name } = await create(bench, named("wiki"));
  await bench.engine.volumes.mount("wiki", DOCTOR_HOLDER, bench.operation());
  await bench.restart();
  await bench.engine.doctor.endLeftovers();
  expect(bench.state.read((view) => view.holders(name))).toEqual([]);
});

test("a second mount is used where a driver has one, and ended", async () => {
  let ended = 0;
  const parts = changedScratch((_, bench) => ({
    elsewhere: {
      mount: async (name) => ({
        path: join(bench.scratchRoot, "volumes", name, "_data"),
        async [Symbol.asyncDispose]() {
          ended += 1;
        },
      }),
    },
  }));
  await using bench = await startedEngine({ ...parts, examining });
  await create(bench, named("wiki", onScratch));
  const report = await bench.engine.doctor.examine("wiki", quick, bench.operation());
  expect(report.hadSecondMount).toBe(true);
  const unknown = report.measurements.filter(({ answer }) => answer === "unknown");
  expect(unknown.map(({ ability }) => ability)).toEqual([]);
  expect(ended).toBe(1);
});

test("a second mount that cannot be had is no failure", async () => {
  const parts = changedScratch(() => ({
    elsewhere: { mount: () => Promise.reject(new EngineError("volume.mount_failed", "no")) },
  }));
  await using bench = await startedEngine({ ...parts, examining });
  await create(bench, named("wiki", onScratch));
  const report = await bench.engine.doctor.examine("wiki", quick, bench.operation());
  expect(report.hadSecondMount).toBe(false);
  expect(bench.log.map(({ level }) => level)).toContain("warn");
});
