// GET /events: the recorded form, history, filters, the ring of 256, a follower that does not read.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { whenPossible } from "../support/needs.ts";
import { type Engine, type EngineKind, engineKinds, holdfast } from "./engines.ts";
import { type EventMessage, EventStream, parseEvent, shapeOf } from "./event-stream.ts";
import { recordingFolder } from "./recordings.ts";
import { exchange, type WireAnswer } from "./wire.ts";

/** Docker keeps as many events for those who come later. */
const ringCount = 256;

/** More than the buffers of a Unix socket hold: an event has some 150 bytes. */
const floodPairs = 1_500;

/** What one change may take while somebody does not read. */
const changeTimeoutMs = 2_000;

const engineTimeoutMs = 60_000;

/** A test on each engine: what Docker's own engine fails would be a wrong expectation. */
function onEach(name: string, run: (engine: Engine, kind: EngineKind) => Promise<void>): void {
  for (const kind of engineKinds) {
    whenPossible(
      kind.requirements,
      `${name} (${kind.name})`,
      async () => {
        await using engine = await kind.start();
        await run(engine, kind);
      },
      engineTimeoutMs,
    );
  }
}

/**
 * A follower of what comes from now on. dockerd sends the head before it listens to itself, so
 * there it is asked for the history too, which is empty in a fresh engine.
 */
function follow(engine: Engine, kind: EngineKind, query = ""): Promise<EventStream> {
  const parts = [kind.name === "Holdfast" ? "" : "since=1", query];
  return EventStream.open(engine.socketPath, parts.filter(Boolean).join("&"));
}

describe("GET /events", () => {
  onEach("has the recorded headers at once, before any event", async (engine) => {
    using stream = await EventStream.open(engine.socketPath);
    expect(stream.status).toBe(200);
    expect(stream.headers.get("content-type")).toBe("application/json");
    expect(stream.headers.get("transfer-encoding")).toBe("chunked");
    expect(stream.headers.get("ostype")).toBe("linux");
    expect(stream.lines).toEqual([]);
  });

  onEach("create, destroy and prune have the recorded form", async (engine, kind) => {
    using stream = await follow(engine, kind);
    await create(engine, "one");
    await remove(engine, "one");
    await send(engine, "POST", "/volumes/prune");
    const lines = await stream.linesUpTo(3);
    expect(lines.map(summary)).toEqual(["create one", "destroy one", "prune "]);
    for (const line of lines) {
      const { Action } = parseEvent(line);
      expect(shapeOf(parseEvent(line))).toEqual(shapeOf(recordedEvent(Action)));
      expect(line).toBe(JSON.stringify(JSON.parse(line)).replace(/"timeNano":\d+/, nanoOf(line)));
    }
    expect(parseEvent(lines[0] ?? "").Actor.Attributes).toEqual({ driver: "local" });
    expect(parseEvent(lines[2] ?? "").Actor.Attributes).toEqual({ reclaimed: "0" });
  });

  onEach(
    "time and timeNano are one moment, in whole digits, and never go back",
    async (engine, kind) => {
      using stream = await follow(engine, kind);
      const before = BigInt(Date.now()) * 1_000_000n;
      for (const name of ["aa", "bb", "cc"]) await create(engine, name);
      const lines = await stream.linesUpTo(3);
      const moments = lines.map((line) => {
        const parsed = /"time":(\d+),"timeNano":(\d+)\}$/.exec(line);
        expect(parsed?.[2]?.slice(0, -9)).toBe(parsed?.[1] ?? "missing");
        return BigInt(parsed?.[2] ?? 0);
      });
      const sorted = moments.toSorted((one, other) => (one < other ? -1 : 1));
      expect(moments).toEqual(sorted);
      expect((moments[0] ?? 0n) >= before).toBe(true);
    },
  );
});

