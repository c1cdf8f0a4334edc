// The routes of the history: backwards in pages, and forwards from a cursor as it happens.
import { describe, expect, test } from "bun:test";
import {
  type ApiAnswer,
  type ApiBench,
  type ApiStream,
  startedApi,
} from "../../../test/support/api-bench.ts";
import { eventually } from "../../../test/support/child.ts";
import { makeHandler } from "../handler.ts";
import { OWN_PREFIX } from "./route-contract.ts";

const own = (path: string): string => `${OWN_PREFIX}${path}`;

async function create(api: ApiBench, name: string): Promise<void> {
  expect((await api.send("POST", "/volumes/create", { body: { Name: name } })).status).toBe(201);
}

function refusal({ status, json }: ApiAnswer): readonly [number, unknown, unknown] {
  const { message, code } = json as Readonly<Record<string, unknown>>;
  return [status, code, message];
}

interface Line {
  readonly cursor: string;
  readonly action: string;
  readonly volume: string;
  readonly gap?: true;
}

function linesOf({ lines }: ApiStream): readonly Line[] {
  return lines.map((line) => JSON.parse(line));
}

/** "create wiki", and "gap". */
function wordsOf(stream: ApiStream): readonly string[] {
  return linesOf(stream).map(({ gap, action, volume }) => (gap ? "gap" : `${action} ${volume}`));
}

async function hasLines(stream: ApiStream, count: number): Promise<void> {
  await eventually(() => (stream.lines.length >= count ? true : undefined), {
    timeoutMs: 5_000,
    otherwise: () => `only ${stream.lines.length} lines: ${stream.lines.join("")}`,
  });
}

describe("history", () => {
  test("has the newest first, of all or of one, also of one that is gone", async () => {
    await using api = await startedApi();
    await create(api, "wiki");
    await create(api, "other");
    await api.send("DELETE", "/volumes/wiki");
    const changes = async (query: string) => {
      const { json } = await api.send("GET", own(`history${query}`));
      const { changes } = json as {
        readonly changes: readonly { readonly action: string; readonly volume: string }[];
      };
      return changes.map(({ action, volume }) => `${action} ${volume}`);
    };
    expect(await changes("")).toEqual(["remove wiki", "create other", "create wiki"]);
    expect(await changes("?count=1")).toEqual(["remove wiki"]);
    expect(await changes("?volume=wiki")).toEqual(["remove wiki", "create wiki"]);
    expect(await changes("?volume=nobody-knows-it")).toEqual([]);
    const { json: page } = await api.send("GET", own("history?count=1"));
    const { next } = page as { readonly next: string };
    expect(await changes(`?before=${next}`)).toEqual(["create other", "create wiki"]);
    const rest = await api.send("GET", own(`history?before=${next}`));
    expect(rest.json).toMatchObject({ next: null });
    const { json } = await api.send("GET", own("history?count=1"));
    expect(json).toMatchObject({
      changes: [
        {
          at: "2026-10-15T20:00:00.000Z",
          driver: "local",
          caller: { kind: "system" },
          by: "holdfast",
          outcome: "done",
          operation: "test",
        },
      ],
    });
  });

  test("refuses counts that are none, and names that are none", async () => {
    await using api = await startedApi();
    for (const count of ["0", "1001", "-1", "x", "1.5", "", "1e3", "99999999999999999999"]) {
      const answer = await api.send("GET", own(`history?count=${count}`));
      const [status, code, message] = refusal(answer);
      expect([count, status, code]).toEqual([count, 400, "request.invalid"]);
      expect(message).toContain("a whole number from 1 to 1000 is needed");
    }
    expect(refusal(await api.send("GET", own("history?volume=%2F")))[0]).toBe(400);
    for (const before of ["1", "c-", "c-x", "c--1", "c-1234567890123456"]) {
      const answer = await api.send("GET", own(`history?before=${before}`));
      expect(refusal(answer)[2]).toContain("as in c-123");
    }
  });
});

describe("events", () => {
  test("behind a cursor are sent first, then those that happen, each once", async () => {
    await using api = await startedApi();
    await create(api, "first");
    const first = await api.follow(own("events?after=c-0&follow=false"));
    expect(wordsOf(first)).toEqual(["create first"]);
    expect(first.hasEnded()).toBe(true);
    const cursor = linesOf(first)[0]?.cursor ?? "";
    expect(cursor).toMatch(/^c-\d+$/);
    await create(api, "second");
    const stream = await api.follow(own(`events?after=${cursor}`));
    await create(api, "third");
    await hasLines(stream, 2);
    await api.send("DELETE", "/volumes/first");
    await hasLines(stream, 3);
    expect(wordsOf(stream)).toEqual(["create second", "create third", "remove first"]);
    expect(stream.hasEnded()).toBe(false);
    stream.leave();
    expect(stream.hasEnded()).toBe(true);
    const later = await api.follow(own("events"));
    await create(api, "fourth");
    await hasLines(later, 1);
    expect(wordsOf(later)).toEqual(["create fourth"]);
    expect(stream.lines).toHaveLength(3);
  });

  test("of a long time are sent in slices, all of them", async () => {
    await using api = await startedApi();
    const names = Array.from({ length: 450 }, (_, index) => `volume-${index}`);
    await Promise.all(names.map((name) => create(api, name)));
    const stream = await api.follow(own("events?after=c-0&follow=false"));
    await hasLines(stream, names.length);
    expect(new Set(linesOf(stream).map(({ volume }) => volume))).toEqual(new Set(names));
    await eventually(() => (stream.hasEnded() ? true : undefined), {
      timeoutMs: 5_000,
      otherwise: () => "the stream did not end",
    });
  });

  test("that nobody has any more are said to be missing", async () => {
    await using api = await startedApi();
    await create(api, "wiki");
    const ahead = await api.follow(own("events?after=c-999999&follow=false"));
    expect(wordsOf(ahead)).toEqual(["gap"]);
    const waiting = await api.follow(own("events?after=c-999999"));
    await create(api, "other");
    await hasLines(waiting, 2);
    expect(wordsOf(waiting)).toEqual(["gap", "create other"]);
    waiting.leave();
    const { history } = api.engine.engine;
    const old = await api.follow(own(`events?after=c-${history.newest}&follow=false`));
    expect(wordsOf(old)).toEqual([]);
  });

  test("are refused to whoever gives no cursor, and to too many", async () => {
    await using api = await startedApi();
    expect(refusal(await api.send("GET", own("events?after=10m")))[1]).toBe("request.invalid");
    expect(refusal(await api.send("GET", own("events?follow=no")))[1]).toBe("request.invalid");
    const streams: ApiStream[] = [];
    for (let count = 0; count < 256; count++) streams.push(await api.follow(own("events")));
    expect(refusal(await api.send("GET", own("events"))).slice(0, 2)).toEqual([
      503,
      "engine.overloaded",
    ]);
    streams[0]?.leave();
    streams.push(await api.follow(own("events")));
    for (const stream of streams) stream.leave();
  });
});

test("a change says the program and its user", async () => {
  const uid = process.getuid?.() ?? 0;
  await using api = await startedApi({
    handler: (parts) =>
      makeHandler({
        ...parts,
        operation: () => ({
          ...api.engine.operation(),
          caller: { kind: "process", uid, gid: 0, pid: process.pid },
        }),
        userName: (asked) => (asked === uid ? "kim" : undefined),
      }),
  });
  await create(api, "wiki");
  const { json } = await api.send("GET", own("history"));
  const { changes } = json as { readonly changes: readonly { readonly by: string }[] };
  expect(changes[0]?.by).toMatch(/^.+ \(kim\)$/);
});
