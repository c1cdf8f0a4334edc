// The routes of locks: what is granted, waited for, refused and lost, in JSON and as events.
import { describe, expect, test } from "bun:test";
import { type ApiBench, startedApi } from "../../../test/support/api-bench.ts";
import { eventually } from "../../../test/support/child.ts";
import { makeHandler } from "../handler.ts";
import { OWN_PREFIX } from "./route-contract.ts";

const lock = `${OWN_PREFIX}volumes/wiki/locks/backup`;
const timeoutMs = 5_000;

interface Granted {
  readonly id: string;
  readonly fence: string;
}

async function withVolume(): Promise<ApiBench> {
  const api = await startedApi();
  await api.send("POST", "/volumes/create", { body: { Name: "wiki" } });
  return api;
}

async function take(api: ApiBench, body: object = {}): Promise<Granted> {
  const { status, json } = await api.send("POST", lock, { body });
  expect(status).toBe(200);
  return json as Granted; // The contract's.
}

/** What streams are to forget: a function of its own, so that nothing here knows of it either. */
async function leftAlone(api: ApiBench): Promise<WeakRef<object>> {
  const stream = await api.follow(`${lock}/hold`, "POST", { body: {} });
  stream.leave();
  await seen(api, "the end", () => api.engine.engine.locks.heldCount === 0);
  return new WeakRef(stream.lines);
}

async function stolen(api: ApiBench): Promise<WeakRef<object>> {
  const stream = await api.follow(`${lock}/hold`, "POST", { body: {} });
  const fence = /"fence":"(\d+)"/.exec(stream.lines[0] ?? "")?.[1];
  await api.send("DELETE", `${lock}?fence=${fence}`);
  await seen(api, "the loss", () => stream.hasEnded());
  return new WeakRef(stream.lines);
}

function seen(api: ApiBench, what: string, look: () => unknown): Promise<unknown> {
  const otherwise = () => `${what} was not seen: ${JSON.stringify(api.engine.engine.locks.list())}`;
  return eventually(() => look() || undefined, { timeoutMs, otherwise });
}

