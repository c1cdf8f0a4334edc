// Transfers by turns: which mount begins, what a round says, and that no page is read from memory.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pairedFigures, pairedRound, pairWords } from "../../bench/paired.ts";
import { type RowPlan, rowFrom } from "../../bench/rows.ts";
import { runToEnd } from "../support/child.ts";
import { temporaryDirectory } from "../support/daemon.ts";

const transfers = { mode: "read", places: ["/volume", "/hand"], mib: 4, pairs: 3 } as const;
const inTime = { timeoutMs: 20_000 } as const;
const own = temporaryDirectory();
const program = join(own, "pair-load");
beforeAll(async () => {
  const source = join(import.meta.dir, "../../bench/pair-load.c");
  const built = await runToEnd("gcc", ["-Wall", "-Werror", "-O1", "-o", program, source], inTime);
  expect(built).toMatchObject({ exit: 0, stderr: "" });
});
afterAll(() => rmSync(own, { recursive: true, force: true }));

test("the other one begins in each round, and no file is read in two rounds", () => {
  const words = [-1, 0, 1].map((round) => pairWords({ ...transfers, round }).join(" "));
  expect(words).toEqual([
    "read /hand /volume 4 3 0",
    "read /volume /hand 4 3 3",
    "read /hand /volume 4 3 6",
  ]);
});

test("a round's ratio is the median of its pairs, whichever began", () => {
  const text = "0.1 0.2\n0.1 0.1\n4 0.3\n";
  const { ratio, ...even } = pairedRound(text, { ...transfers, round: 0 });
  expect(ratio).toBe(1);
  expect(even).toEqual({ candidate: 40, reference: 20 });
  const odd = pairedRound("0.2 0.1\n0.2 0.1\n0.2 0.1\n", { ...transfers, round: 1 });
  expect(odd).toEqual({ candidate: 40, reference: 20, ratio: 2 });
  expect(() => pairedRound("0.1 0.2\n", { ...transfers, round: 0 })).toThrow("times of 3 pairs");
  expect(() => pairedRound("1 1\n1 x\n1 1\n", { ...transfers, round: 0 })).toThrow("3 pairs");
});

test("a row judges the ratios of rounds, not those of their rates", () => {
  const plan: RowPlan = {
    ...{ id: "read", work: "read", unit: "/s", judged: "ratio", against: "bare", how: "" },
  };
  const rounds = [{ candidate: 40, reference: 20, ratio: 1 }];
  expect(rowFrom(plan, pairedFigures(rounds))).toMatchObject({
    judged: { median: 1 },
    candidate: { median: 40 },
    reference: { median: 20 },
  });
});

test("the program writes in both, and refuses to read what is in memory", async () => {
  const [first, second] = [join(own, "first"), join(own, "second")];
  for (const place of [first, second]) {
    mkdirSync(place);
    writeFileSync(join(place, "0"), new Uint8Array(1024 ** 2));
  }
  const words = (mode: string) => [mode, first, second, "1", "2", "0", own];
  const wrote = await runToEnd(program, words("write"), inTime);
  expect(wrote).toMatchObject({ exit: 0, stderr: "" });
  const { ratio } = pairedRound(wrote.stdout, { mib: 1, pairs: 2, round: 0 });
  expect(ratio).toBeGreaterThan(0);
  expect(statSync(join(second, "written")).size).toBe(1024 ** 2);
  // The pages of a tmpfs are the files.
  const read = await runToEnd(program, words("read"), inTime);
  expect(read.exit).toBe(1);
  expect(read.stderr).toInclude("256 of 256 pages are in memory already");
});