describe("what is an event", () => {
  onEach("a create that changes nothing is none, from 23.0 on", async (engine, kind) => {
    using stream = await follow(engine, kind);
    await create(engine, "again");
    await create(engine, "again");
    await send(engine, "GET", "/volumes/again");
    await send(engine, "DELETE", "/volumes/nosuch");
    await send(engine, "DELETE", "/volumes/nosuch?force=1");
    await create(engine, "x y");
    await remove(engine, "again");
    await stream.lineOrEnd((line) => summary(line) === "destroy again");
    const isNewer = kind.name === "Holdfast";
    expect(stream.lines.map(summary)).toEqual([
      "create again",
      ...(isNewer ? [] : ["create again"]),
      "destroy again",
    ]);
  });

  whenPossible(holdfast.requirements, "a prune destroys each volume, then sums up", async () => {
    await using engine = await holdfast.start();
    using stream = await EventStream.open(engine.socketPath);
    await create(engine, "one");
    await create(engine, "two");
    await send(engine, "POST", `/volumes/prune?filters=${encode({ all: ["1"] })}`);
    const lines = (await stream.linesUpTo(5)).map(summary);
    expect(lines.slice(2, 4).toSorted()).toEqual(["destroy one", "destroy two"]);
    expect(lines[4]).toBe("prune ");
  });
});

describe("history", () => {
  onEach("since and until in the past answer what was and end", async (engine) => {
    await create(engine, "before");
    const second = await nextSecond();
    await create(engine, "after");
    await nextSecond();
    const all = await history(engine, `since=1&until=${now()}`);
    expect(all.map(summary)).toEqual(["create before", "create after"]);
    const late = await history(engine, `since=${second}&until=${now()}`);
    expect(late.map(summary)).toEqual(["create after"]);
    const early = await history(engine, `since=1&until=${second}`);
    expect(early.map(summary)).toEqual(["create before"]);
    const nanos = await history(engine, `since=${second}.000000000&until=${now()}.5`);
    expect(nanos.map(summary)).toEqual(["create after"]);
    expect(await history(engine, "until=2")).toEqual([]);
  });

  onEach("since alone answers what was and goes on", async (engine) => {
    await create(engine, "was");
    using stream = await EventStream.open(engine.socketPath, "since=1");
    await stream.linesUpTo(1);
    await create(engine, "comes");
    expect((await stream.linesUpTo(2)).map(summary)).toEqual(["create was", "create comes"]);
  });

  onEach("until in the future ends the stream by itself", async (engine, kind) => {
    using stream = await follow(engine, kind, `until=${now() + 2}`);
    await create(engine, "seen");
    expect(await stream.lineOrEnd(() => false)).toBe(false);
    expect(stream.lines.map(summary)).toEqual(["create seen"]);
  });

  onEach("since after until is refused", async (engine) => {
    const answer = await send(engine, "GET", "/events?since=2&until=1");
    expect(answer.status).toBe(400);
    expect(answer.body).toBe('{"message":"`since` time (2) cannot be after `until` time (1)"}\n');
  });

  onEach("a time that is none is refused with Docker's text", async (engine) => {
    const answer = await send(engine, "GET", "/events?since=abc&until=2");
    expect([400, 500]).toContain(answer.status);
    expect(answer.body).toBe('{"message":"strconv.ParseInt: parsing \\"abc\\": invalid syntax"}\n');
  });

  onEach(`the last ${ringCount} events are kept, and no more`, async (engine) => {
    const pairs = 150;
    for (let index = 0; index < pairs; index += 1) {
      await create(engine, `ring${index}`);
      await remove(engine, `ring${index}`);
    }
    await nextSecond();
    const lines = await history(engine, `since=1&until=${now()}`);
    expect(lines).toHaveLength(ringCount);
    expect(summary(lines[0] ?? "")).toBe(`create ring${pairs - ringCount / 2}`);
    expect(summary(lines.at(-1) ?? "")).toBe(`destroy ring${pairs - 1}`);
  });
});