describe("taking", () => {
  test("a grant says all that its holder needs, and lists say who has it and no id", async () => {
    await using api = await withVolume();
    const granted = await take(api, { label: "night\u001bly", ttl: 60, mode: "shared" });
    expect(granted).toMatchObject({ volume: "wiki", lock: "backup", mode: "shared" });
    expect(granted.id).toMatch(/^[0-9a-f]{32}$/);
    const times = { since: "2026-10-15T20:00:00.000Z", expires: "2026-10-15T20:01:00.000Z" };
    expect(granted).toMatchObject(times);
    const { json } = await api.send("GET", `${OWN_PREFIX}volumes/wiki/locks`);
    const holder = { pid: 0, program: "", label: "night\\x1bly", container: null, name: null };
    expect(json).toMatchObject({ locks: [{ fence: granted.fence, holder, waiting: 0 }] });
    expect(JSON.stringify(json)).not.toContain(granted.id);
    expect((await api.send("GET", `${OWN_PREFIX}locks`)).json).toEqual(json);
  });

  test("the same id gets the same grant, of that lock alone, until it is lost", async () => {
    await using api = await withVolume();
    const body = { id: "0123456789abcdef".repeat(2) };
    const first = await take(api, body);
    expect(first.id).toBe(body.id);
    expect(await take(api, { ...body, wait: 60 })).toEqual(first);
    // Others may share what is asked for as one's own: it is not answered with that.
    for (const other of [{ mode: "shared" }, { bond: "process" }]) {
      const { status, json } = await api.send("POST", lock, { body: { ...body, ...other } });
      expect([status, json]).toMatchObject([400, { code: "request.invalid" }]);
    }
    const elsewhere = await api.send("POST", `${lock}2`, { body });
    expect([elsewhere.status, elsewhere.json]).toMatchObject([404, { code: "lock.not_held" }]);
    expect((await api.send("DELETE", `${lock}?fence=${first.fence}`)).status).toBe(204);
    const lost = await api.send("POST", lock, { body });
    expect([lost.status, lost.json]).toMatchObject([409, { code: "lock.stolen" }]);
    for (const id of ["ab", "0123456789ABCDEF".repeat(2)]) {
      expect((await api.send("POST", lock, { body: { id } })).status).toBe(400);
    }
  });

  test("two that wait by one id are not both given it", async () => {
    await using api = await withVolume();
    const { id } = await take(api);
    const body = { id: "0123456789abcdef".repeat(2), mode: "shared", wait: 60 };
    const waiting = [1, 2].map(() => api.send("POST", lock, { body }));
    await seen(api, "who waits", () => api.engine.engine.locks.waitingCount === 2);
    await api.send("DELETE", `${lock}/leases/${id}`);
    const statuses = (await Promise.all(waiting)).map(({ status }) => status);
    expect(statuses.sort()).toEqual([200, 400]);
    expect((await api.send("DELETE", `${lock}/leases/${body.id}`)).status).toBe(204);
    expect(api.engine.engine.locks.heldCount).toBe(0);
  });

  test("whoever is second is refused with who has it, or waits for its turn", async () => {
    await using api = await withVolume();
    const first = await take(api, { label: "nightly" });
    const refused = await api.send("POST", lock, { body: { label: "me" } });
    expect(refused.json).toMatchObject({
      code: "lock.timed_out",
      message: "a process (nightly) has lock backup of wiki since 2026-10-15T20:00:00.000Z",
    });
    expect(refused.status).toBe(409);
    const patient = await api.send("POST", lock, { body: { wait: 0.1 } });
    expect(patient.json).toMatchObject({ message: expect.stringContaining("waited 0.1 s: ") });
    const waiting = take(api, { wait: 60 });
    await seen(api, "who waits", () => api.engine.engine.locks.waitingCount === 1);
    expect((await api.send("DELETE", `${lock}/leases/${first.id}`)).status).toBe(204);
    expect(BigInt((await waiting).fence)).toBeGreaterThan(BigInt(first.fence));
    const late = await api.send("DELETE", `${lock}/leases/${first.id}`);
    expect([late.status, late.json]).toMatchObject([404, { code: "lock.not_held" }]);
  });

  test("whoever goes away while it waits leaves the queue, and gets nothing", async () => {
    await using api = await withVolume();
    const { locks } = api.engine.engine;
    const first = await take(api);
    const gone = new AbortController();
    const waiting = api.send("POST", lock, { body: { wait: 60 }, gone: gone.signal });
    await seen(api, "who waits", () => locks.waitingCount === 1);
    gone.abort();
    expect((await waiting).json).toMatchObject({ code: "operation.cancelled" });
    expect(locks.waitingCount).toBe(0);
    await api.send("DELETE", `${lock}/leases/${first.id}`);
    expect(locks.heldCount).toBe(0);
    // It has gone when the grant is there already.
    const answer = await api.send("POST", lock, { body: {}, gone: AbortSignal.abort() });
    expect(answer.json).toMatchObject({ code: "operation.cancelled" });
    expect(locks.heldCount).toBe(0);
  });

  test.each<[object, string]>([
    [{ ttl: 0.5 }, "ttl 0.5: a number from 1 to 86400 is needed"],
    [{ wait: -1 }, "wait -1: a number from 0 to 86400 is needed"],
    [{ mode: "any" }, 'mode "any": shared or exclusive is needed'],
    [{ bond: "connection" }, 'bond "connection": process or none is needed'],
    [{ bond: "process", pid: 2 ** 40 }, expect.stringContaining("pid 1099511627776: there is no")],
    [{ label: "x".repeat(101) }, expect.stringContaining("text of 0 to 100 characters")],
  ])("%j is refused", async (body, message) => {
    await using api = await withVolume();
    const { status, json } = await api.send("POST", lock, { body });
    expect([status, json]).toMatchObject([400, { code: "request.invalid", message }]);
  });

  test("names of locks and volumes are held to their rules", async () => {
    await using api = await withVolume();
    const locks = `${OWN_PREFIX}volumes/wiki/locks`;
    const bad = await api.send("POST", `${locks}/%2e%2e`, { body: {} });
    expect([bad.status, bad.json]).toMatchObject([400, { code: "lock.name_invalid" }]);
    const gone = await api.send("POST", `${OWN_PREFIX}volumes/gone/locks/a`, { body: {} });
    expect([gone.status, gone.json]).toMatchObject([404, { code: "volume.not_found" }]);
  });
});

