// Locks of a real daemon: holders and daemons that are killed, restarts, clients that go away.
import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { eventually, startChild, stopChild } from "../support/child.ts";
import { holdfastCommand } from "../support/daemon.ts";
import { type Holding, LockStage, startedStage, timeoutMs } from "./stage.ts";

/** What is promised after the kill of a holder, in milliseconds. */
const PASSED_ON_MS_MAX = 100;

function until(what: string, look: () => unknown): Promise<unknown> {
  const otherwise = () => `${what} was not seen`;
  return eventually(async () => (await look()) || undefined, { timeoutMs, otherwise });
}

function waiting(stage: LockStage, count: number): Promise<unknown> {
  return until("who waits", async () =>
    (await stage.held()).some((one) => one["waiting"] === count),
  );
}

function granted(holding: Holding): Promise<unknown> {
  return until("the grant", () => holding.text().includes("event: granted"));
}

function idIn(holding: Holding): string {
  return /"id":"(\w+)"/.exec(holding.text())?.[1] ?? "";
}

describe("bonds", () => {
  test("the lock of a process that is killed is passed on soon", async () => {
    await using stage = await startedStage();
    const holder = startChild("sleep", ["600"]);
    const taken = await stage.take("a", { bond: "process", pid: holder.pid, ttl: 600 });
    expect(taken.status).toBe(200);
    expect((await stage.held())[0]).toMatchObject({
      holder: { pid: holder.pid, program: "sleep" },
    });
    const next = stage.take("a", { wait: 60 });
    await waiting(stage, 1);
    const killedAtMs = performance.now();
    holder.kill("SIGKILL");
    expect((await next).status).toBe(200);
    expect(performance.now() - killedAtMs).toBeLessThan(PASSED_ON_MS_MAX);
    await stopChild(holder);
  });

  test("so is that of a connection, and waiting ends with its connection", async () => {
    await using stage = await startedStage();
    const first = await stage.hold("a", {});
    await granted(first);
    const second = await stage.hold("a", { wait: 60 });
    const third = await stage.hold("a", { wait: 60 });
    await waiting(stage, 2);
    second.leave();
    await waiting(stage, 1);
    first.leave();
    await granted(third);
    expect(third.text()).toContain('data: {"place":2}');
  });

  test("a POST whose client goes away while it waits never gets the lock", async () => {
    await using stage = await startedStage();
    const holding = await stage.hold("a", {});
    await granted(holding);
    const socket = connect(stage.daemon.socketPath);
    const body = JSON.stringify({ wait: 60 });
    const head = `Host: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`;
    socket.write(`POST /holdfast/v1/volumes/wiki/locks/a HTTP/1.1\r\n${head}\r\n\r\n${body}`);
    await waiting(stage, 1);
    socket.destroy();
    await waiting(stage, 0);
    holding.leave();
    await until("nobody", async () => (await stage.held()).length === 0);
  });

  test("a lock that is not renewed is lost, and its holder hears it", async () => {
    await using stage = await startedStage();
    const holding = await stage.hold("a", { ttl: 1 });
    await granted(holding);
    const next = await stage.take("a", { wait: 60 });
    expect(next.status).toBe(200);
    await until("the end", () => holding.hasEnded());
    expect(holding.text()).toContain('event: lost\ndata: {"code":"lock.expired"');
    const renewal = `holdfast/v1/volumes/wiki/locks/a/leases/${idIn(holding)}`;
    const late = await stage.call("PUT", renewal, {});
    expect([late.status, late.json]).toMatchObject([409, { code: "lock.expired" }]);
  });
});

