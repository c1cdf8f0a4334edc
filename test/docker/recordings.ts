// Reads the recorded sessions of the real engine: every command, every exchange, in order.
import { readFileSync } from "node:fs";
import { STATUS_CODES } from "node:http";
import { join, resolve } from "node:path";
import type { WireRequest } from "./wire.ts";

export const recordingFolder = resolve(import.meta.dir, "../fixtures/recordings");

/** Recordings of volumes and plugins, by number: file and the API version of the engine. */
export const recordings = {
  "01": { file: "01-volume-create.json", api: "1.41" },
  "02": { file: "02-volume-ls-inspect.json", api: "1.41" },
  "03": { file: "03-volume-rm-inuse.json", api: "1.41" },
  "06": { file: "06-plugin-lifecycle.json", api: "1.41" },
  "07": { file: "07-plugin-install-upgrade.json", api: "1.41" },
  "11": { file: "11-api143-volumes.json", api: "1.43" },
  "13": { file: "13-api143-managed-plugin.json", api: "1.43" },
  "20": { file: "20-raw-api141.json", api: "1.41" },
  "21": { file: "21-raw-api143.json", api: "1.43" },
} as const;

export type RecordingName = keyof typeof recordings;

export const recordingNames = ["01", "02", "03", "06", "07", "11", "13", "20", "21"] as const;

/** Those of managed plugins: they need a registry, and programs that run plugins. */
export const pluginRecordings: ReadonlySet<RecordingName> = new Set(["06", "07", "13"]);

/** An answer as recorded. Lists of headers are maps with names in lower case. */
export interface RecordedAnswer {
  readonly status: number;
  readonly reason: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** One request and its answer; `index` counts from 0 within its recording. */
export interface Exchange {
  readonly recording: RecordingName;
  readonly index: number;
  readonly request: WireRequest;
  /** Its body is an archive, of which only the length was recorded. */
  readonly isUpload?: true;
  readonly answer: RecordedAnswer;
}

/** One line typed at a prompt, and what the CLI printed. */
export interface Command {
  readonly line: string;
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly exchanges: readonly Exchange[];
}

interface StoredExchange {
  readonly request: {
    readonly method: string;
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: unknown;
  };
  /** `reason`, `headers` and `body` are missing where the connection was taken over (101). */
  readonly response: {
    readonly status: number;
    readonly reason?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: unknown;
  };
}

interface StoredCommand {
  readonly command: string;
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly http: readonly StoredExchange[];
}

interface StoredRaw {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly status: number;
  readonly responseHeaders: Readonly<Record<string, string>>;
  readonly response: string;
}

/** Every exchange of a recording. */
export function loadExchanges(recording: RecordingName): readonly Exchange[] {
  if (recording === "20" || recording === "21") return loadRaw(recording);
  return loadCommands(recording).flatMap((command) => command.exchanges);
}

/** Every command of a recording made with the CLI (all but 20 and 21). */
export function loadCommands(recording: RecordingName): readonly Command[] {
  // The fixture's shape is described in its README; a wrong one fails the first test that reads it.
  const stored = read(recording) as readonly StoredCommand[];
  let index = 0;
  return stored.map(({ command, exit, stdout, stderr, http }) => ({
    line: command,
    exit,
    stdout,
    stderr,
    exchanges: http.map((one) => fromStored(recording, index++, one)),
  }));
}

function loadRaw(recording: RecordingName): readonly Exchange[] {
  // As above: the shape of the fixture.
  const stored = read(recording) as readonly StoredRaw[];
  return stored.map((raw, index) => ({
    recording,
    index,
    request: request(raw.method, raw.path, rawHeaders(raw), raw.body),
    answer: {
      status: raw.status,
      reason: STATUS_CODES[raw.status] ?? "",
      headers: new Map(Object.entries(raw.responseHeaders)),
      body: raw.response,
    },
  }));
}

/** The recorder announced JSON wherever there was a body and no header of its own. */
function rawHeaders(raw: StoredRaw): Readonly<Record<string, string>> {
  return raw.body === undefined
    ? raw.headers
    : { "content-type": "application/json", ...raw.headers };
}

function fromStored(recording: RecordingName, index: number, stored: StoredExchange): Exchange {
  const { method, url, headers, body } = stored.request;
  const { status, reason, headers: answerHeaders, body: answerBody } = stored.response;
  const sent = Object.entries(headers).filter(([name]) => !connectionHeaders.has(name));
  const isUpload = typeof body === "object" && body !== null && "base64_head" in body;
  const kept = body === "" || isUpload ? undefined : body;
  return {
    recording,
    index,
    request: request(method, url, Object.fromEntries(sent), kept),
    ...(isUpload ? { isUpload } : {}),
    answer: {
      status,
      reason: reason ?? "",
      headers: new Map(Object.entries(answerHeaders ?? {})),
      body: answerBody === undefined ? "" : bodyText(answerBody),
    },
  };
}

/** What belongs to the connection and not to the request. */
const connectionHeaders: ReadonlySet<string> = new Set([
  "host",
  "content-length",
  "connection",
  "transfer-encoding",
]);

function request(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body: unknown,
): WireRequest {
  if (body === undefined) return { method, path, headers };
  return { method, path, headers, body: bodyText(body) };
}

/** JSON bodies were decoded by the recorder; Go encodes them on one line, with a line feed. */
function bodyText(body: unknown): string {
  return typeof body === "string" ? body : `${JSON.stringify(body)}\n`;
}

function read(recording: RecordingName): unknown {
  return JSON.parse(readFileSync(join(recordingFolder, recordings[recording].file), "utf8"));
}
