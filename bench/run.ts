// `npm run bench`: measures Holdfast against dockerd in paired runs and writes docs/bench.md.
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { loadavg } from "node:os";
import { dirname, join, resolve } from "node:path";
import { dockerdKind, type EngineKind, holdfastKind, versionOf } from "./engines.ts";
import { type LoadNote, latencyTable } from "./latency.ts";
import { compileLoadTools } from "./load.ts";
import { type Surroundings, surroundings } from "./machine.ts";
import { type Options, parseOptions, usage } from "./options.ts";
import { page, type Run, rowLine } from "./report.ts";
import { selectedGroups } from "./rows/all.ts";
import type { FigureTable, Group, GroupOutcome, Row } from "./rows.ts";
import { verdict } from "./rows.ts";
import { freshGround, fullSizes, quickSizes, type Workbench } from "./workbench.ts";

/** Rounds below which a run is not for the record. */
const RECORDED_ROUNDS_MIN = 5;
/** Above this load average the figures are not those of a quiet machine. */
const QUIET_LOAD_MAX = 0.5;
const repository = resolve(import.meta.dir, "..");

async function main(signal: AbortSignal): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options === "help") {
    process.stdout.write(usage);
    return 0;
  }
  if (process.getuid?.() !== 0) {
    throw new Error("the bench mounts a file system and runs dockerd: run it as root");
  }
  const groups = selectedGroups(options.only);
  const candidate = candidateOf(options);
  await using cleanUp = new AsyncDisposableStack();
  const directory = await mkdtemp(join(options.directory ?? "/var/tmp", "holdfast-bench-"));
  cleanUp.defer(() => rm(directory, { recursive: true, force: true }));

  const loadBefore = loadavg()[0] ?? 0;
  if (loadBefore > QUIET_LOAD_MAX) {
    console.log(`The machine is busy (load average ${loadBefore.toFixed(1)}): ratios will spread.`);
  }
  const notes: LoadNote[] = [];
  const workbench = await workbenchIn(directory, { candidate, options, notes, signal });
  const outcomes = await outcomesOf(groups, workbench);
  const run: Run = {
    candidate: workbench.candidate.name,
    reference: workbench.reference.name,
    rounds: workbench.sizes.rounds,
    isQuick: options.isQuick,
    surroundings: await surroundings({
      directory,
      versions: await versions(workbench),
      loadBefore,
      signal,
    }),
    rows: outcomes.flatMap(({ rows }): readonly Row[] => rows),
    tables: [
      ...outcomes.flatMap(({ tables }): readonly FigureTable[] => tables),
      ...(notes.length > 0 ? [latencyTable(notes)] : []),
    ],
  };
  await writePage(run, options);
  return run.rows.some((row) => verdict(row) === "failed") ? 1 : 0;
}

function candidateOf(options: Options): EngineKind {
  if (options.candidate === "dockerd") {
    return dockerdKind("dockerd (first)");
  }
  const executable = resolve(options.executable ?? join(repository, "dist", "holdfast"));
  if (!existsSync(executable)) {
    throw new Error(`there is no ${executable}: run \`npm run build\` first, or give --holdfast`);
  }
  return holdfastKind(executable);
}

async function workbenchIn(
  directory: string,
  parts: {
    readonly candidate: EngineKind;
    readonly options: Options;
    readonly notes: LoadNote[];
    readonly signal: AbortSignal;
  },
): Promise<Workbench> {
  const { candidate, options, notes, signal } = parts;
  const sizes = options.isQuick ? quickSizes : fullSizes;
  let grounds = 0;
  return {
    candidate,
    executable: options.candidate === "holdfast" ? candidate.listCommand[0] : undefined,
    reference: dockerdKind(options.candidate === "dockerd" ? "dockerd (second)" : "dockerd"),
    sizes: { ...sizes, rounds: options.rounds ?? sizes.rounds },
    tools: await compileLoadTools(directory, signal),
    signal,
    say: (line) => console.log(line),
    note: (note) => notes.push(note),
    ground(bytes) {
      grounds += 1;
      return freshGround(join(directory, String(grounds)), signal, bytes);
    },
  };
}

async function outcomesOf(
  groups: readonly Group[],
  workbench: Workbench,
): Promise<readonly GroupOutcome[]> {
  const outcomes: GroupOutcome[] = [];
  for (const group of groups) {
    workbench.say(`${group.name}: measuring`);
    const outcome = await outcomeOf(group, workbench);
    for (const row of outcome.rows) {
      workbench.say(`  ${rowLine(row)}`);
    }
    for (const table of outcome.tables) {
      workbench.say(`  ${table.title}: ${table.columns.join(" | ")}`);
      for (const line of table.lines) {
        workbench.say(`    ${line.join(" | ")}`);
      }
    }
    outcomes.push(outcome);
  }
  return outcomes;
}

/** A group that cannot run makes failed rows, and hides no other group. */
async function outcomeOf(group: Group, workbench: Workbench): Promise<GroupOutcome> {
  try {
    return await group.run(workbench);
  } catch (error) {
    workbench.signal.throwIfAborted();
    const reason = error instanceof Error ? error.message : String(error);
    workbench.say(`  ${group.name} failed: ${reason}`);
    return {
      rows: group.rows.map((plan) => ({ outcome: "failed", plan, reason })),
      tables: [],
    };
  }
}

/** Both engines' own words, from a short start on a file system of its own. */
async function versions(workbench: Workbench): Promise<Surroundings> {
  await using ground = await workbench.ground();
  const facts: [string, string][] = [];
  for (const [index, kind] of [workbench.candidate, workbench.reference].entries()) {
    try {
      const engine = await ground.start(kind, `v${index}`);
      facts.push([kind.name, await versionOf(engine)]);
    } catch (error) {
      workbench.signal.throwIfAborted();
      facts.push([kind.name, `unknown (${error instanceof Error ? error.message : error})`]);
    }
  }
  return facts;
}

async function writePage(run: Run, options: Options): Promise<void> {
  const isWhole = !options.isQuick && options.only.length === 0;
  const isForTheRecord =
    isWhole && run.rounds >= RECORDED_ROUNDS_MIN && options.candidate === "holdfast";
  const output =
    options.output ?? (isForTheRecord ? join(repository, "docs", "bench.md") : undefined);
  if (output === undefined) {
    console.log(
      "\nNot a whole run of Holdfast with at least 5 rounds: docs/bench.md stays as it is.",
    );
    return;
  }
  await mkdir(dirname(resolve(output)), { recursive: true });
  await writeFile(output, page(run));
  console.log(`\nWritten: ${output}`);
}

const stopping = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(name, () => stopping.abort(new Error(`stopped by ${name}`)));
}
try {
  process.exitCode = await main(stopping.signal);
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = stopping.signal.aborted ? 130 : 1;
}
// Connections of the readiness check may still be open; everything else is cleaned up by now.
process.exit();
