// `holdfast doctor VOLUME`: what its storage is fit for, why not for the rest, and what it does.
import type { Fitness, Measurement, Verdict } from "../core/volume-report.ts";
import { measuringSilenceMs } from "./client.ts";
import type { Invocation } from "./command.ts";
import { exitOfKind, ownFailure } from "./exit-codes.ts";
import { CliFailure } from "./failure.ts";
import { asOwn, badWords, ownPath } from "./own-client.ts";
import { colours } from "./style.ts";
import { oneLine, tableText } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { withNotice } from "./wait-notice.ts";

/** What `--for` asks for is not there, or nobody can tell. */
const EXIT_UNFIT = 1;

const verdictColumns = 9;

/** The contract's report (src/api/holdfast/doctor-contract.ts). */
interface Report {
  readonly volume: string;
  readonly tookMs: number;
  readonly storage: { readonly fileSystem: string; readonly source: string };
  readonly secondMount: boolean;
  readonly ended: string;
  readonly advice?: readonly string[];
  readonly fitness: readonly Fitness[];
  readonly measurements: readonly Measurement[];
}

interface Line {
  readonly report?: Report;
  readonly error?: string;
  readonly code?: string;
  readonly recovery?: string;
}

export async function examineVolume(invocation: Invocation): Promise<number> {
  const { options, positional, terminal } = invocation;
  const [name = ""] = positional;
  const use = options.text("for") ?? "";
  const report = await askFor(invocation, name);
  const judged = report.fitness.find((each) => each.use === use);
  const text = options.flag("json")
    ? `${JSON.stringify(report)}\n`
    : judged === undefined
      ? await renderReport(report, terminal)
      : verdictText(judged, await markFor(terminal));
  await terminal.out(text);
  if (use === "") return 0;
  return judged?.verdict === "fit" || judged?.verdict === "care" ? 0 : EXIT_UNFIT;
}

/** What only a look at a volume takes. Throws where none is named. */
export function refuseWithoutVolume({ options }: Invocation): void {
  if (options.flag("quick") || (options.text("for") ?? "") !== "") {
    throw badWords("--for and --quick are about a volume: name one");
  }
}

async function askFor({ options, client, terminal }: Invocation, name: string): Promise<Report> {
  const query = options.flag("quick") ? { quick: "true" } : {};
  const path = ownPath(["volumes", name, "doctor"], query);
  let last: Line = {};
  try {
    const request = { method: "POST", path, silenceMs: measuringSilenceMs } as const;
    const measuring = client.lines(request, async (text) => {
      // The daemon is trusted to keep the shape of its API.
      last = JSON.parse(text) as Line;
    });
    await withNotice(terminal, `measuring ${name}, for some seconds …`, measuring);
  } catch (error) {
    throw asOwn(error);
  }
  if (last.report !== undefined) return last.report;
  const { error = "the daemon ended before there was a report", code, recovery } = last;
  throw ownFailure(new CliFailure(error, exitOfKind.unavailable, { code, recovery }));
}

async function renderReport(report: Report, terminal: Terminal): Promise<string> {
  const { storage, tookMs, secondMount, ended, measurements } = report;
  const kind = storage.fileSystem === "" ? "unknown storage" : storage.fileSystem;
  const seconds = (tookMs / 1000).toFixed(1);
  const clients = secondMount ? "by two clients" : "by one client";
  const end = ended === "" ? "" : `ended early: ${ended}\n`;
  const source = oneLine(storage.source);
  const head = `${report.volume}: ${kind} (${source}), measured ${clients} in ${seconds} s\n${end}`;
  const verdicts = overviewText(report, await markFor(terminal));
  const rows = measurements.map(({ ability, answer, value, detail }) => [
    ability,
    answer,
    value === answer ? "" : oneLine(value),
    oneLine(detail),
  ]);
  return `${head}\n${verdicts}\n${tableText([["MEASURED", "ANSWER", "VALUE", "DETAIL"], ...rows])}`;
}

type Mark = (verdict: Verdict) => (text: string) => string;

async function markFor(terminal: Terminal): Promise<Mark> {
  const plain = (text: string): string => text;
  if (!(await terminal.isOutTerminal())) return () => plain;
  const { bold, red, dim } = colours(terminal);
  const marks = { fit: plain, care: bold, unfit: red, unknown: dim };
  return (verdict) => marks[verdict];
}

/** One use in full. */
function verdictText({ title, verdict, reasons }: Fitness, mark: Mark): string {
  const indent = " ".repeat(verdictColumns);
  const why = reasons.map(({ ability, answer, because, change }) => {
    const said = answer === "unknown" ? `${ability} (unknown)` : ability;
    return `${indent}${said}: ${because}\n${indent}fix: ${change}\n`;
  });
  const word = mark(verdict)(verdict) + " ".repeat(verdictColumns - verdict.length);
  return `${word}${title}\n${why.join("")}`;
}

/** All uses, a line for each, and what would help those that are unfit the most. */
function overviewText({ volume, fitness, advice = [] }: Report, mark: Mark): string {
  const width = Math.max(...fitness.map(({ title }) => title.length)) + 3;
  const lines = fitness.map(({ title, verdict, reasons }) => {
    const word = mark(verdict)(verdict) + " ".repeat(verdictColumns - verdict.length);
    const names = reasons.map(({ ability, answer }) =>
      answer === "unknown" ? `${ability} (unknown)` : ability,
    );
    const why = [...new Set(names)].join(", ");
    return `${word}${why === "" ? title : title.padEnd(width) + why}\n`;
  });
  const worst = fitness.flatMap(({ verdict, reasons: [first] }) =>
    verdict === "unfit" && first !== undefined ? [`${first.ability}: ${first.change}`] : [],
  );
  const changes = [
    ...[...new Set(worst)].map((change) => `fix      ${change}\n`),
    ...advice.map((words) => `advice   ${oneLine(words)}\n`),
  ];
  const asked = fitness.find(({ verdict }) => verdict !== "fit");
  if (asked !== undefined) {
    changes.push(`why      holdfast doctor --for ${asked.use} ${volume}\n`);
  }
  return `${lines.join("")}${changes.length > 0 ? "\n" : ""}${changes.join("")}`;
}
