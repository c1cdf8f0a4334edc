// GET /events without a socket: history, spans, filters, the end of followers.
import { describe, expect, test } from "bun:test";
import { type ApiBench, startedApi } from "../../../test/support/api-bench.ts";
import type { EngineEvent } from "../../engine/event-log.ts";
import { EVENT_FOLLOWER_COUNT_MAX } from "../../engine/event-log.ts";
import { eventJson } from "./events.ts";

const nowSeconds = Date.UTC(2026, 9, 15, 20) / 1000;

async function create(api: ApiBench, name: string): Promise<void> {
  expect((await api.send("POST", "/volumes/create", { body: { Name: name } })).status).toBe(201);
}

/** The bench itself notes what happens. */
const BENCH_FOLLOWER_COUNT = 1;

function followerCount(api: ApiBench): number {
  return api.engine.engine.events.followerCount - BENCH_FOLLOWER_COUNT;
}

function withFilters(filters: unknown, more = ""): string {
  return `/events?${more}filters=${encodeURIComponent(JSON.stringify(filters))}`;
}

/** The names of the volumes of each line. */
function actors(lines: readonly string[]): readonly string[] {
  return lines.map((line) => {
    expect(line).toEndWith("}\n");
    const event = JSON.parse(line);
    return `${event.Action} ${event.Actor.ID}`;
  });
}

test("an event has Docker's JSON, with its nanoseconds in full", () => {
  const event: EngineEvent = {
    type: "volume",
    action: "prune",
    actor: "",
    attributes: { reclaimed: "0", a: '"' },
    seconds: 1_792_094_400,
    nanoseconds: 5,
  };
  expect(eventJson(event)).toBe(
    '{"Type":"volume","Action":"prune","Actor":{"ID":"","Attributes":{"a":"\\"",' +
      '"reclaimed":"0"}},"scope":"local","time":1792094400,"timeNano":1792094400000000005}',
  );
});

describe("what is sent", () => {
  test("without since: only what happens from now on", async () => {
    await using api = await startedApi();
    await create(api, "before");
    const stream = await api.follow("/events");
    expect(stream.lines).toEqual([]);
    await create(api, "after");
    expect(actors(stream.lines)).toEqual(["create after"]);
    expect(stream.hasEnded()).toBe(false);
    stream.leave();
    await create(api, "later");
    expect(stream.lines).toHaveLength(1);
    expect(followerCount(api)).toBe(0);
  });

  test("with since: the ring first", async () => {
    await using api = await startedApi();
    await create(api, "one");
    api.engine.nowMs += 10_000;
    await create(api, "two");
    const since = async (value: string) => {
      const stream = await api.follow(`/events?since=${value}`);
      stream.leave();
      return actors(stream.lines);
    };
    expect(await since("0")).toEqual(["create one", "create two"]);
    expect(await since(String(nowSeconds + 1))).toEqual(["create two"]);
    expect(await since(`${nowSeconds + 9}.999999999`)).toEqual(["create two"]);
    expect(await since(String(nowSeconds + 11))).toEqual([]);
    expect(await since("2026-10-15T20:00:05Z")).toEqual(["create two"]);
    expect(await since("2026-10-15T22:00:05%2B02:00")).toEqual(["create two"]);
    expect(await since("2026-10-15T20:00:10.0Z")).toEqual(["create two"]);
  });

  test("until in the past: history, and the end", async () => {
    await using api = await startedApi();
    api.engine.nowMs = Date.now() - 60_000;
    await create(api, "one");
    const past = Math.floor(Date.now() / 1000) - 30;
    for (const query of [`until=${past}`, `since=0&until=${past}`]) {
      const stream = await api.follow(`/events?${query}`);
      expect(actors(stream.lines)).toEqual(["create one"]);
      expect(stream.hasEnded()).toBe(true);
    }
    const early = await api.follow(`/events?until=${past - 3600}`);
    expect([early.lines.length, early.hasEnded()]).toEqual([0, true]);
    expect(followerCount(api)).toBe(0);
  });

  test("until in the future: what happens, and then the end", async () => {
    await using api = await startedApi();
    const stream = await api.follow(`/events?until=${(Date.now() + 100) / 1000}`);
    await create(api, "one");
    while (!stream.hasEnded()) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(actors(stream.lines)).toEqual(["create one"]);
    expect(followerCount(api)).toBe(0);
    const endless = await api.follow("/events?until=99999999999");
    expect(endless.hasEnded()).toBe(false);
    endless.leave();
  });
});