describe("what is held", () => {
  test("it is renewed, and taken away by its fence", async () => {
    await using api = await withVolume();
    const { id, fence } = await take(api, { ttl: 10 });
    const renewed = await api.send("PUT", `${lock}/leases/${id}`, { body: { ttl: 3_600 } });
    expect(renewed.json).toMatchObject({ id, fence, expires: "2026-10-15T21:00:00.000Z" });
    expect((await api.send("DELETE", lock)).status).toBe(400);
    expect((await api.send("DELETE", `${lock}?fence=1${fence}`)).status).toBe(404);
    expect((await api.send("DELETE", `${lock}?fence=${fence}`)).status).toBe(204);
    for (const method of ["PUT", "DELETE"]) {
      const { status, json } = await api.send(method, `${lock}/leases/${id}`);
      expect([status, json]).toMatchObject([409, { code: "lock.stolen" }]);
    }
    const [last] = api.engine.events.slice(-1);
    expect(last).toMatchObject({ action: "lock-stolen", attributes: { lock: "backup", fence } });
    const { body } = await api.send("GET", "/metrics");
    expect(body).toContain('holdfast_lock_losses_total{reason="stolen"} 1');
    expect(body).toContain("holdfast_locks_held 0");
  });

  test("another lock's id opens nothing", async () => {
    await using api = await withVolume();
    const { id } = await take(api);
    const other = `${OWN_PREFIX}volumes/wiki/locks/other/leases/${id}`;
    expect((await api.send("DELETE", other)).status).toBe(404);
    expect(api.engine.engine.locks.heldCount).toBe(1);
  });
});

describe("by a connection", () => {
  test("a stream says its place, its grant and its loss, and ends", async () => {
    await using api = await withVolume();
    const first = await take(api);
    const stream = await api.follow(`${lock}/hold`, "POST", { body: { wait: 60 } });
    expect(stream.lines).toEqual(['event: queued\ndata: {"place":1}\n\n']);
    await api.send("DELETE", `${lock}/leases/${first.id}`);
    await seen(api, "the grant", () => stream.lines.length === 2);
    const data = /^event: granted\ndata: (.+)\n\n$/.exec(stream.lines[1] ?? "")?.[1] ?? "null";
    const { fence }: Granted = JSON.parse(data);
    await api.send("DELETE", `${lock}?fence=${fence}`);
    await seen(api, "the loss", () => stream.hasEnded());
    expect(stream.lines[2]).toStartWith('event: lost\ndata: {"code":"lock.stolen"');
  });

  test("its end is the lock's end, and the end of its waiting", async () => {
    await using api = await withVolume();
    const { locks } = api.engine.engine;
    const stream = await api.follow(`${lock}/hold`, "POST", { body: {} });
    const second = await api.follow(`${lock}/hold`, "POST", { body: { wait: 60 } });
    second.leave();
    await seen(api, "the end of the waiting", () => locks.waitingCount === 0);
    stream.leave();
    await seen(api, "the end", () => locks.heldCount === 0);
    expect(second.lines).toHaveLength(1);
  });

  test("what is refused at once has its status, and what is later is an event", async () => {
    await using api = await withVolume();
    const nowhere = await api.send("POST", `${OWN_PREFIX}volumes/gone/locks/a/hold`, { body: {} });
    expect(nowhere.status).toBe(404);
    await take(api);
    expect((await api.send("POST", `${lock}/hold`, { body: {} })).status).toBe(409);
    const stream = await api.follow(`${lock}/hold`, "POST", { body: { wait: 0.01 } });
    await seen(api, "the refusal", () => stream.hasEnded());
    expect(stream.lines[1]).toStartWith('event: refused\ndata: {"code":"lock.timed_out"');
  });

  test("another connection goes on with its id, and only its own end counts then", async () => {
    await using api = await withVolume();
    const { locks } = api.engine.engine;
    const first = await api.follow(`${lock}/hold`, "POST", { body: {} });
    const id = /"id":"(\w+)"/.exec(first.lines[0] ?? "")?.[1];
    const second = await api.follow(`${lock}/hold`, "POST", { body: { id } });
    expect(second.lines).toEqual(first.lines);
    first.leave();
    await new Promise((resolve) => setImmediate(resolve));
    expect(locks.heldCount).toBe(1);
    second.leave();
    await seen(api, "the end", () => locks.heldCount === 0);
    const late = await api.send("POST", `${lock}/hold`, { body: { id } });
    expect([late.status, late.json]).toMatchObject([404, { code: "lock.not_held" }]);
    const both = await api.send("POST", `${lock}/hold`, { body: { id, ttl: 60 } });
    expect(both.status).toBe(400);
  });

  test("one that has ended keeps nothing, whoever ended it", async () => {
    await using api = await withVolume();
    const ended: WeakRef<object>[] = [];
    for (let left = 50; left > 0; left--) {
      ended.push(await leftAlone(api));
      ended.push(await stolen(api));
    }
    const kept = () => {
      Bun.gc(true);
      return ended.filter((each) => each.deref() !== undefined).length;
    };
    // The collector takes what is still on the stack for used.
    await seen(api, "the end of what was kept", () => kept() <= 5);
  });

  test("a stopping daemon refuses who waits, and keeps what connections hold", async () => {
    await using api = await withVolume();
    const { locks } = api.engine.engine;
    const holding = await api.follow(`${lock}/hold`, "POST", { body: {} });
    const waiting = await api.follow(`${lock}/hold`, "POST", { body: { wait: 60 } });
    await locks.endWaits();
    await seen(api, "the refusal", () => waiting.hasEnded());
    expect(waiting.lines[1]).toStartWith('event: refused\ndata: {"code":"engine.stopping"');
    holding.leave();
    await new Promise((resolve) => setImmediate(resolve));
    expect(locks.heldCount).toBe(1);
  });
});

