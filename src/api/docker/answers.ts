// Answers in Docker's form: headers, JSON as Go writes it, error bodies and their status.
import type { ErrorCode, ErrorKind } from "../../core/error-table.ts";
import type { EngineError } from "../../core/errors.ts";
import type { Header, HttpResponse } from "../../http/message.ts";
import { API_VERSION, type DaemonFacts } from "../facts.ts";

/** Headers that dockerd puts on everything a route answers, sorted as Go sends them. */
export interface DockerHeaders {
  readonly json: readonly Header[];
  /** Answers without a body (204). */
  readonly empty: readonly Header[];
  /** Refused API versions: dockerd leaves `Docker-Experimental` out. Recorded in 21-raw-api143. */
  readonly refusedVersion: readonly Header[];
  /** Unknown paths: nothing of the engine. Recorded in 21-raw-api143. */
  readonly notFound: readonly Header[];
  readonly tooOld: readonly Header[];
  readonly ping: readonly Header[];
}

export function dockerHeaders(facts: DaemonFacts): DockerHeaders {
  const version: Header = ["Api-Version", API_VERSION];
  const jsonType: Header = ["Content-Type", "application/json"];
  const textType: Header = ["Content-Type", "text/plain; charset=utf-8"];
  const experimental: Header = ["Docker-Experimental", "false"];
  const system: Header = ["Ostype", "linux"];
  const server: Header = ["Server", `Holdfast/${facts.version} (linux)`];
  return {
    json: [version, jsonType, experimental, system, server],
    empty: [version, experimental, system, server],
    refusedVersion: [version, jsonType, system, server],
    notFound: [jsonType],
    tooOld: [version, textType, system, server, ["X-Content-Type-Options", "nosniff"]],
    ping: [
      version,
      ["Builder-Version", "2"],
      ["Cache-Control", "no-cache, no-store, must-revalidate"],
      textType,
      experimental,
      system,
      ["Pragma", "no-cache"],
      server,
      ["Swarm", "inactive"],
    ],
  };
}

/** JSON text as Go's encoder writes it without HTML escaping, one newline at the end. */
export function jsonAnswer(
  status: number,
  headers: readonly Header[],
  value: unknown,
): HttpResponse {
  return { status, headers, body: `${goJson(value)}\n` };
}

/** Answers a body that is JSON already. */
export function textAnswer(status: number, headers: readonly Header[], json: string): HttpResponse {
  return { status, headers, body: `${json}\n` };
}

/** `{"message": …}` */
export function messageAnswer(
  status: number,
  headers: readonly Header[],
  message: string,
): HttpResponse {
  return jsonAnswer(status, headers, { message });
}

/** The escapes that Go and JavaScript write differently, by JavaScript's spelling. */
const goSpelling: Readonly<Record<string, string>> = {
  "\u2028": "\\u2028",
  "\u2029": "\\u2029",
  "\\b": "\\u0008",
  "\\f": "\\u000c",
};

/** JSON in Go's spelling. Objects keep the order they have; for maps there is `mapJson`. */
export function goJson(value: unknown): string {
  const text = JSON.stringify(value);
  if (!text.includes("\\") && !text.includes("\u2028") && !text.includes("\u2029")) return text;
  // An escaped backslash before b or f is a backslash and a letter, not an escape: skip pairs.
  return text.replace(/\\\\|[\u2028\u2029]|\\[bf]/g, (found) => goSpelling[found] ?? found);
}

/**
 * A map as Go encodes it: keys sorted by bytes. As text, because a JavaScript object has keys such
 * as "10" in an order of its own.
 */
export function mapJson(map: Readonly<Record<string, string>> | null): string {
  if (map === null) return "null";
  const entries = Object.entries(map).sort(([left], [right]) => compareBytes(left, right));
  return `{${entries.map(([key, value]) => `${goJson(key)}:${goJson(value)}`).join(",")}}`;
}

/** UTF-16 order is that of the bytes, but for characters beyond it. */
function compareBytes(left: string, right: string): number {
  if (/[\ud800-\udfff]/.test(left + right)) {
    return Buffer.compare(Buffer.from(left), Buffer.from(right));
  }
  return left < right ? -1 : 1;
}

/** moby's status for each kind. */
const statusOfKind: Readonly<Record<ErrorKind, number>> = {
  invalid: 400,
  not_found: 404,
  conflict: 409,
  denied: 403,
  unsupported: 501,
  exhausted: 500,
  unavailable: 503,
  cancelled: 500,
  corrupt: 500,
  internal: 500,
};

/**
 * Where moby's status is not that of the kind: it does not classify what storage, plugins and
 * registries answer.
 */
const statusOfCode: Readonly<Partial<Record<ErrorCode, number>>> = {
  "volume.data_foreign": 500,
  "volume.unknown": 500,
  "volume.mount_failed": 500,
  "volume.unmount_failed": 500,
  "storage.failed": 500,
  "storage.read_only": 500,
  "host.denied": 500,
  "plugin.config_invalid": 500,
  "plugin.privileges": 500,
  "plugin.setting_invalid": 500,
  "plugin.start_failed": 500,
  "plugin.unreachable": 500,
  "plugin.failed": 500,
  "registry.unreachable": 500,
  "registry.denied": 500,
  "registry.not_found": 500,
  "registry.failed": 500,
  "remote.test_failed": 500,
  "remote.unreachable": 500,
  "remote.denied": 500,
  "remote.not_found": 500,
};

/** The status that a Docker route answers for an error. */
export function dockerStatus(error: EngineError): number {
  return statusOfCode[error.code] ?? statusOfKind[error.kind];
}
