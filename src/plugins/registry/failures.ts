// What goes wrong on the way to a registry, in Docker's words, and what it means for the next step.
import { EngineError, isErrno } from "../../core/errors.ts";

/**
 * "refused": nobody is there. "no-tls": it does not speak TLS. "tls": it does, and is not who it
 * should be, or does not accept us. "malformed": no HTTP. "cut": the connection ended. "silent":
 * nothing came in time.
 */
const failureReasons = ["refused", "no-tls", "tls", "malformed", "cut", "silent"] as const;

export type FailureReason = (typeof failureReasons)[number];

/** Node says EPROTO for both; the text tells. */
const noTls = /wrong.version.number|http.request/i;
const tlsCodes = /^EPROTO$|^ERR_SSL_|CERT|SIGNED|VERIFY|ISSUER|CRL|HOSTNAME/;
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

/** Statuses that say «later». 501 and 505 will not change. */
export const passingStatuses: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);

/** Whether the same request may work a moment later. */
export function isPassing(error: unknown): boolean {
  const reason = failureReason(error);
  if (reason === "cut" || reason === "silent") return true;
  if (!(error instanceof EngineError) || error.code !== "registry.failed") return false;
  const { status } = error.details;
  return typeof status === "number" && passingStatuses.has(status);
}

/** Whether the other side said nothing for as long as it may. */
export function isSilence(error: unknown): boolean {
  return failureReason(error) === "silent";
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
  return failureReasons.some((one) => one === value);
}

function reasonOf({ url, isConnecting }: FailedRequest, thrown: unknown): FailureReason {
  const code = codeOf(thrown);
  if (refusedCodes.has(code)) return "refused";
  if (code === "ETIMEDOUT") return "silent";
  if (code.startsWith("HPE_")) return "malformed";
  if (noTls.test(`${code} ${messageOf(thrown)}`)) return "no-tls";
  if (tlsCodes.test(code)) return "tls";
  // A server that knows no TLS may also just hang up on what it cannot read.
  return isConnecting && url.protocol === "https:" ? "no-tls" : "cut";
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
}

function textOf(request: FailedRequest, reason: FailureReason, thrown: unknown): string {
  const { hostname, host } = request.url;
  const given = messageOf(thrown);
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
  if (reason === "tls") return tlsText(thrown, hostname);
  if (reason === "malformed") return "malformed HTTP response";
  if (reason === "no-tls" && noTls.test(`${codeOf(thrown)} ${given}`)) {
    return "http: server gave HTTP response to HTTPS client";
  }
  return reason === "cut" || reason === "no-tls" ? "unexpected EOF" : given;
}

function tlsText(thrown: unknown, hostname: string): string {
  const code = codeOf(thrown);
  if (/ALTNAME|HOSTNAME/.test(code)) return `x509: certificate is not valid for ${hostname}`;
  if (/EXPIRED|NOT_YET_VALID/.test(code)) {
    return "x509: certificate has expired or is not yet valid";
  }
  if (/^(?:EPROTO$|ERR_SSL_)/.test(code)) {
    const alert = /ALERT_(\w+)/i.exec(code)?.[1] ?? "handshake failure";
    return `remote error: tls: ${alert.replaceAll("_", " ").toLowerCase()}`;
  }
  return "x509: certificate signed by unknown authority";
}
