// Writes the outcome down: a line for the terminal, a page for docs/bench.md.
import type { Surroundings } from "./machine.ts";
import { type FigureTable, type Row, type RowPlan, type Unit, verdict } from "./rows.ts";

/** A whole run. */
export interface Run {
  readonly candidate: string;
  readonly reference: string;
  readonly rounds: number;
  readonly isQuick: boolean;
  readonly surroundings: Surroundings;
  readonly rows: readonly Row[];
  readonly tables: readonly FigureTable[];
}

/** One row in one line, for the terminal. */
export function rowLine(row: Row): string {
  const { work } = row.plan;
  if (row.outcome === "failed") {
    return `${work}: FAILED, ${row.reason}`;
  }
  const { candidate, reference } = row;
  const [own, other] = [candidate, reference].map(({ median }) => inUnit(median, row.plan.unit));
  const spread = `${judged(row, row.judged.min)}–${judged(row, row.judged.max)}`;
  const judgement = `${spread}; ${targetText(row.plan)}: ${verdict(row)}`;
  if (row.plan.against === "nothing") {
    return `${work}: ${judged(row, row.judged.median)} (${judgement})`;
  }
  return `${work}: ${judged(row, row.judged.median)} (${judgement}), ${own} against ${other}`;
}

/** The page. */
export function page(run: Run): string {
  const against = run.rows.filter(({ plan }) => plan.against === "reference");
  const itself = run.rows.filter(({ plan }) => plan.against === "itself");
  const bare = run.rows.filter(({ plan }) => plan.against === "bare");
  const alone = run.rows.filter(({ plan }) => plan.against === "nothing");
  return [
    `# ${run.candidate} against ${run.reference}`,
    "",
    "`npm run bench` writes this page; what is changed here by hand is lost with its next run.",
    ...(run.isQuick ? ["", "**A quick run: it shows that everything runs, not how fast.**"] : []),
    "",
    summaryText(run),
    "",
    ...rowTable(against, [run.candidate, run.reference]),
    ...(itself.length > 0 ? ["", "## As volumes and their number grow", ""] : []),
    ...(itself.length > 0 ? rowTable(itself, ["largest", "smallest"]) : []),
    ...(bare.length > 0 ? ["", "## Beside the same program, run by hand", ""] : []),
    ...(bare.length > 0 ? rowTable(bare, [run.candidate, "by hand"]) : []),
    ...(alone.length > 0 ? ["", `## Of ${run.candidate} alone`, ""] : []),
    ...(alone.length > 0 ? rowTable(alone, [run.candidate, ""]) : []),
    ...shortfalls(run),
    ...run.tables.flatMap(figureTable),
    "",
    "## Measured on",
    "",
    ...run.surroundings.map(([name, fact]) => `- ${name}: ${fact}`),
    "",
    ...reading(),
    "",
    "## How each row is measured",
    "",
    ...run.rows.map(({ plan }) => `- **${plan.work}**: ${plan.how}`),
    "",
  ].join("\n");
}

function summaryText(run: Run): string {
  const verdicts = run.rows.map(verdict);
  const count = (word: string): number => verdicts.filter((one) => one === word).length;
  const parts = [
    `${count("met")} targets met`,
    `${count("missed")} missed`,
    ...(count("failed") > 0 ? [`${count("failed")} rows failed to run`] : []),
  ];
  return `${parts.join(", ")}.`;
}

function rowTable(rows: readonly Row[], names: readonly [string, string]): readonly string[] {
  if (rows.length === 0) {
    return ["No row was measured."];
  }
  const ratios = ["median", "quartiles", "min–max", "rounds"];
  const columns = ["work", "target", ...ratios, ...names, "verdict"];
  return markdownTable(columns, rows.map(rowCells));
}