describe("filters", () => {
  const cases: readonly (readonly [Readonly<Record<string, unknown>>, readonly string[]])[] = [
    [{ type: ["volume"] }, ["create alpha", "create beta", "destroy alpha"]],
    [{ type: ["container"] }, []],
    [{ event: ["create"] }, ["create alpha", "create beta"]],
    [{ event: { destroy: true } }, ["destroy alpha"]],
    [{ event: ["create", "destroy"], volume: ["beta"] }, ["create beta"]],
    [{ volume: ["alp"] }, ["create alpha", "destroy alpha"]],
    [{ volume: ["lpha"] }, []],
    [{ scope: ["local"] }, ["create alpha", "create beta", "destroy alpha"]],
    [{ scope: ["swarm"] }, []],
    [{ event: ["creat"] }, []],
  ];

  onEach("choose by type, event, name and scope", async (engine) => {
    await create(engine, "alpha");
    await create(engine, "beta");
    await remove(engine, "alpha");
    await nextSecond();
    for (const [filters, expected] of cases) {
      const lines = await history(engine, `since=1&until=${now()}&filters=${encode(filters)}`);
      expect({ filters, got: lines.map(summary) }).toEqual({ filters, got: [...expected] });
    }
  });

  onEach("hold for what comes, too", async (engine, kind) => {
    const query = `filters=${encode({ event: ["destroy"] })}`;
    using stream = await follow(engine, kind, query);
    await create(engine, "once");
    await remove(engine, "once");
    expect((await stream.linesUpTo(1)).map(summary)).toEqual(["destroy once"]);
  });
});

describe("a follower that does not read", () => {
  whenPossible(
    holdfast.requirements,
    "delays no change and no other follower, and sees no gap",
    async () => {
      await using engine = await holdfast.start();
      using slow = await EventStream.open(engine.socketPath);
      using quick = await EventStream.open(engine.socketPath);
      slow.pause();
      let longestMs = 0;
      for (let index = 0; index < floodPairs; index += 1) {
        const started = performance.now();
        await create(engine, `flood${index}`);
        await remove(engine, `flood${index}`);
        longestMs = Math.max(longestMs, performance.now() - started);
      }
      expect(longestMs).toBeLessThan(changeTimeoutMs);
      const all = await quick.linesUpTo(2 * floodPairs);
      slow.resume();
      const last = all.at(-1) ?? "";
      await slow.lineOrEnd((line) => line === last);
      // Everything, or a clean end after a beginning without gaps: never silence about a loss.
      expect([...slow.lines]).toEqual(all.slice(0, slow.lines.length));
    },
    2 * engineTimeoutMs,
  );
});

test("the form of a recorded event is told apart from others", () => {
  const recorded = recordedEvent("create");
  const { scope: _, ...without } = recorded;
  expect(shapeOf(without)).not.toEqual(shapeOf(recorded));
  expect(shapeOf({ ...recorded, time: "1" })).not.toEqual(shapeOf(recorded));
});

/** The first recorded event of a volume with this action. */
function recordedEvent(action: string): EventMessage {
  const text = readFileSync(join(recordingFolder, "events-api143.jsonl"), "utf8");
  const events = text.split("\n").filter(Boolean).map(parseEvent);
  const found = events.find(({ Type, Action }) => Type === "volume" && Action === action);
  if (found === undefined) throw new Error(`no recorded event ${action}`);
  return found;
}

function summary(line: string): string {
  const { Action, Actor } = parseEvent(line);
  return `${Action} ${Actor.ID}`;
}

/** JSON.parse loses the last digits of a time in nanoseconds. */
function nanoOf(line: string): string {
  return /"timeNano":\d+/.exec(line)?.[0] ?? "no timeNano";
}

async function history(engine: Engine, query: string): Promise<readonly string[]> {
  const answer = await send(engine, "GET", `/events?${query}`);
  expect(answer.status).toBe(200);
  return answer.body.split("\n").filter(Boolean);
}

function create(engine: Engine, name: string): Promise<WireAnswer> {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ Name: name, Driver: "local" });
  const path = "/volumes/create";
  return exchange(engine.socketPath, { method: "POST", path, headers, body });
}

function remove(engine: Engine, name: string): Promise<WireAnswer> {
  return send(engine, "DELETE", `/volumes/${name}`);
}

/** Paths have no version: the engines do not share a newest one. */
function send(engine: Engine, method: string, path: string): Promise<WireAnswer> {
  return exchange(engine.socketPath, { method, path });
}

function encode(filters: Readonly<Record<string, unknown>>): string {
  return encodeURIComponent(JSON.stringify(filters));
}

/** The time in whole seconds. */
function now(): number {
  return Math.floor(Date.now() / 1000);
}

/** Waits until the clock shows a new second, and answers it. */
async function nextSecond(): Promise<number> {
  const second = now() + 1;
  await Bun.sleep(second * 1000 - Date.now() + 5);
  return second;
}
