// Holds of a container engine in the engine: mounted and ended, refused, seen, judged, found again.
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../../test/support/child.ts";
import {
  type EngineBench,
  failureOf,
  named,
  names,
  startedEngine,
} from "../../../test/support/engine-bench.ts";
import {
  containerWith,
  type MemoryEngine,
  memoryEngine,
} from "../../../test/support/memory-engine.ts";
import { type HolderId, parseHolderId } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import { holdId } from "./hold-places.ts";
import type { VolumeHolder } from "./volume-holders.ts";

const first = "1".repeat(64);
const second = "2".repeat(64);

interface Bench extends AsyncDisposable {
  readonly bench: EngineBench;
  readonly docker: MemoryEngine;
  /** As the container engine calls. */
  readonly call: () => Operation;
}

async function withVolume(options: Readonly<Record<string, string>> | null = null): Promise<Bench> {
  const docker = memoryEngine();
  const bench = await startedEngine({ finder: docker.finder });
  await bench.engine.volumes.create(named("data", { options }), bench.operation());
  const call = (): Operation => ({ ...bench.operation(), caller: docker.caller });
  await bench.engine.holds.noteCaller(call());
  return { bench, docker, call, [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose]() };
}

function mount({ bench, call }: Bench, id: string): Promise<string> {
  return bench.engine.holds.mount("data", holder(id), call());
}

function unmount({ bench, call }: Bench, id: string): Promise<void> {
  return bench.engine.holds.unmount("data", holder(id), call());
}

function holder(id: string): HolderId {
  return parseHolderId(id);
}

async function holders({ bench }: Bench): Promise<readonly VolumeHolder[]> {
  await bench.engine.holds.refresh(bench.operation());
  const { name } = bench.engine.volumes.inspect("data");
  return bench.state.read((view) => bench.engine.holds.holdersOf(name, view));
}

function remove({ bench }: Bench): Promise<void> {
  return bench.engine.volumes.remove("data", bench.operation());
}

function has({ bench }: Bench, id: string): boolean {
  return bench.engine.holds.has("data", holder(id));
}

describe("a Mount", () => {
  test("gives a path of its own for each ID, the same when it is repeated", async () => {
    await using it = await withVolume();
    const path = await mount(it, first);
    expect(path).toBe(join(it.bench.holdsDirectory, holdId("data", first)));
    expect(await mount(it, first)).toBe(path);
    expect(await mount(it, second)).not.toBe(path);
    const { mountpoint } = it.bench.engine.volumes.inspect("data");
    expect([...it.bench.binds.bound.values()].map(({ source }) => source)).toEqual([
      mountpoint,
      mountpoint,
    ]);
  });

  test("gives the data its owner again each time", async () => {
    await using it = await withVolume({ owner: "999:998" });
    await mount(it, first);
    const { mountpoint } = it.bench.engine.volumes.inspect("data");
    expect(it.bench.binds.owners.get(mountpoint)).toMatchObject({ userId: 999, groupId: 998 });
  });

  test("that the engine would not see is refused, and leaves nothing", async () => {
    await using it = await withVolume();
    const { caller } = it.docker;
    if (caller.kind === "process") it.bench.binds.withoutSight.add(caller.pid);
    const error = await failureOf(mount(it, first));
    expect([error.code, error.recovery]).toEqual([
      "volume.not_visible",
      expect.stringContaining("make-rshared"),
    ]);
    expect(it.bench.binds.bound.size).toBe(0);
    // The driver has mounted it for a moment: what is lost from now on is missing, and never empty.
    expect(it.bench.engine.volumes.inspect("data").usedAtMs).toBe(it.bench.nowMs);
    expect(existsSync(join(it.bench.holdsDirectory, holdId("data", first)))).toBe(false);
    await remove(it);
    expect(names(it.bench)).toEqual([]);
  });
});

