// An operation for tests that call a part directly: no log, no deadline of its own.
import type { OperationId } from "../../src/core/names.ts";
import { type Operation, silentLog, systemCaller } from "../../src/core/operation.ts";

/** `signal` ends it. */
export function testOperation(signal = new AbortController().signal): Operation {
  // The id is read by nobody here.
  return { id: "test" as OperationId, caller: systemCaller, signal, log: silentLog };
}
