// `holdfast verify driver`: the checks of a driver on the user's own storage, and their report.
import type { VolumeDriver } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import type { DriverName } from "../core/names.ts";
import { brokenOnes, type CheckOutcome, type RunOptions, runChecks } from "./check.ts";
import { type BenchParts, openDriverBench } from "./driver-bench.ts";
import { volumeDriverChecks } from "./volume-driver.ts";

/** What came out of it. */
export interface DriverReport {
  readonly driver: DriverName;
  /** In the order of the contract's chapters. */
  readonly outcomes: readonly CheckOutcome[];
  /** What the checks made and could not remove again, in words for a person. */
  readonly leftBehind: readonly string[];
}

/**
 * Checks a driver where it is. Touches only volumes and trash of its own making (see
 * `openDriverBench`), removes them, and says what it could not remove. Never rejects because of a
 * broken promise.
 */
export async function verifyDriver(
  driver: VolumeDriver,
  parts: Omit<BenchParts, "driver" | "leftBehind">,
  options: RunOptions = {},
): Promise<DriverReport> {
  const leftBehind: string[] = [];
  const openBench = () =>
    openDriverBench({ ...parts, driver, leftBehind: (what) => leftBehind.push(what) });
  const outcomes = await runChecks(volumeDriverChecks, openBench, options);
  return { driver: driver.name, outcomes, leftBehind };
}

const marks = { kept: "kept  ", broken: "BROKEN", not_applicable: "-     " } as const;

/** How wide a line of the report may be, in characters. */
const widthMax = 100;
const indent = " ".repeat(marks.kept.length + 2);

/** The report as plain text: a line for each promise, the reason below one that is broken. */
export function renderDriverReport(report: DriverReport): string {
  const lines = [
    ...outcomeLines(report.outcomes),
    "",
    `driver ${report.driver}: ${tally(report.outcomes)}`,
    ...report.leftBehind.map((what) => `left behind: ${what}`),
  ];
  return `${lines.join("\n")}\n`;
}

/** A line for each promise, the reason below one that is broken. */
function outcomeLines(outcomes: readonly CheckOutcome[]): readonly string[] {
  return outcomes.flatMap((outcome) => {
    const [first = "", ...more] = wrap(outcome.promise, widthMax - indent.length);
    const lines = [`${marks[outcome.outcome]}  ${first}`, ...more.map((line) => indent + line)];
    if (outcome.outcome !== "broken") return lines;
    const reason = wrap(reasonOf(outcome.error), widthMax - indent.length - 2);
    return [...lines, ...reason.map((line) => `${indent}! ${line}`)];
  });
}

/** As `outcomeLines`; of what is not applicable there is one line, with the count. */
export function applicableLines(outcomes: readonly CheckOutcome[]): readonly string[] {
  const applicable = outcomes.filter(({ outcome }) => outcome !== "not_applicable");
  const restCount = outcomes.length - applicable.length;
  const rest = restCount === 0 ? [] : [`${marks.not_applicable}  ${restCount} are not applicable`];
  return [...outcomeLines(applicable), ...rest];
}

/** `12 promises kept, 1 broken, 3 not applicable` */
export function tally(outcomes: readonly CheckOutcome[]): string {
  const count = (wanted: CheckOutcome["outcome"]) =>
    outcomes.filter(({ outcome }) => outcome === wanted).length;
  return (
    `${count("kept")} promises kept, ${count("broken")} broken, ` +
    `${count("not_applicable")} not applicable`
  );
}

/** Whether every promise that applies was kept and everything was removed again. */
export function isWhole(report: DriverReport): boolean {
  return brokenOnes(report.outcomes).length === 0 && report.leftBehind.length === 0;
}

function reasonOf(error: unknown): string {
  if (error instanceof EngineError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}

/** Breaks text at blanks, and only there: a path or name stays whole. */
function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return line === "" ? lines : [...lines, line];
}