describe("an Unmount", () => {
  test("ends the hold when the kernel shows no use, and a removal waits for that", async () => {
    await using it = await withVolume();
    const path = await mount(it, first);
    await unmount(it, first);
    await remove(it);
    expect(it.bench.binds.bound.size).toBe(0);
    expect(existsSync(path)).toBe(false);
    await unmount(it, first);
  });

  test("is only a hint while a container uses it", async () => {
    await using it = await withVolume();
    const end = it.bench.binds.copy(await mount(it, first), { container: first });
    await unmount(it, first);
    expect(await holders(it)).toMatchObject([{ id: first, state: "running", access: "rw" }]);
    end();
    expect(await holders(it)).toEqual([]);
    expect(has(it, first)).toBe(false);
  });

  test("does not end what a process uses from outside of any container", async () => {
    await using it = await withVolume();
    const path = await mount(it, first);
    it.bench.binds.busy.add(path);
    await unmount(it, first);
    expect(await holders(it)).toMatchObject([
      { state: "stale", reason: "a process still uses it from outside of any container" },
    ]);
    it.bench.binds.busy.delete(path);
    expect(await holders(it)).toEqual([]);
  });

  test("that comes before the end of a life is finished in it", async () => {
    await using it = await withVolume();
    await mount(it, first);
    await unmount(it, first);
    await it.bench.restart();
    expect(it.bench.binds.bound.size).toBe(0);
    expect(has(it, first)).toBe(false);
  });
});

describe("who has a volume", () => {
  test("is named as its engine names it: running, stopped, project, access", async () => {
    await using it = await withVolume();
    it.docker.containers.push(
      containerWith("data", { id: first, name: "db", project: "shop" }),
      containerWith("data", { id: second, name: "old", isRunning: false, isReadOnly: true }),
    );
    it.bench.binds.copy(await mount(it, first), { container: first });
    const [db, old] = await holders(it);
    const { key } = it.docker;
    expect(db).toMatchObject({ name: "db", project: "shop", state: "running", engine: key });
    expect(db).toMatchObject({ access: "rw", sinceMs: it.bench.nowMs, reason: null });
    expect(old).toMatchObject({ name: "old", state: "stopped", access: "ro", sinceMs: null });
  });

  test("keeps it from being removed, by name, also stopped containers without a hold", async () => {
    await using it = await withVolume();
    it.docker.containers.push(containerWith("data", { isRunning: false, project: "shop" }));
    const error = await failureOf(remove(it));
    expect(error.code).toBe("volume.in_use");
    expect(error.message).toBe(
      "remove data: volume is in use - [db of project shop (docker, stopped)]",
    );
    const entry = it.bench.engine.volumes.inspect("data");
    const count = it.bench.state.read((view) => it.bench.engine.volumes.holderCount(entry, view));
    expect(count).toBe(1);
    it.docker.containers.pop();
    await remove(it);
  });

  test("cannot be told by an engine that does not answer: no removal, no prune", async () => {
    await using it = await withVolume();
    it.docker.isThere = false;
    const refused = await failureOf(remove(it));
    expect([refused.code, refused.message]).toEqual([
      "containers.unreachable",
      `remove data: ${it.docker.key} uses Holdfast's volumes and cannot be asked which ones its ` +
        "containers have: nobody listens",
    ]);
    const pruned = await failureOf(it.bench.engine.pruner.prepare(it.bench.operation()));
    expect(pruned.message).toStartWith(`prune: ${it.docker.key} uses Holdfast's volumes`);
    expect(await it.bench.engine.lists.forget("docker:/other")).toBe(false);
    expect(await it.bench.engine.lists.forget(it.docker.key)).toBe(true);
    await remove(it);
    expect(names(it.bench)).toEqual([]);
  });

  test("says when it was used last: now, then when it ended", async () => {
    await using it = await withVolume();
    const { name } = it.bench.engine.volumes.inspect("data");
    const last = (): number | null => it.bench.engine.lastUse.of(name);
    expect(last()).toBeNull();
    await mount(it, first);
    it.bench.nowMs += 1_000;
    expect(last()).toBe(it.bench.nowMs);
    await unmount(it, first);
    await holders(it);
    const endedMs = it.bench.nowMs;
    it.bench.nowMs += 1_000;
    expect(last()).toBe(endedMs);
    await it.bench.restart();
    expect(last()).toBe(endedMs);
  });

  test("says who used it last by a name that its engine has forgotten already", async () => {
    await using it = await withVolume();
    const { lists, lastUse, volumes, history } = it.bench.engine;
    it.docker.containers.push(containerWith("data", { id: first, name: "db" }));
    const end = it.bench.binds.copy(await mount(it, second), { container: first });
    // Nobody but the look at the kernel asks what it is called.
    await eventually(() => lists.nameOf(first), {
      timeoutMs: 10_000,
      otherwise: () => "the engine was not asked",
    });
    it.docker.containers.length = 0;
    await lists.ask(it.bench.operation());
    end();
    await unmount(it, second);
    await it.bench.engine.holds.refresh(it.call());
    expect(lastUse.holderOf(volumes.inspect("data").name)).toBe("db");
    // Not whoever had it looked at.
    expect(history.all({ countMax: 1 }).entries).toMatchObject([
      { action: "unmount", subject: "db", by: "holdfast" },
    ]);
  });
});

