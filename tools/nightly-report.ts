// Writes the result of the nightly tests into docs/nightly.md, with its date and its machine.
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { gitCommit, packageVersion, sourceRoot } from "./source-root.ts";

const page = join(sourceRoot, "docs", "nightly.md");

/** What is written stands between these two lines; the rest of the page is kept. */
const begin = "<!-- the result: written by npm run test:nightly -->";
const end = "<!-- end of the result -->";

export interface NightlyResult {
  /** `N passed, N failed, N skipped`. */
  readonly counts: string;
  readonly durationMs: number;
  readonly skipped: readonly string[];
  readonly failed: readonly string[];
}

export function writeNightly(result: NightlyResult): void {
  writeFileSync(page, withResult(readFileSync(page, "utf8"), table(result)));
}

/** The page with its result replaced; a page without the two marks is a mistake of its editor. */
export function withResult(text: string, result: string): string {
  const [head, rest, ...more] = text.split(begin);
  const [, tail] = rest?.split(end) ?? [];
  if (head === undefined || tail === undefined || more.length > 0) {
    throw new Error(`docs/nightly.md needs the lines ${begin} and ${end}, once each`);
  }
  return `${head}${begin}\n${result}\n${end}${tail}`;
}

function table(result: NightlyResult): string {
  const rows = [
    ["date", `${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC`],
    ["result", result.counts],
    ["duration", `${(result.durationMs / 60_000).toFixed(1)} minutes`],
    ["commit", gitCommit()],
    ["version", packageVersion()],
    ["machine", machine()],
    ["system", `${systemName()}, Linux ${release()}, Bun ${process.versions.bun}`],
  ];
  const lines = ["| what | value |", "|---|---|", ...rows.map((row) => `| ${row.join(" | ")} |`)];
  const lists = [
    ...list("Failed", result.failed),
    ...list("Skipped, with what they need", result.skipped),
  ];
  return [...lines, ...lists].join("\n");
}

function list(title: string, names: readonly string[]): readonly string[] {
  return names.length === 0 ? [] : ["", `${title}:`, "", ...names.map((name) => `- ${name}`)];
}

function machine(): string {
  const model = cpus()[0]?.model ?? "unknown processor";
  const memoryGib = Math.round(totalmem() / 2 ** 30);
  return `${availableParallelism()} cores of ${model}, ${memoryGib} GiB`;
}

function systemName(): string {
  try {
    const name = /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
    return name ?? "unknown system";
  } catch {
    return "unknown system";
  }
}
