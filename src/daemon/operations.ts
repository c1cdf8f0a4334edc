// Operations: one for each request, and those of the daemon's own account.
import { makeOperationId, type OperationId } from "../core/names.ts";
import {
  type Caller,
  type Log,
  type LogFields,
  type Operation,
  systemCaller,
} from "../core/operation.ts";
import type { Logger } from "../host/logs.ts";
import type { HttpRequest } from "../http/message.ts";

/** Fires never: what a client has asked for is done also when the client has gone away. */
const never = new AbortController().signal;

/** Makes operations of one daemon. Ids are unique in a life; the boot's id sets lives apart. */
export class Operations {
  readonly #logger: Logger;
  readonly #bootId: string;
  #count = 0;

  constructor(logger: Logger, bootId: string) {
    this.#logger = logger;
    this.#bootId = bootId;
  }

  /** How many operations there were. */
  get count(): number {
    return this.#count;
  }

  /** The hot path: a log is bound only when somebody logs. */
  ofRequest(request: HttpRequest): Operation {
    return new RequestOperation(this.#nextId(), callerOf(request), this.#logger);
  }

  ofSystem(): Operation {
    return new RequestOperation(this.#nextId(), systemCaller, this.#logger);
  }

  #nextId(): OperationId {
    this.#count += 1;
    return makeOperationId(`${this.#bootId}-${this.#count.toString(36)}`);
  }
}

function callerOf({ peer }: HttpRequest): Caller {
  if (peer === undefined) return systemCaller;
  const { uid, gid, pid } = peer;
  return { kind: "process", uid, gid, pid };
}

/** All members are its own: layers hand on copies of an operation with another signal. */
class RequestOperation implements Operation {
  readonly id: OperationId;
  readonly caller: Caller;
  readonly signal = never;
  readonly log: Log;

  constructor(id: OperationId, caller: Caller, logger: Logger) {
    this.id = id;
    this.caller = caller;
    this.log = new LazyLog(logger, id, caller);
  }
}

/** Bound to its operation when the first line is written. */
class LazyLog implements Log {
  readonly #logger: Logger;
  readonly #operation: OperationId;
  readonly #caller: Caller;
  #log: Log | undefined;

  constructor(logger: Logger, operation: OperationId, caller: Caller) {
    this.#logger = logger;
    this.#operation = operation;
    this.#caller = caller;
  }

  debug(message: string, fields?: LogFields): void {
    this.#bound().debug(message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#bound().info(message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#bound().warn(message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#bound().error(message, fields);
  }

  #bound(): Log {
    this.#log ??= this.#logger.bind({ operation: this.#operation, caller: this.#caller });
    return this.#log;
  }
}
