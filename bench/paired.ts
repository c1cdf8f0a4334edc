// Small transfers through two mounts by turns (`bench/pair-load.c`), and what a round of them says.
import type { StepFigures } from "./measure.ts";
import { quantile } from "./statistics.ts";

/** One round. */
export interface PairedTransfers {
  readonly mode: "write" | "read";
  /** A directory of each mount, the candidate's first. */
  readonly places: readonly [candidate: string, reference: string];
  /** Of one transfer. */
  readonly mib: number;
  readonly pairs: number;
  /** In odd rounds the reference begins. Files of a read are never those of another round. */
  readonly round: number;
  /** What is synced before each transfer: where what is mounted keeps its cache. */
  readonly disk?: string;
}

/** What a round says; rates in MiB a second. */
export interface PairedRound {
  readonly candidate: number;
  readonly reference: number;
  /** The median of the pairs' ratios: a disturbance of less than half of the round is not in it. */
  readonly ratio: number;
}

/** The names of the files that reads of so many rounds need in either place: 0, 1, 2, … */
export function fileCount({ pairs, rounds }: { readonly pairs: number; readonly rounds: number }) {
  // With the round that does not count.
  return pairs * (rounds + 1);
}

/** The program's arguments for a round; the first round is -1. */
export function pairWords(transfers: PairedTransfers): readonly string[] {
  const { mode, places, mib, pairs, round, disk } = transfers;
  const [first, second] = isSwapped(round) ? places.toReversed() : places;
  const number = pairs * (round + 1);
  const words = [mode, first ?? "", second ?? "", ...[mib, pairs, number].map(String)];
  return disk === undefined ? words : [...words, disk];
}

/** Reads what the program printed. Throws when it is not a line of two times for each pair. */
export function pairedRound(
  text: string,
  { mib, pairs, round }: Pick<PairedTransfers, "mib" | "pairs" | "round">,
): PairedRound {
  const times = text
    .trim()
    .split("\n")
    .map((line) => line.split(" ").map(Number));
  const isWhole = times.length === pairs;
  const isRight = times.every((pair) => pair.length === 2 && pair.every((each) => each > 0));
  if (!isWhole || !isRight) throw new Error(`not the times of ${pairs} pairs: ${text}`);
  const [own, other] = isSwapped(round) ? [1, 0] : [0, 1];
  const seconds = (which: number) => times.map((pair) => pair[which] ?? Number.NaN);
  const [mine, theirs] = [seconds(own), seconds(other)];
  return {
    candidate: mib / median(mine),
    reference: mib / median(theirs),
    ratio: median(theirs.map((each, pair) => each / (mine[pair] ?? Number.NaN))),
  };
}

/** For `rowFrom`. */
export function pairedFigures(rounds: readonly PairedRound[]): StepFigures {
  return {
    outcome: "measured",
    perSubject: [rounds.map(({ candidate }) => candidate), rounds.map((each) => each.reference)],
    ratios: rounds.map(({ ratio }) => ratio),
  };
}

function isSwapped(round: number): boolean {
  return round % 2 !== 0;
}

function median(series: readonly number[]): number {
  return quantile(
    series.toSorted((one, other) => one - other),
    0.5,
  );
}
