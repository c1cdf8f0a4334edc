// Readers that do not read: what they may hold, who makes room for whom, who is served.
import { expect, test } from "bun:test";
import {
  bodyIs,
  fixtureForEachTest,
  get,
  type HttpFixture,
  ok,
  post,
  timeouts,
  turnsUntil,
} from "../../test/support/http-fixture.ts";
import type { RawClient } from "../../test/support/raw-http-client.ts";
import {
  DROPPED_BYTES_MAX,
  STALLED_SWEEP_COUNT,
  STREAM_UNSENT_BYTES_MAX,
  UNSENT_BYTES_MAX,
} from "./limits.ts";
import { type OutputHolder, OutputRoom } from "./output-room.ts";

const MEGABYTE = 1_000_000;
const LIST_BYTES = 2 * MEGABYTE;
const list = "x".repeat(LIST_BYTES);
/** How many lists there is room for, with their heads. */
const LIST_COUNT = Math.floor(UNSENT_BYTES_MAX / (LIST_BYTES + 200));

let fixture: HttpFixture;

fixtureForEachTest((fresh) => {
  fixture = fresh;
});

/** Serves "small" at /small, else a list; the targets that the handler was asked for. */
async function serveLists(body = list): Promise<string[]> {
  const asked: string[] = [];
  await fixture.serve(({ path, target }) => {
    asked.push(target);
    return ok(path === "/small" ? "small" : body);
  });
  return asked;
}

/** Asks and reads nothing. */
async function stalledReader(target = "/list"): Promise<RawClient> {
  const client = await fixture.open();
  client.socket.pause();
  client.send(get(target));
  return client;
}