describe("another daemon", () => {
  test.each(["kill", "stop"] as const)("after a %s has all that was held", async (end) => {
    await using stage = await startedStage();
    const holder = startChild("sleep", ["600"]);
    const byTime = await stage.take("time", { ttl: 600, label: "kept" });
    const ofProcess = { bond: "process", pid: holder.pid, ttl: 600 };
    await stage.take("process", ofProcess);
    const holding = await stage.hold("connection", { ttl: 600 });
    await granted(holding);
    const before = await stage.held();
    const queued = await stage.hold("time", { wait: 600 });
    const asking = stage.take("time", { wait: 600 }).catch(() => undefined);
    await waiting(stage, 2);
    await stage.daemon[end]();
    await until("the ends", () => holding.hasEnded() && queued.hasEnded());
    if (end === "stop") {
      expect(queued.text()).toContain('event: refused\ndata: {"code":"engine.stopping"');
      expect(await asking).toMatchObject({ status: 503 });
    }
    await stage.start();
    const facts = (one: object) => ({ ...one, since: "", expires: "", waiting: 0 });
    expect((await stage.held()).map(facts)).toEqual(before.map(facts));
    // The first by its id, the second by its process, the third by its connection.
    const renewed = await stage.call(
      "PUT",
      `holdfast/v1/volumes/wiki/locks/time/leases/${String(byTime.json["id"])}`,
      {},
    );
    expect(renewed).toMatchObject({ status: 200, json: { fence: byTime.json["fence"] } });
    holder.kill("SIGKILL");
    await until("the freed one", async () => (await stage.held()).length === 2);
    const back = await stage.hold("connection", { id: idIn(holding) });
    await granted(back);
    expect(idIn(back)).toBe(idIn(holding));
    back.leave();
    await until("the second freed one", async () => (await stage.held()).length === 1);
    const next = await stage.take("connection");
    expect(BigInt(String(next.json["fence"]))).toBeGreaterThan(
      BigInt(String(byTime.json["fence"])),
    );
    await stopChild(holder);
  });

  test("a process that ended in between has left its lock", async () => {
    await using stage = await startedStage();
    const holder = startChild("sleep", ["600"]);
    await stage.take("a", { bond: "process", pid: holder.pid, ttl: 600 });
    await stage.daemon.kill();
    await stopChild(holder);
    await stage.start();
    expect(await stage.held()).toEqual([]);
  });
});

test("a volume with a lock is neither removed, nor renamed, nor pruned", async () => {
  await using stage = await startedStage();
  await stage.take("a", { label: "nightly" });
  const words = /volume is in use - \[lock a of \S+ \(process \d+, nightly\)\]/;
  const refused = { status: 409, json: { message: expect.stringMatching(words) } };
  expect(await stage.call("DELETE", "volumes/wiki")).toMatchObject(refused);
  expect(await stage.call("DELETE", "holdfast/v1/volumes/wiki")).toMatchObject(refused);
  const renaming = stage.call("POST", "holdfast/v1/volumes/wiki/rename", { to: "wiki2" });
  expect(await renaming).toMatchObject(refused);
  const all = encodeURIComponent(JSON.stringify({ all: ["true"] }));
  const pruned = await stage.call("POST", `volumes/prune?filters=${all}`);
  expect(pruned.json).toMatchObject({ VolumesDeleted: [] });
  const plan = await stage.call("POST", "holdfast/v1/prune-plans", { all: true });
  expect(plan.json).toMatchObject({
    volumes: [],
    kept: [
      { name: "wiki", why: expect.stringMatching(/^lock a of \S+ \(process \d+, nightly\)$/) },
    ],
  });
});

test("streams of locks leave the daemon's socket to others, with few descriptors too", async () => {
  await using stage = new LockStage();
  const [program, ...first] = holdfastCommand();
  const limited = ["-c", 'ulimit -n 256 && exec "$0" "$@"', program, ...first] as const;
  await stage.start({ command: ["sh", ...limited] });
  await stage.call("POST", "volumes/create", { Name: "wiki" });
  const holdings: Holding[] = [];
  // A quarter of the descriptors are for clients, and three quarters of those for locks.
  for (let count = 0; count < 48; count += 1) {
    holdings.push(await stage.hold("a", { ttl: 600, wait: 600 }));
  }
  await expect(stage.hold("a", { ttl: 600, wait: 600 })).rejects.toThrow("lock.too_many");
  expect((await stage.call("GET", "volumes")).status).toBe(200);
  expect((await stage.take("b")).status).toBe(200);
  holdings[47]?.leave();
  await until("room for one more", () => stage.hold("b", { ttl: 600, wait: 1 }).catch(() => false));
}, 60_000);
