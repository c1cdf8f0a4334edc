// Locks of volumes in the engine: aliases, processes, volumes that go, events, words for people.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { eventually, startChild, stopChild } from "../../../test/support/child.ts";
import {
  create,
  type EngineBench,
  failureOf,
  named,
  startedEngine,
} from "../../../test/support/engine-bench.ts";
import { parseVolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import { holderText } from "./lock-holders.ts";
import { keptLock, keptText } from "./lock-keep.ts";
import type { GrantedLock, LockRequest } from "./locks-face.ts";

const wanted: LockRequest = {
  ...{ volume: "wiki", lock: "backup", mode: "exclusive", ttlMs: 30_000, waitMs: 0 },
  ...{ label: "", bond: "none" },
};

async function bench(): Promise<EngineBench> {
  const made = await startedEngine();
  await create(made, named("wiki"));
  return made;
}

function take(own: EngineBench, more: Partial<LockRequest> = {}): Promise<GrantedLock> {
  return own.engine.locks.acquire({ ...wanted, ...more }, own.operation());
}

/** By this very process. */
function operation(own: EngineBench): Operation {
  const caller = { kind: "process", uid: 0, gid: 0, pid: process.pid } as const;
  return { ...own.operation(), caller };
}

test("an alias means the volume's own locks", async () => {
  await using own = await bench();
  const to = parseVolumeName("handbook");
  await own.engine.upkeep.rename("wiki", to, { keepAlias: true }, own.operation());
  const { volume, id } = await take(own);
  expect(String(volume)).toBe("handbook");
  const error = await failureOf(take(own, { volume: "handbook" }));
  expect(error.code).toBe("lock.timed_out");
  await own.engine.locks.release({ volume: "wiki", lock: "backup", id });
  await take(own, { volume: "handbook" });
});

test("a lock of the caller's own process says which program it is", async () => {
  const program = readFileSync("/proc/self/comm", "utf8").trimEnd();
  await using own = await bench();
  await own.engine.locks.acquire({ ...wanted, bond: "process" }, operation(own));
  const [view] = own.engine.locks.list("wiki");
  expect(view?.holder).toMatchObject({ pid: process.pid, program });
  const [user] = own.engine.locks.usersOf(parseVolumeName("wiki"));
  expect(user).toBe(`lock backup of ${program} (process ${process.pid})`);
  expect((await failureOf(take(own, { bond: "process", lock: "b" }))).code).toBe("request.invalid");
});

test("who waits for a process that ends waits no longer", async () => {
  await using own = await bench();
  await take(own);
  const child = startChild("sleep", ["600"]);
  const waiting = take(own, { bond: "process", pid: child.pid, waitMs: 60_000 });
  const failed = failureOf(waiting);
  await stopChild(child);
  expect((await failed).message).toBe("the process that waited for lock backup of wiki has ended");
  expect([own.engine.locks.waitingCount, own.engine.locks.heldCount]).toEqual([0, 1]);
});

test("the locks of a volume that has gone all the same are lost", async () => {
  await using own = await bench();
  const reasons: string[] = [];
  await take(own, { lost: ({ code }) => reasons.push(code) });
  const entry = own.engine.volumes.inspect("wiki");
  // As if it had been taken while the removal was asking the engines.
  await own.engine.volumes.dropHeld(entry, "remove", own.operation());
  expect(reasons).toEqual(["volume.not_found"]);
  expect(own.engine.locks.heldCount).toBe(0);
});

test("a lock that was not renewed is an event, and its holder hears why", async () => {
  await using own = await bench();
  const reasons: string[] = [];
  const { id, fence } = await take(own, {
    ttlMs: 1_000,
    label: "nightly",
    lost: ({ message }) => reasons.push(message),
  });
  await eventually(() => reasons.length > 0 || undefined, {
    timeoutMs: 10_000,
    otherwise: () => "the lock was not lost",
  });
  const words = "lock backup of wiki was not renewed in time";
  expect(reasons).toEqual([words]);
  expect(own.events.at(-1)).toMatchObject({
    action: "lock-lost",
    attributes: { lock: "backup", fence: String(fence), holder: "a process (nightly)" },
  });
  const late = await failureOf(own.engine.locks.renew({ ...wanted, id }, undefined));
  expect([late.code, late.message]).toEqual(["lock.expired", words]);
});

test("who loses one lock after the other drives nobody else's events out", async () => {
  await using own = await bench();
  const ended = Array.from({ length: 50 }, () => Promise.withResolvers<void>());
  for (const [index, { resolve }] of ended.entries()) {
    await take(own, { lock: `lock-${index}`, ttlMs: 1_000, lost: () => resolve() });
  }
  await Promise.all(ended.map(({ promise }) => promise));
  expect(own.events.filter(({ action }) => action === "lock-lost")).toHaveLength(30);
  expect(own.engine.locks.figures.expiredCount).toBe(50);
});

test("a label is one word of a line, whatever is in it", async () => {
  await using own = await bench();
  await take(own, { label: "me\nwiki  other  \x1b[2J\tx" });
  const [view] = own.engine.locks.list("wiki");
  expect(view?.holder.label).toBe("me\\nwiki  other  \\x1b[2J\\tx");
});

test("what a daemon leaves for the next one is read back, and nothing else is", () => {
  const holder = { pid: 7, program: "rsync", label: "é", container: "0".repeat(64) };
  const id = "0123456789abcdef".repeat(2);
  const kept = { id, bond: "process", start: "b 1", holder, share: "mnt:[7]" } as const;
  expect(keptLock(keptText(kept))).toEqual(kept);
  expect(keptLock(keptText({ ...kept, share: undefined }))).toEqual({ ...kept, share: undefined });
  expect(keptLock(keptText({ ...kept, holder: { ...holder, container: null } }))).toEqual({
    ...kept,
    holder: { ...holder, container: null },
  });
  for (const text of ["", "[]", "null", '{"id":"1","bond":"none"}', '{"id":1}']) {
    expect(keptLock(text)).toBeUndefined();
  }
});

test("holders in words", () => {
  const nobody = { pid: 0, program: "", label: "", container: null };
  const name = (id: string) => (id.startsWith("a") ? "shop-db-1" : undefined);
  const inside = { ...nobody, pid: 7, program: "psql", label: "x", container: "a".repeat(64) };
  expect(holderText(nobody, name)).toBe("a process");
  expect(holderText(inside, name)).toBe("psql (process 7 of container shop-db-1, x)");
  const other = { ...inside, container: "b".repeat(64) };
  expect(holderText(other, name)).toBe("psql (process 7 of container bbbbbbbbbbbb, x)");
});
