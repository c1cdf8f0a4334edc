// Which refusals the log has too.
import { type EngineError, toEngineError } from "../core/errors.ts";
import type { RouteContext } from "./handler.ts";

/**
 * What was thrown, as it is to be worded; logged, if an operator must know it as well as whoever
 * gets the refusal.
 */
export function reportRefusal(thrown: unknown, context: RouteContext): EngineError {
  const error = toEngineError(thrown);
  log(error, context);
  return error;
}

function log(error: EngineError, { request, operation }: RouteContext): void {
  const path = withoutIds(request.path);
  const fields = { method: request.method, path, code: error.code };
  switch (error.kind) {
    case "internal":
    case "corrupt":
      operation.log.error(error.message, { ...fields, stack: error.stack, cause: error.cause });
      return;
    case "denied":
    case "exhausted":
    case "unavailable":
      operation.log.warn(error.message, fields);
      return;
    case "cancelled":
    case "conflict":
    case "invalid":
    case "not_found":
    case "unsupported":
      operation.log.debug(error.message, fields);
      return;
    default:
      error.kind satisfies never;
  }
}

/** Whoever knows a lock's id may let it go: it is in no log. */
function withoutIds(path: string): string {
  return path.replace(/\/leases\/[^/]+/, "/leases/…");
}