test("a copy that ends after its container does not hide who had the volume", async () => {
  await using it = await withVolume();
  const { engine } = it.bench;
  const { name } = engine.volumes.inspect("data");
  const end = it.bench.binds.copy(await mount(it, first), { container: first });
  it.docker.containers.push(containerWith("data", { id: first, name: "db" }));
  await engine.holds.refresh(it.bench.operation());
  await mount(it, second);
  it.bench.nowMs += 1_000;
  end();
  it.docker.containers.length = 0;
  await unmount(it, first);
  await holders(it);
  it.bench.nowMs += 1_000;
  await unmount(it, second);
  await holders(it);
  expect(engine.volumes.inspect("data").lastUse).toEqual({ atMs: it.bench.nowMs, holder: "db" });
  expect(engine.lastUse.holderOf(name)).toBe("db");
});

describe("a new life", () => {
  test("watches the holds of the last one, and adopts one whose row was lost", async () => {
    await using it = await withVolume();
    const path = await mount(it, first);
    it.bench.binds.copy(path, { container: first });
    const { name } = it.bench.engine.volumes.inspect("data");
    await it.bench.state.write((transaction) => transaction.removeHolder(name, holder(first)));
    await it.bench.restart();
    expect(it.bench.log.map(({ message }) => message)).toContain("a hold without a row is kept");
    expect(await holders(it)).toMatchObject([{ id: first, state: "running" }]);
    // The engine knows it by its own ID.
    expect(has(it, first)).toBe(true);
    expect(await mount(it, first)).toBe(path);
    expect((await failureOf(remove(it))).code).toBe("volume.in_use");
  });
});

describe("a volume that is not shared", () => {
  test("stops who came second, says so in an event, and is violated meanwhile", async () => {
    await using it = await withVolume({ sharing: "onewriter" });
    it.docker.containers.push(
      containerWith("data", { id: first, name: "one" }),
      containerWith("data", { id: second, name: "two" }),
    );
    it.bench.binds.copy(await mount(it, first), { container: first });
    await holders(it);
    it.bench.nowMs += 1_000;
    const end = it.bench.binds.copy(await mount(it, second), { container: second });
    const two = (await holders(it)).find(({ id }) => id === second);
    expect(two?.reason).toBe("breaks sharing=onewriter");
    const { history } = it.bench.engine;
    const told = await eventually(
      () => history.all({ countMax: 9 }).entries.find(({ action }) => action === "violation"),
      { timeoutMs: 5_000, otherwise: () => `stopped: ${it.docker.stopped.join()}` },
    );
    expect(told).toMatchObject({
      ...{ by: "holdfast", subject: "two (rw) breaks sharing=onewriter: stopped", outcome: "done" },
    });
    expect(it.docker.stopped).toEqual([second]);
    const { name } = it.bench.engine.volumes.inspect("data");
    expect(it.bench.engine.holds.violationsOf(name)).toMatchObject([{ container: second }]);
    expect(it.bench.events.map(({ action }) => action)).toContain("violation");
    end();
    await unmount(it, second);
    await holders(it);
    expect(it.bench.engine.holds.violationsOf(name)).toEqual([]);
  });

  test("refuses a second Mount with none while another container runs, by its name", async () => {
    await using it = await withVolume({ sharing: "none" });
    it.docker.containers.push(containerWith("data", { id: first, name: "one" }));
    it.bench.binds.copy(await mount(it, first), { container: first });
    await holders(it);
    it.docker.isThere = false;
    const error = await failureOf(mount(it, second));
    expect([error.code, error.message]).toEqual([
      "volume.shared_elsewhere",
      expect.stringContaining("volume data has sharing=none and is in use by"),
    ]);
  });
});
