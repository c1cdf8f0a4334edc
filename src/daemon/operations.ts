// Operations: one for each request, and those of the daemon's own account.
import { makeOperationId, type OperationId } from "../core/names.ts";
import { type Caller, type Log, type Operation, systemCaller } from "../core/operation.ts";
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

  /** The hot path: a log is bound only when somebody logs. */
  ofRequest(request: HttpRequest): Operation {
    const { peer } = request;
    const caller: Caller = peer === undefined ? systemCaller : { kind: "process", ...peer };
    return new LazyOperation(this.#nextId(), caller, this.#logger);
  }

  ofSystem(): Operation {
    return new LazyOperation(this.#nextId(), systemCaller, this.#logger);
  }

  #nextId(): OperationId {
    this.#count += 1;
    return makeOperationId(`${this.#bootId}-${this.#count.toString(36)}`);
  }
}

class LazyOperation implements Operation {
  readonly id: OperationId;
  readonly caller: Caller;
  readonly signal = never;
  readonly #logger: Logger;
  #log: Log | undefined;

  constructor(id: OperationId, caller: Caller, logger: Logger) {
    this.id = id;
    this.caller = caller;
    this.#logger = logger;
  }

  get log(): Log {
    this.#log ??= this.#logger.bind({ operation: this.id, caller: this.caller });
    return this.#log;
  }
}