function rowCells(row: Row): readonly string[] {
  const { work, unit } = row.plan;
  if (row.outcome === "failed") {
    return [work, targetText(row.plan), "", "", "", "", "", "", "**failed**"];
  }
  const { min, lowerQuartile, median, upperQuartile, max } = row.judged;
  const word = verdict(row);
  return [
    work,
    targetText(row.plan),
    `**${judged(row, median)}**`,
    `${judged(row, lowerQuartile)}–${judged(row, upperQuartile)}`,
    `${judged(row, min)}–${judged(row, max)}`,
    String(row.judged.count),
    inUnit(row.candidate.median, unit),
    row.plan.against === "nothing" ? "" : inUnit(row.reference.median, unit),
    word === "missed" ? "**missed**" : word,
  ];
}

function shortfalls(run: Run): readonly string[] {
  const lines = run.rows.flatMap((row) => {
    if (row.outcome === "failed") {
      return [`- **${row.plan.work}** failed to run: ${oneLine(row.reason)}`];
    }
    if (verdict(row) !== "missed" || row.plan.target === undefined) {
      return [];
    }
    const off = Math.abs(row.judged.median / row.plan.target.value - 1) * 100;
    const reached = judged(row, row.judged.median);
    return [
      `- **${row.plan.work}** reached ${reached}, ${off.toFixed(0)} % off its target of ` +
        `${targetText(row.plan)}. ${row.plan.whyMissed ?? ""}`.trimEnd(),
    ];
  });
  return lines.length === 0 ? [] : ["", "## Missed", "", ...lines];
}

function figureTable(table: FigureTable): readonly string[] {
  return [
    "",
    `## ${table.title}`,
    "",
    table.note,
    "",
    ...markdownTable(table.columns, table.lines),
  ];
}

function reading(): readonly string[] {
  return [
    "## How to read and repeat it",
    "",
    "Both engines run at the same time with their data on one fresh file system. In each " +
      "round (after one that warms up and does not count) they are measured right after each " +
      "other, in turns forwards and backwards, and the round's ratio is formed from these two " +
      "figures. The columns median, quartiles and min–max are about those ratios, the " +
      "columns after them are medians of the absolute figures.",
    "",
    "**Trust the ratios, not the absolute figures**: virtual machines like those this runs on " +
      "differ from hour to hour by a factor of two. A ratio near its target is decided by its " +
      "quartiles, and a wide spread means that the machine was busy. For rates a ratio above 1 " +
      "is better, for times and memory one below 1.",
    "",
    "Each daemon has a mount namespace of its own with an empty `/run`; dockerd runs with " +
      "`--iptables=false --ip6tables=false --bridge=none`. The load comes from " +
      "`bench/load-generator.c`, over the Unix socket, with keep-alive; one wrong status or body " +
      "makes the row fail. It shares the machine's processors with the engine under test.",
    "",
    "```",
    "npm run bench                             # as root, some ten minutes; writes this page",
    "npm run bench -- --only create,list       # some rows, printed only",
    "npm run bench -- --candidate dockerd      # dockerd against dockerd: every ratio about 1",
    "```",
  ];
}

function markdownTable(
  columns: readonly string[],
  lines: readonly (readonly string[])[],
): readonly string[] {
  const asLine = (cells: readonly string[]): string => `| ${cells.map(oneLine).join(" | ")} |`;
  return [asLine(columns), `|${columns.map(() => "---|").join("")}`, ...lines.map(asLine)];
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").replaceAll("|", "\\|").trim();
}

function targetText(plan: RowPlan): string {
  if (plan.target === undefined) {
    return "figure only";
  }
  const sign = plan.target.bound === "at_least" ? "≥" : "≤";
  const { value } = plan.target;
  return plan.judged === "ratio" ? `${sign} ${value}` : `${sign} ${inUnit(value, plan.unit)}`;
}

function judged(row: Row, value: number): string {
  return row.plan.judged === "ratio" ? value.toFixed(2) : inUnit(value, row.plan.unit);
}

function inUnit(value: number, unit: Unit): string {
  switch (unit) {
    case "/s":
      return `${value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toFixed(1)} /s`;
    case "ms":
      return `${value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toFixed(1)} ms`;
    case "MiB":
      return `${value.toFixed(1)} MiB`;
    case "µs":
      return `${value.toFixed(2)} µs`;
    default:
      return unit satisfies never;
  }
}
