// Runs the C programs of the bench and reads their answers.
import { join } from "node:path";
import { programPath, run, runAnyway } from "./processes.ts";

/** What the load generator saw. */
export interface Load {
  readonly operations: number;
  readonly seconds: number;
  /** Processor time of the load generator itself. */
  readonly processorSeconds: number;
  /** Replies with a wrong status or body: a figure with any of them counts for nothing. */
  readonly wrong: number;
  readonly firstWrong: string;
  readonly latencyMs: {
    readonly p50: number;
    readonly p90: number;
    readonly p99: number;
    readonly max: number;
  };
}

/** What `process-timer` saw of one process. */
export interface ProcessTimes {
  readonly wallMs: number;
  readonly processorMs: number;
  readonly rssKib: number;
  readonly lines: number;
  readonly exit: number;
}

/** One burst of load: a number of operations, or operations for a time. */
export interface Burst {
  readonly mode: "create" | "inspect" | "list" | "remove" | "hold" | "mount" | "calls";
  readonly socket: string;
  readonly connections: number;
  readonly amount: { readonly count: number } | { readonly seconds: number };
  /**
   * Names are `<prefix>-<number>`, numbers from `first`; of a mount, holders' numbers are. `hold`
   * mounts each volume once, `mount` mounts and unmounts volumes by turns: both at the socket of
   * the volume driver.
   */
  readonly prefix: string;
  readonly first?: number;
  /** How many names there are to inspect or mount. */
  readonly names?: number;
  /** Labels `group=0` to `group=<groups - 1>` in turn; without it volumes have no labels. */
  readonly groups?: number;
  /** The path of a list, with its query. */
  readonly path?: string;
  /** How many volumes the first list of each connection must hold. */
  readonly expect?: number;
  /**
   * Of the mode `calls`: each `METHOD PATH` or `METHOD PATH BODY`, with `@` for the number of the
   * operation, `#` for that of the connection, and `$id` for the `id` of the last answer that had
   * one. All of them, one after the other, are one operation.
   */
  readonly calls?: readonly string[];
}

/** The compiled programs. */
export interface LoadTools {
  burst(burst: Burst): Promise<Load>;
  /** Times one whole process. Throws when it does not end with 0 or prints too few lines. */
  timeProcess(request: TimedProcess): Promise<ProcessTimes>;
  /** Compiles `bench/<name>.c` to run without a C library around it. Returns its path. */
  compileStatic(name: string): Promise<string>;
}

/** One process to be timed, its program as an absolute path. */
export interface TimedProcess {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly linesMin: number;
}

/** Compiles both programs into `directory`. Throws when there is no compiler. */
export async function compileLoadTools(directory: string, signal: AbortSignal): Promise<LoadTools> {
  const compiler = programPath("gcc", "gcc and libc6-dev");
  const compiled = async (name: string, flag = "-pthread"): Promise<string> => {
    const program = join(directory, name);
    const source = join(import.meta.dir, `${name}.c`);
    await run({ command: [compiler, "-O2", flag, "-o", program, source], signal });
    return program;
  };
  const generator = await compiled("load-generator");
  const timer = await compiled("process-timer");
  return {
    async burst(burst) {
      const ended = await runAnyway({ command: [generator, ...burstArguments(burst)], signal });
      if (ended.exitCode > 1 || ended.output === "") {
        throw new Error(`${burst.mode}: ${ended.errors.trim() || `exit code ${ended.exitCode}`}`);
      }
      return checkedLoad(burst.mode, parseLoad(ended.output));
    },
    compileStatic: (name) => compiled(name, "-static"),
    async timeProcess({ command, environment, linesMin }) {
      const times = parseProcessTimes(
        await run({ command: [timer, ...command], environment, signal }),
      );
      if (times.exit !== 0 || times.lines < linesMin) {
        throw new Error(`${command.join(" ")} ended with ${times.exit} after ${times.lines} lines`);
      }
      return times;
    },
  };
}

/** The load generator's arguments for a burst. */
export function burstArguments(burst: Burst): readonly string[] {
  const { mode, socket, connections, prefix, amount } = burst;
  const options: readonly (readonly [string, string | number | undefined])[] = [
    ["mode", mode],
    ["socket", socket],
    ["connections", connections],
    ["prefix", prefix],
    "count" in amount ? ["count", amount.count] : ["seconds", amount.seconds],
    ["first", burst.first],
    ["names", burst.names],
    ["groups", burst.groups],
    ["path", burst.path],
    ["expect", burst.expect],
    ...(burst.calls ?? []).map((call) => ["call", call] as const),
  ];
  return options.flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`]));
}

/** Throws when any reply was wrong: a fast engine that answers wrongly is not fast. */
export function checkedLoad(mode: string, load: Load): Load {
  if (load.wrong > 0) {
    throw new Error(`${mode}: ${load.wrong} wrong replies, the first: ${load.firstWrong}`);
  }
  return load;
}

/** Reads the load generator's line. Throws when a field is missing or of another type. */
export function parseLoad(text: string): Load {
  const load = parsedRecord(text);
  const latency = recordOf(load["latencyMs"], "latencyMs");
  return {
    operations: numberOf(load, "operations"),
    seconds: numberOf(load, "seconds"),
    processorSeconds: numberOf(load, "processorSeconds"),
    wrong: numberOf(load, "wrong"),
    firstWrong: String(load["firstWrong"]),
    latencyMs: {
      p50: numberOf(latency, "p50"),
      p90: numberOf(latency, "p90"),
      p99: numberOf(latency, "p99"),
      max: numberOf(latency, "max"),
    },
  };
}

/** Reads the line of `process-timer`. Throws when a field is missing or of another type. */
export function parseProcessTimes(text: string): ProcessTimes {
  const times = parsedRecord(text);
  return {
    wallMs: numberOf(times, "wallMs"),
    processorMs: numberOf(times, "processorMs"),
    rssKib: numberOf(times, "rssKib"),
    lines: numberOf(times, "lines"),
    exit: numberOf(times, "exit"),
  };
}

function parsedRecord(text: string): Record<string, unknown> {
  return recordOf(JSON.parse(text), "the answer");
}

function recordOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null) {
    throw new Error(`${what} is not an object`);
  }
  return { ...value };
}

function numberOf(record: Record<string, unknown>, name: string): number {
  const value = record[name];
  if (typeof value !== "number" || !Number.isFinite(value)) {
    throw new Error(`${name} is not a number but ${JSON.stringify(value)}`);
  }
  return value;
}
