// `holdfast engine ls` and `holdfast engine forget`: the container engines that may have volumes.
import { type ErrorCode, errorTable } from "../core/error-table.ts";
import { EngineError } from "../core/errors.ts";
import type { Invocation } from "./command.ts";
import { DaemonRefusal } from "./failure.ts";
import { renderRows } from "./format.ts";
import { humanDuration } from "./human.ts";
import { type GoStruct, rowStruct } from "./template/values.ts";

/** An engine as Holdfast's own API describes it (src/api/holdfast/contract.ts). */
export interface OwnEngine {
  readonly key: string;
  readonly since: string;
  /** null: it does not answer. */
  readonly containers: number | null;
  readonly error: string | null;
}

export interface OwnEngines {
  readonly engines: readonly OwnEngine[];
}

export const enginesPath = "/holdfast/v1/engines";

const headers: Readonly<Record<string, string>> = {
  Key: "ENGINE",
  Containers: "CONTAINERS",
  Since: "SINCE",
  Status: "STATUS",
  Error: "ERROR",
};

const standardFormat = "table {{.Key}}\\t{{.Containers}}\\t{{.Since}}\\t{{.Status}}";

function engineRow(engine: OwnEngine, nowMs: number): GoStruct {
  const { key, since, containers, error } = engine;
  return rowStruct("*formatter.engineContext", {
    Containers: containers === null ? "-" : String(containers),
    Error: error ?? "",
    Key: key,
    Since: `${humanDuration(Math.max(0, nowMs - Date.parse(since)))} ago`,
    Status: error === null ? "answers" : `does not answer: ${error}`,
  });
}

export async function listEngines({ options, client, terminal }: Invocation): Promise<number> {
  const { engines } = await client.json<OwnEngines>({ method: "GET", path: enginesPath });
  if (options.flag("json")) {
    await terminal.out(engines.map((engine) => `${JSON.stringify(engine)}\n`).join(""));
    return 0;
  }
  const given = options.text("format") ?? "";
  const isQuiet = options.flag("quiet");
  const usual = isQuiet ? "{{.Key}}" : standardFormat;
  const format = given === "" || given === "table" ? usual : given;
  const nowMs = terminal.nowMs();
  const rows = engines.map((engine) => engineRow(engine, nowMs));
  await terminal.out(renderRows(rows, { format, headers }));
  return 0;
}

export async function forgetEngine(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const [key = ""] = positional;
  const query = options.flag("force") ? "?force=true" : "";
  const path = `${enginesPath}/${encodeURIComponent(key)}${query}`;
  await client.send({ method: "DELETE", path }).catch((error: unknown) => {
    throw ownFailure(error);
  });
  const line = options.flag("json") ? JSON.stringify({ key, forgotten: true }) : key;
  await terminal.out(`${line}\n`);
  return 0;
}

/** A noun of our own ends with the exit code of what went wrong, and says the way out. */
function ownFailure(error: unknown): unknown {
  if (!(error instanceof DaemonRefusal) || !isErrorCode(error.code)) return error;
  return new EngineError(error.code, error.message);
}

function isErrorCode(code: string | undefined): code is ErrorCode {
  return code !== undefined && Object.hasOwn(errorTable, code);
}

/** The keys that completion offers; none where the daemon is not ours. */
export async function engineKeys(client: Invocation["client"]): Promise<readonly string[]> {
  try {
    const { engines } = await client.json<OwnEngines>({ method: "GET", path: enginesPath });
    return engines.map(({ key }) => key);
  } catch (error) {
    if (error instanceof DaemonRefusal) return [];
    throw error;
  }
}