describe("connections that locks keep busy", () => {
  test("leave some for everybody else, and are counted for as long as they last", async () => {
    await using api = await startedApi({
      handler: (parts) => makeHandler({ ...parts, lockConnectionsMax: 2 }),
    });
    await api.send("POST", "/volumes/create", { body: { Name: "wiki" } });
    const holding = await api.follow(`${lock}/hold`, "POST", { body: { ttl: 60 } });
    const gone = new AbortController();
    const waiting = api.send("POST", lock, { body: { wait: 60 }, gone: gone.signal });
    await seen(api, "who waits", () => api.engine.engine.locks.waitingCount === 1);

    const words = "2 connections hold a lock or wait for one: no further one may";
    for (const path of [`${lock}/hold`, lock]) {
      const refused = await api.send("POST", path, { body: { wait: 1 } });
      expect(refused.status).toBe(507);
      expect(refused.json).toMatchObject({ code: "lock.too_many", message: words });
    }
    // Who is answered at once keeps no connection.
    expect((await api.send("POST", `${lock}-other`, { body: {} })).status).toBe(200);
    const { id } = JSON.parse(/^data: (.+)$/m.exec(holding.lines[0] ?? "")?.[1] ?? "{}");
    const again = await api.follow(`${lock}/hold`, "POST", { body: { id } });
    expect(again.lines[0]).toStartWith("event: granted");

    gone.abort();
    await waiting;
    holding.leave();
    const badly = await api.send("POST", `${lock}/hold`, { body: { mode: "half" } });
    expect(badly.status).toBe(400);
    const next = await api.follow(`${lock}/hold`, "POST", { body: { wait: 60 } });
    expect(next.lines[0]).toStartWith("event: queued");
    expect((await api.send("POST", lock, { body: { wait: 1 } })).status).toBe(507);
    again.leave();
    await seen(api, "the next one's grant", () => next.lines.length === 2);
    expect((await api.send("POST", lock, { body: { wait: 0.01 } })).status).toBe(409);
  });
});
