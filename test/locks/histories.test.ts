// Histories of real clients of a real daemon, killed and stopped at random: each can be explained.
import { expect, test } from "bun:test";
import { printedSeed, Random } from "../crash/random.ts";
import { expectExplained } from "./explained.ts";
import { historiesOf } from "./history.ts";
import { lockChaos } from "./lock-chaos.ts";
import type { RecordLine } from "./record.ts";

const size = { ms: 15_000, grantCount: 200 };
const timeoutMs = 180_000;

test(
  "no two have what one may have, whoever is killed or stopped, and every fence is new",
  async () => {
    const { histories, ...figures } = await lockChaos(
      new Random(printedSeed("lock histories")),
      size,
    );
    console.log(`lock histories: ${JSON.stringify(figures)}`);
    expectExplained(histories);
    // Otherwise it was the load that did nothing.
    expect(figures.grantCount).toBeGreaterThanOrEqual(size.grantCount);
    expect(figures.daemonKills).toBeGreaterThan(0);
    expect(figures.clientKills + figures.stops).toBeGreaterThan(2);
  },
  timeoutMs,
);

/** Two clients, one after the other unless a test says otherwise. */
function said(...steps: readonly RecordLine[]): () => void {
  return () => {
    expectExplained(historiesOf(steps, new Map()));
  };
}

function asked(call: string, atMs: number, mode: "exclusive" | "shared" = "exclusive"): RecordLine {
  const asks = { kind: "acquire", mode, bond: "none", ttlMs: 1_000, waitMs: 0 } as const;
  return { line: "call", call, lock: "one", atMs, asks };
}

function granted(call: string, atMs: number, fence: number): RecordLine {
  return { line: "answer", call, atMs, answer: { kind: "granted", fence: String(fence) } };
}

function released(
  call: string,
  atMs: number,
  kind: "done" | "gone" = "done",
): readonly RecordLine[] {
  const lease = call.replace(/\d+$/, "0");
  return [
    { line: "call", call, lock: "one", atMs, asks: { kind: "release", lease } },
    { line: "answer", call, atMs: atMs + 1, answer: { kind } },
  ];
}

const first = [asked("a.0", 0), granted("a.0", 10, 7)];

test("what is right is explained: the test of the test", () => {
  expect(
    said(...first, ...released("a.1", 20), asked("b.0", 30), granted("b.0", 40, 8)),
  ).not.toThrow();
  // It ran out before.
  expect(said(...first, asked("b.0", 900), granted("b.0", 1_000, 8))).not.toThrow();
  // Asked for at the same time.
  expect(
    said(asked("b.0", 0), ...first, ...released("a.1", 20), granted("b.0", 30, 9)),
  ).not.toThrow();
});

const wrong: readonly (readonly [what: string, steps: readonly RecordLine[]])[] = [
  ["two at a time", [...first, asked("b.0", 20), granted("b.0", 30, 8)]],
  ["one beside those who share", [...first, asked("b.0", 20, "shared"), granted("b.0", 30, 8)]],
  ["a smaller fence", [...first, asked("b.0", 1_900), granted("b.0", 2_000, 6)]],
  ["a fence that was there", [...first, asked("b.0", 1_900), granted("b.0", 2_000, 7)]],
  [
    "a refusal while nobody has it",
    [
      ...first,
      ...released("a.1", 20),
      asked("b.0", 30),
      { line: "answer", call: "b.0", atMs: 40, answer: { kind: "refused" } },
    ],
  ],
  ["taken away before its time", [...first, ...released("a.1", 20, "gone")]],
  [
    "a list that leaves the holder out",
    [
      ...first,
      { line: "call", call: "b.0", lock: "one", atMs: 20, asks: { kind: "list" } },
      { line: "answer", call: "b.0", atMs: 30, answer: { kind: "listed", held: [] } },
    ],
  ],
];

test.each(wrong)("what is wrong is not explained: %s", (_, steps) => {
  expect(said(...steps)).toThrow();
});
