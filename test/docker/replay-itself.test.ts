// The replay is tested by breaking it: an answer changed in any way must be reported as different.
import { describe, expect, test } from "bun:test";
import type { Explained } from "./explained.ts";
import { type Exchange, loadExchanges, type RecordedAnswer } from "./recordings.ts";
import { type ReplayPlan, type ReplayReport, replay } from "./replay.ts";
import { leaveOut, seededFrom } from "./selection.ts";
import { playTape } from "./tape.ts";

const plan: ReplayPlan = { leaveOut, standIns: [], seededFrom, explained: [] };

interface Mutation {
  readonly what: string;
  readonly index: number;
  readonly change: (answer: RecordedAnswer) => Partial<RecordedAnswer>;
  /** What the one problem that is reported must say. */
  readonly says: string;
}

const mutations: readonly Mutation[] = [
  {
    what: "another status",
    index: 31,
    change: () => ({ status: 200, reason: "OK" }),
    says: "status: expected 201 Created but got 200 OK",
  },
  {
    what: "another reason phrase",
    index: 49,
    change: () => ({ reason: "Nope" }),
    says: "status: expected 404 Not Found but got 404 Nope",
  },
  {
    what: "another error text",
    index: 57,
    change: ({ body }) => ({ body: body.replace("no such", "no") }),
    says: "body: expected",
  },
  {
    what: "null where there was an empty object",
    index: 25,
    change: ({ body }) => ({ body: body.replace('"Labels":{}', '"Labels":null') }),
    says: "body: expected",
  },
  {
    what: "another order of fields",
    index: 25,
    change: ({ body }) => ({
      body: `${JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(body)).reverse()))}\n`,
    }),
    says: "body: expected",
  },
  {
    what: "a time with milliseconds",
    index: 25,
    change: ({ body }) => ({ body: body.replace(/:(\d\d)Z"/, ':$1.000Z"') }),
    says: "body: expected",
  },
  {
    what: "a volume missing from a list",
    index: 36,
    change: () => ({ body: '{"Volumes":[],"Warnings":null}\n' }),
    says: "body: expected",
  },
  {
    what: "a header missing",
    index: 0,
    change: ({ headers }) => ({ headers: without(headers, "swarm") }),
    says: "header missing: swarm: inactive",
  },
  {
    what: "a header too many",
    index: 53,
    change: ({ headers }) => ({ headers: new Map([...headers, ["content-type", "text/plain"]]) }),
    says: "header not expected: content-type: text/plain",
  },
  {
    what: "an Api-Version that is none",
    index: 0,
    change: ({ headers }) => ({ headers: new Map([...headers, ["api-version", "v2"]]) }),
    says: "header not expected: api-version: v2",
  },
  {
    what: "another step of a layer in a progress stream",
    index: 77,
    change: ({ body }) => ({ body: body.replace('"Complete"', '"Completed"') }),
    says: "body: expected",
  },
  {
    what: "a failure missing at the end of a progress stream",
    index: 77,
    change: ({ body }) => ({ body: body.slice(0, body.indexOf('{"errorDetail"')) }),
    says: "body: expected",
  },
  {
    what: "lines of a progress stream that end otherwise",
    index: 77,
    change: ({ body }) => ({ body: body.replaceAll("\r\n", "\n") }),
    says: "body is not JSON",
  },
  {
    what: "another name of a plugin in a header",
    index: 77,
    change: ({ headers }) => ({ headers: new Map([...headers, ["docker-plugin-name", "x"]]) }),
    says: "header not expected: docker-plugin-name: x",
  },
  {
    what: "no line feed at the end",
    index: 57,
    change: ({ body }) => ({ body: body.trimEnd() }),
    says: "body is not compact JSON",
  },
];

describe("the replay reports", () => {
  test("nothing when the tape plays the recording itself", async () => {
    const report = await replayTape((answer) => answer);
    expect(report.problems).toEqual([]);
    expect(report.compared).toBe(90);
  });

  for (const { what, index, change, says } of mutations) {
    test(what, async () => {
      const report = await replayTape((answer, at) =>
        at === index ? { ...answer, ...change(answer) } : answer,
      );
      expect(report.problems.join("\n")).toContain(`21#${index} `);
      expect(report.problems.join("\n")).toContain(says);
    });
  }

  test("a listed difference that is none any more", async () => {
    const stale: Explained = {
      recording: "21",
      at: [57],
      why: { quirk: "none" },
      expect: {},
    };
    const report = await replayTape((answer) => answer, { ...plan, explained: [stale] });
    expect(report.problems.join()).toContain("answers as recorded, but is listed as different");
  });

  test("a rule that nothing uses", async () => {
    const idle = { reason: "none", recording: "21", indexes: [4711] } as const;
    const report = await replayTape((answer) => answer, { ...plan, leaveOut: [...leaveOut, idle] });
    expect(report.problems.join()).toContain("a rule that nothing uses");
  });
});

/** Replays recording 21 against a tape of it whose answers were changed. */
async function replayTape(
  change: (answer: RecordedAnswer, index: number) => RecordedAnswer,
  used: ReplayPlan = plan,
): Promise<ReplayReport> {
  const exchanges = loadExchanges("21");
  const changed: readonly Exchange[] = exchanges.map((one) => ({
    ...one,
    answer: change(one.answer, one.index),
  }));
  await using tape = await playTape(changed);
  return await replay(exchanges, tape, used);
}

function without(headers: ReadonlyMap<string, string>, name: string): ReadonlyMap<string, string> {
  return new Map([...headers].filter(([one]) => one !== name));
}