async function stalledReaders(count: number): Promise<readonly RawClient[]> {
  const readers = await Promise.all(Array.from({ length: count }, () => stalledReader()));
  await turnsUntil(() => fixture.server.connectionCount === count);
  for (let turn = 0; turn < 20; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  return readers;
}

function passSweeps(): void {
  for (let sweep = 0; sweep < STALLED_SWEEP_COUNT; sweep++) {
    fixture.pass(1_000);
  }
}

test("a hundred stalled readers hold no more than the bound; a good one is served", async () => {
  const asked = await serveLists();
  Bun.gc(true);
  const before = process.memoryUsage().rss;
  await stalledReaders(100);
  Bun.gc(true);
  expect(process.memoryUsage().rss - before).toBeLessThan(UNSENT_BYTES_MAX + 40 * MEGABYTE);
  expect(fixture.server.unsentBytes).toBeLessThanOrEqual(UNSENT_BYTES_MAX);
  expect(fixture.server.unsentBytes).toBeGreaterThan((LIST_COUNT - 1) * LIST_BYTES);
  // A crowd with one wish costs one answer that finds no room, not sixty.
  expect(asked.length).toBe(LIST_COUNT + 1);

  const good = await fixture.open();
  good.send(get("/small"));
  await good.until(bodyIs("small"));
  good.received = "";
  good.send(get("/list?good"));
  await turnsUntil(() => asked.includes("/list?good"));
  expect(good.received).toBe("");
  passSweeps();
  await good.until(bodyIs(list));
  // Only those whose room was needed were cut off: the ones that were asked for first.
  expect(fixture.server.connectionCount).toBe(101 - LIST_COUNT);
  expect(fixture.server.unsentBytes).toBeLessThanOrEqual(UNSENT_BYTES_MAX);
});

test("a crowd of good readers is served whole, nobody is cut off, within the bound", async () => {
  let mostBytes = 0;
  await fixture.serve(() => {
    mostBytes = Math.max(mostBytes, fixture.server.unsentBytes);
    return ok(list);
  });
  const readers = await Promise.all(Array.from({ length: 80 }, () => fixture.open()));
  for (const reader of readers) {
    reader.send(get("/list"));
  }
  await Promise.all(readers.map((reader) => reader.until(bodyIs(list))));
  expect(mostBytes).toBeGreaterThan(UNSENT_BYTES_MAX / 2);
  expect(mostBytes).toBeLessThanOrEqual(UNSENT_BYTES_MAX);
  await turnsUntil(() => fixture.server.unsentBytes === 0);
});

test("who reads a long answer slowly is not cut off for others, who reads nothing is", async () => {
  await serveLists();
  const [slow] = await stalledReaders(LIST_COUNT);
  const waiting = await fixture.open();
  waiting.send(get("/list"));
  await turnsUntil(() => fixture.server.connectionCount === LIST_COUNT + 1);
  fixture.pass(1_000);
  const seen = slow?.received.length ?? 0;
  slow?.socket.resume();
  await slow?.until((text) => text.length > seen + 500_000);
  slow?.socket.pause();
  fixture.pass(1_000);
  await waiting.until(bodyIs(list));
  expect(slow?.hasEnded).toBe(false);
  slow?.socket.resume();
  await slow?.until(bodyIs(list));
});

test("who waits for room too long gets 503", async () => {
  const asked = await serveLists();
  await stalledReaders(LIST_COUNT);
  const waiting = await fixture.open();
  waiting.send(get("/list"));
  await turnsUntil(() => asked.length === LIST_COUNT + 1);
  fixture.pass(timeouts.stallMs);
  const received = await waiting.untilEnd();
  expect(received).toStartWith("HTTP/1.1 503 Service Unavailable\r\n");
  expect(received).toContain("too many long answers at once");
});

test("what changes something is asked once and answered at the expense of others", async () => {
  const asked = await serveLists();
  await stalledReaders(LIST_COUNT);
  const changing = await fixture.open();
  changing.send(post("Content-Length: 0\r\n"));
  await changing.until(bodyIs(list));
  expect(asked.filter((path) => path === "/")).toHaveLength(1);
  expect(fixture.server.connectionCount).toBe(LIST_COUNT);
});

test("a client that leaves while it waits is forgotten; its room goes to the next", async () => {
  const asked = await serveLists();
  const readers = await stalledReaders(LIST_COUNT);
  const [leaving, staying] = [await fixture.open(), await fixture.open()];
  staying.send(get("/list?staying"));
  leaving.send(get("/list?leaving"));
  await turnsUntil(() => asked.length === LIST_COUNT + 2);
  leaving.socket.destroy();
  readers[0]?.socket.destroy();
  readers[1]?.socket.destroy();
  await staying.until(bodyIs(list));
  await turnsUntil(() => fixture.server.connectionCount === LIST_COUNT - 1);
  expect(asked.length).toBeLessThanOrEqual(LIST_COUNT + 4);
});

test("an answer larger than all room goes alone", async () => {
  const huge = "y".repeat(UNSENT_BYTES_MAX + 1);
  await serveLists(huge);
  const clients = [await fixture.open(), await fixture.open()];
  for (const client of clients) {
    client.send(get("/list"));
  }
  let bytes = 0;
  for (const client of clients) {
    await client.until((text) => text.length > UNSENT_BYTES_MAX);
    bytes = client.received.length - huge.length;
    client.received = "";
  }
  expect(bytes).toBeLessThan(200);
}, 30_000);

test("streams share the bound: one that finds no room is cut off", async () => {
  let write: ((chunk: string) => boolean) | undefined;
  await fixture.serve(({ path }) =>
    path !== "/stream"
      ? ok(
          path === "/list" ? list : "x".repeat(UNSENT_BYTES_MAX - fixture.server.unsentBytes - 100),
        )
      : {
          status: 200,
          headers: [],
          endless: true,
          stream: (writer) => {
            write = (chunk) => writer.write(chunk);
          },
        },
  );
  await stalledReaders(LIST_COUNT);
  await stalledReader("/rest");
  await turnsUntil(() => UNSENT_BYTES_MAX - fixture.server.unsentBytes < 100);
  await stalledReader("/stream");
  await turnsUntil(() => write !== undefined);
  const chunk = "x".repeat(10_000);
  let sentBytes = 0;
  while (write?.(chunk) === true) {
    sentBytes += chunk.length;
    expect(sentBytes).toBeLessThan(STREAM_UNSENT_BYTES_MAX);
  }
  expect(fixture.server.connectionCount).toBe(LIST_COUNT + 1);
  expect(fixture.server.unsentBytes).toBeLessThanOrEqual(UNSENT_BYTES_MAX);
});

/** Remembers what the room told it, in the order of all holders of a test. */
function holder(room: OutputRoom, name: string, told: string[]): OutputHolder {
  const self: OutputHolder = {
    destroy() {
      told.push(`${name} destroyed`);
      room.release(self);
    },
    retry() {
      told.push(`${name} retried`);
    },
  };
  return self;
}

test("what cut-off readers held is collected, once a sweep; what is sent is not", async () => {
  await serveLists();
  const reader = await fixture.open();
  for (let round = 1; round <= 2 + DROPPED_BYTES_MAX / LIST_BYTES; round++) {
    reader.send(get("/list"));
    await reader.until((text) => text.length > round * LIST_BYTES);
  }
  fixture.pass(1_000);
  expect(fixture.collectionCount).toBe(0);
  reader.socket.destroy();
  await turnsUntil(() => fixture.server.connectionCount === 0);
  for (const rounds of [1, 2]) {
    const readers = await stalledReaders(LIST_COUNT - 1);
    for (const { socket } of readers) socket.destroy();
    await turnsUntil(() => fixture.server.unsentBytes === 0);
    fixture.pass(1_000);
    fixture.pass(1_000);
    expect(fixture.collectionCount).toBe(rounds);
  }
});

test("the longest stalled goes first, and nobody who is not stalled", () => {
  const room = new OutputRoom();
  const told: string[] = [];
  const [first, second, third, asking] = ["first", "second", "third", "asking"].map((name) =>
    holder(room, name, told),
  );
  if (!(first && second && third && asking)) throw new Error("four holders");
  for (const each of [first, second, third]) {
    expect(room.take(each, UNSENT_BYTES_MAX / 4)).toBe(true);
  }
  expect(room.take(asking, UNSENT_BYTES_MAX / 2)).toBe(false);
  room.sweep();
  room.progressed(first);
  room.sweep();
  expect(room.take(asking, UNSENT_BYTES_MAX / 2)).toBe(true);
  expect(told).toEqual(["second destroyed"]);
  expect(room.bytes).toBe(UNSENT_BYTES_MAX);
  room.release(asking);
  room.release(asking);
  expect(room.bytes).toBe(UNSENT_BYTES_MAX / 2);
});

test("room that comes back goes to who waits for it, the newest first, one a turn", async () => {
  const room = new OutputRoom();
  const told: string[] = [];
  const [full, older, newer] = ["full", "older", "newer"].map((name) => holder(room, name, told));
  if (!(full && older && newer)) throw new Error("three holders");
  const answer = { target: "/list", bytes: UNSENT_BYTES_MAX };
  expect(room.take(full, answer.bytes)).toBe(true);
  expect(room.take(older, answer.bytes)).toBe(false);
  room.wait(older, answer);
  room.wait(newer, answer);
  expect(room.awaited("/list")).toBe(answer);
  expect(room.awaited("/small")).toBeUndefined();
  room.release(full);
  expect(room.awaited("/list")).toBeUndefined();
  expect(told).toEqual([]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(told).toEqual(["newer retried"]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(told).toEqual(["newer retried", "older retried"]);
});
