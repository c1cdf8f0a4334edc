// One writer at a time, before the start: who is let in, who waits, who is refused and by what.
import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../../test/support/child.ts";
import {
  type EngineBench,
  failureOf,
  named,
  startedEngine,
} from "../../../test/support/engine-bench.ts";
import {
  containerWith,
  type MemoryEngine,
  memoryEngine,
} from "../../../test/support/memory-engine.ts";
import { parseHolderId } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";

const id = (digit: string) => digit.repeat(64);
const [db, next, backup] = [id("a"), id("b"), id("c")];

interface Bench extends AsyncDisposable {
  readonly bench: EngineBench;
  readonly docker: MemoryEngine;
  readonly call: () => Operation;
}

/** A volume that `db` writes to already. */
async function written(option: string): Promise<Bench> {
  const docker = memoryEngine();
  const bench = await startedEngine({ finder: docker.finder });
  const [name = "", value = ""] = option.split("=");
  await bench.engine.volumes.create(
    named("data", { options: { [name]: value } }),
    bench.operation(),
  );
  const call = (): Operation => ({ ...bench.operation(), caller: docker.caller });
  await bench.engine.holds.noteCaller(call());
  const it = { bench, docker, call, [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose]() };
  docker.containers.push(containerWith("data", { id: db, name: "db" }));
  bench.binds.copy(await mount(it, "1"), { container: db });
  return it;
}

function mount({ bench, call }: Bench, digit: string): Promise<string> {
  return bench.engine.holds.mount("data", parseHolderId(id(digit)), call());
}

/** A container that stands still, with the volume. */
function stands({ docker }: Bench, container: string, name: string, isReadOnly = false): void {
  docker.containers.push(
    containerWith("data", { id: container, name, isRunning: false, isReadOnly }),
  );
}

for (const option of ["sharing=onewriter", "database=exclusive"]) {
  describe(`with ${option} beside a writer`, () => {
    test("whoever can be no writer is let in: a create, a reader, the writer again", async () => {
      await using it = await written(option);
      await mount(it, "2");
      stands(it, backup, "backup", true);
      it.docker.busy.add(backup);
      await mount(it, "3");
      // A file is copied into the one that runs: its own ID, and it is busy.
      it.docker.busy.add(db);
      await mount(it, "1");
      stands(it, next, "next");
      await mount(it, "4");
    });

    test("whoever is being started to read is never asked about: that takes a second", async () => {
      await using it = await written(option);
      stands(it, backup, "backup", true);
      it.docker.busy.add(backup);
      await mount(it, "2");
      expect(it.docker.busyQuestions).toEqual([]);
      // It could be this one, of which an engine tells in a millisecond that it is not.
      stands(it, next, "next");
      await mount(it, "3");
      expect(it.docker.busyQuestions).toEqual([next]);
    });

    test("one that is being started as a writer is refused, by the other one's name", async () => {
      await using it = await written(option);
      stands(it, next, "next");
      it.docker.busy.add(next);
      const error = await failureOf(mount(it, "2"));
      expect([error.code, error.message, error.details["holders"]]).toEqual([
        "volume.written_elsewhere",
        `volume data has ${option}, and db has it read-write`,
        [db],
      ]);
      expect(it.bench.engine.holds.has("data", parseHolderId(id("2")))).toBe(false);
    });

    test("one of an engine that is none, and cannot be asked, is left to the judge", async () => {
      await using it = await written(option);
      stands(it, next, "next");
      it.docker.busy.add(next);
      const caller = { kind: "process", uid: 0, gid: 0, pid: 5_999_999 } as const;
      const own = { ...it.bench.operation(), caller };
      await it.bench.engine.holds.mount("data", parseHolderId(id("2")), own);
    });
  });
}

test("what is in the volume is named where it is a database's", async () => {
  await using it = await written("database=exclusive");
  const { mountpoint } = it.bench.engine.volumes.inspect("data");
  // What is bound is in memory here: the same files lie at both places.
  const [hold] = it.bench.binds.bound.keys();
  for (const data of [mountpoint, hold ?? ""]) {
    for (const folder of ["global", "base"]) mkdirSync(join(data, folder), { recursive: true });
    writeFileSync(join(data, "PG_VERSION"), "15\n");
  }
  stands(it, next, "next");
  it.docker.busy.add(next);
  const { message } = await failureOf(mount(it, "2"));
  expect(message).toBe(
    "volume data (PostgreSQL 15) has database=exclusive, and db has it read-write",
  );
});

test("a reader and a writer at the same time cannot be told apart", async () => {
  for (const [option, isRefused] of [
    ["sharing=onewriter", false],
    ["database=exclusive", true],
  ] as const) {
    await using it = await written(option);
    stands(it, next, "next");
    stands(it, backup, "backup", true);
    for (const container of [next, backup]) it.docker.busy.add(container);
    const outcome = await mount(it, "2").then(
      () => "let in",
      (error: unknown) => String(error),
    );
    expect(outcome.includes("has it read-write")).toBe(isRefused);
  }
}, 20_000);

test("an engine that does not answer: by what it said last, and no second server", async () => {
  await using it = await written("database=exclusive");
  stands(it, backup, "backup", true);
  await it.bench.engine.lists.ask(it.bench.operation());
  it.docker.isThere = false;
  await mount(it, "2");
  it.docker.isThere = true;
  stands(it, next, "next");
  await it.bench.engine.lists.ask(it.bench.operation());
  it.docker.isThere = false;
  const { message } = await failureOf(mount(it, "3"));
  expect(message).toBe(
    "volume data has database=exclusive, and db has it read-write, and the container engine does " +
      "not say yet whether this one would write too",
  );
  // What it could not start while it started up itself is started when it answers.
  it.docker.failedAtVolume.add(backup);
  it.docker.isThere = true;
  await eventually(() => (it.docker.startedAgain.includes(backup) ? true : undefined), {
    timeoutMs: 10_000,
    otherwise: () => it.docker.startedAgain.join(),
  });
}, 20_000);
