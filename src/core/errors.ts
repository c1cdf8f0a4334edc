// The error that crosses borders, and how failed system calls are called in the table.
import { type ErrorCode, type ErrorKind, errorTable } from "./error-table.ts";

/** Machine-readable facts beside the message. Never secrets. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/**
 * The only error that crosses a border between layers. `message` names the field, the value and the
 * rule where there is one; the way out is the table's `recovery`. Clients print it as it comes: who
 * quotes a server, a program or the name of a file does so by `saidBy` of printable.ts.
 */
export class EngineError extends Error {
  override readonly name = "EngineError";
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly details?: ErrorDetails } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  get kind(): ErrorKind {
    return errorTable[this.code].kind;
  }

  get recovery(): string {
    return errorTable[this.code].recovery;
  }
}

/**
 * Makes any thrown value an `EngineError`: what is not one already is `internal.bug`, with its
 * cause.
 */
export function toEngineError(thrown: unknown): EngineError {
  if (thrown instanceof EngineError) return thrown;
  return new EngineError("internal.bug", messageOf(thrown), { cause: thrown });
}

/** What a thrown value says, whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** What node's file system functions throw. */
interface ErrnoError extends Error {
  readonly code: string;
}

/** Whether a thrown value is a failed system call with this errno name, for example "ENOENT". */
export function isErrno(thrown: unknown, code: string): thrown is ErrnoError {
  return thrown instanceof Error && "code" in thrown && thrown.code === code;
}

const errnoCodes: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: "storage.full",
  EDQUOT: "storage.full",
  EROFS: "storage.read_only",
  EACCES: "host.denied",
  EPERM: "host.denied",
};

/** What a failed system call on our own storage is called in the table. */
export function storageCode(thrown: unknown): ErrorCode {
  return errnoCodes[errnoOf(thrown)] ?? "storage.failed";
}

/**
 * A failed system call on our own storage as an `EngineError`; `doing` completes "error while …".
 */
export function storageError(thrown: unknown, doing: string): EngineError {
  if (thrown instanceof EngineError) return thrown;
  return new EngineError(storageCode(thrown), `error while ${doing}: ${messageOf(thrown)}`, {
    cause: thrown,
    details: { errno: errnoOf(thrown) },
  });
}

/** The code that a failed call has, for example "ENOENT" or "Z_DATA_ERROR"; "": none. */
export function errnoOf(thrown: unknown): string {
  return thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
}
