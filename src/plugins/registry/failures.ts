// What goes wrong on the way to a registry, in Docker's words, and what it means for the next step.
import { EngineError, isErrno } from "../../core/errors.ts";

/**
 * "certificate": it is not who it should be. "protocol": it does not speak TLS, or not HTTP.
 * "refused": nobody is there. "cut": the connection ended. "silent": nothing came in time.
 */
export type FailureReason = "certificate" | "protocol" | "refused" | "cut" | "silent";

const protocolCodes = /^(?:EPROTO|ERR_SSL_|HPE_)/;
const certificateCodes = /CERT|SIGNED|VERIFY|ISSUER|CRL|HOSTNAME/;
const refusedCodes = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EADDRNOTAVAIL",
  "EINVAL",
]);

/** Where a request was when it failed. */
export interface FailedRequest {
  readonly method: string;
  /** Shown without its query, which may hold a signature. */
  readonly url: URL;
  /** TLS had not been agreed upon. */
  readonly isConnecting: boolean;
}

/** A failed exchange as `registry.unreachable`, with its reason. */
export function exchangeError(request: FailedRequest, thrown: unknown): EngineError {
  const reason = reasonOf(request, thrown);
  return failure(request, reason, textOf(request, reason, thrown), thrown);
}

/** Nothing came in time. */
export function silence(request: FailedRequest): EngineError {
  const text = request.isConnecting
    ? `dial tcp ${request.url.host}: i/o timeout`
    : "timeout awaiting response";
  return failure(request, "silent", text, undefined);
}

/** An answer that ended before it was whole. */
export function cutShort(request: FailedRequest, text: string): EngineError {
  return failure(request, "cut", text, undefined);
}

/** Why an exchange failed; undefined for errors that are of another kind. */
export function failureReason(error: unknown): FailureReason | undefined {
  if (!(error instanceof EngineError) || error.code !== "registry.unreachable") return undefined;
  const { reason } = error.details;
  return isReason(reason) ? reason : undefined;
}

/** Whether the same request may work a moment later. */
export function isPassing(error: unknown): boolean {
  const reason = failureReason(error);
  return reason === "cut" || reason === "silent";
}

/** The same error with what was being done in front, as Docker puts it. */
export function whileDoing(doing: string, thrown: unknown): unknown {
  if (!(thrown instanceof EngineError) || thrown.message.startsWith(doing)) return thrown;
  const { code, message, details, cause } = thrown;
  return code.startsWith("registry.") || code === "plugin.image_invalid"
    ? new EngineError(code, `${doing}: ${message}`, { cause, details })
    : thrown;
}

/** `https://host/path`, as it may be printed. */
export function printable(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

function failure(
  { method, url }: FailedRequest,
  reason: FailureReason,
  text: string,
  cause: unknown,
): EngineError {
  const verb = method.charAt(0) + method.slice(1).toLowerCase();
  const message = `failed to do request: ${verb} "${printable(url)}": ${text}`;
  return new EngineError("registry.unreachable", message, {
    cause,
    details: { reason, host: url.host },
  });
}

function isReason(value: unknown): value is FailureReason {
  return ["certificate", "protocol", "refused", "cut", "silent"].some((one) => one === value);
}

function reasonOf({ url, isConnecting }: FailedRequest, thrown: unknown): FailureReason {
  const code = codeOf(thrown);
  if (refusedCodes.has(code)) return "refused";
  if (code === "ETIMEDOUT") return "silent";
  if (protocolCodes.test(code)) return "protocol";
  if (certificateCodes.test(code)) return "certificate";
  // A server that knows no TLS may also just hang up on what it cannot read.
  return isConnecting && url.protocol === "https:" ? "protocol" : "cut";
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
}

function textOf(request: FailedRequest, reason: FailureReason, thrown: unknown): string {
  const { hostname, host } = request.url;
  const given = thrown instanceof Error ? thrown.message : String(thrown);
  const address = /(\S+:\d+)$/.exec(given)?.[1] ?? host;
  if (isErrno(thrown, "ECONNREFUSED")) return `dial tcp ${address}: connect: connection refused`;
  if (isErrno(thrown, "ENOTFOUND")) return `dial tcp: lookup ${hostname}: no such host`;
  if (isErrno(thrown, "EAI_AGAIN")) {
    return `dial tcp: lookup ${hostname}: Temporary failure in name resolution`;
  }
  if (isErrno(thrown, "EHOSTUNREACH")) return `dial tcp ${address}: connect: no route to host`;
  if (isErrno(thrown, "ENETUNREACH")) {
    return `dial tcp ${address}: connect: network is unreachable`;
  }
  if (reason === "certificate") return certificateText(thrown, hostname);
  if (reason === "protocol") return protocolText(thrown, given);
  if (reason === "cut") return isErrno(thrown, "ECONNRESET") ? "unexpected EOF" : given;
  return given;
}

function protocolText(thrown: unknown, given: string): string {
  const code = codeOf(thrown);
  if (/wrong.version.number|http.request/i.test(`${code} ${given}`)) {
    return "http: server gave HTTP response to HTTPS client";
  }
  if (code.startsWith("HPE_")) return "malformed HTTP response";
  if (code === "ECONNRESET") return "EOF";
  return `remote error: tls: ${code
    .replace(/^ERR_SSL_/, "")
    .replaceAll("_", " ")
    .toLowerCase()}`;
}

function certificateText(thrown: unknown, hostname: string): string {
  const code = codeOf(thrown);
  if (/ALTNAME|HOSTNAME/.test(code)) return `x509: certificate is not valid for ${hostname}`;
  if (/EXPIRED|NOT_YET_VALID/.test(code)) {
    return "x509: certificate has expired or is not yet valid";
  }
  return "x509: certificate signed by unknown authority";
}