describe("filters", () => {
  test("select by type, event, scope, label and volume; different keys must all hold", async () => {
    await using api = await startedApi();
    await create(api, "wiki");
    await create(api, "wiki-data");
    await api.send("DELETE", "/volumes/wiki");
    await api.send("POST", "/volumes/prune");
    const selected = async (filters: unknown) => {
      const stream = await api.follow(withFilters(filters, "since=0&"));
      stream.leave();
      return actors(stream.lines);
    };
    const all = ["create wiki", "create wiki-data", "destroy wiki", "prune "];
    expect(await selected({})).toEqual(all);
    expect(await selected({ type: ["volume"], scope: ["local"] })).toEqual(all);
    expect(await selected({ type: ["container"] })).toEqual([]);
    expect(await selected({ type: ["container", "volume"] })).toEqual(all);
    expect(await selected({ scope: ["swarm"] })).toEqual([]);
    expect(await selected({ event: ["destroy", "prune"] })).toEqual(["destroy wiki", "prune "]);
    expect(await selected({ volume: ["wiki-d"] })).toEqual(["create wiki-data"]);
    expect(await selected({ volume: { wiki: true } })).toEqual(all.slice(0, 3));
    expect(await selected({ container: ["wiki"] })).toEqual([]);
    expect(await selected({ label: ["driver"] })).toEqual(all.slice(0, 3));
    expect(await selected({ label: ["driver=local", "reclaimed"] })).toEqual([]);
    expect(await selected({ label: ["reclaimed=0"] })).toEqual(["prune "]);
    expect(await selected({ event: ["create"], volume: ["wiki-data"] })).toEqual([
      "create wiki-data",
    ]);
  });
});

describe("refusals", () => {
  test("bad times, spans and filters are 400 before anything is sent", async () => {
    await using api = await startedApi();
    const refused: readonly (readonly [string, string])[] = [
      ["/events?since=yesterday", 'strconv.ParseInt: parsing "yesterday": invalid syntax'],
      ["/events?until=1e9", 'strconv.ParseInt: parsing "1e9": invalid syntax'],
      ["/events?until=2026-99-01T00:00:00Z", "invalid syntax"],
      [
        "/events?since=2000000000&until=1000000000",
        "`since` time (2000000000) cannot be after `until` time (1000000000)",
      ],
      ["/events?filters=x", "invalid filter"],
      [withFilters({ foo: ["x"] }), "invalid filter 'foo'"],
    ];
    for (const [target, text] of refused) {
      const answer = await api.send("GET", target);
      expect([target, answer.status]).toEqual([target, 400]);
      expect(answer.body).toContain(JSON.stringify(text).slice(1, -1));
    }
    expect(followerCount(api)).toBe(0);
  });

  test("one follower too many is a 503, and room comes back", async () => {
    await using api = await startedApi();
    const streams = await Promise.all(
      Array.from({ length: EVENT_FOLLOWER_COUNT_MAX - BENCH_FOLLOWER_COUNT }, () =>
        api.follow("/events"),
      ),
    );
    const refused = await api.send("GET", "/events");
    expect(refused.status).toBe(503);
    expect(refused.body).toContain("at most 256");
    streams[0]?.leave();
    (await api.follow("/events")).leave();
    for (const stream of streams) stream.leave();
  });
});
