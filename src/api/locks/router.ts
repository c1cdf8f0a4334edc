// The containers' socket: locks of the caller's own volumes, and nothing else.
//
// Who calls is what the kernel says of the process that connected, asked anew for each request.
import { EngineError } from "../../core/errors.ts";
import type { Host, KeptProcess } from "../../core/host.ts";
import type { Log, Operation } from "../../core/operation.ts";
import type { Engine } from "../../engine/engine.ts";
import { InsideCounts, insideLocks } from "../../engine/inside-locks.ts";
import type { InsideCaller } from "../../engine/lock-sight.ts";
import { pause } from "../../engine/pause.ts";
import type { Handler, HttpRequest, Peer } from "../../http/message.ts";
import type { Counts } from "../counts.ts";
import { type ApiFace, type ApiParts, handlerOf } from "../handler.ts";
import { commonLockRoutes } from "../holdfast/lock-contract.ts";
import { commonLockHandlers } from "../holdfast/locks.ts";
import { OWN_PREFIX, type RouteContract } from "../holdfast/route-contract.ts";
import { routeFace } from "../holdfast/routing.ts";
import { Shares } from "./shares.ts";

/** The longest request that makes sense is some hundred. */
export const LOCK_BODY_BYTES_MAX = 4_096;

const contract = {
  ...commonLockRoutes,
  /** For whoever looks around with curl. */
  root: { ...commonLockRoutes.locks, path: "/" },
} as const satisfies Readonly<Record<string, RouteContract>>;

/** A process that connects often is looked at once in so many milliseconds, to count it. */
const KEY_MS = 1_000;
const KEY_COUNT_MAX = 1_024;

export interface LocksFaceParts {
  readonly engine: Pick<Engine, "locks" | "lockSight" | "volumes">;
  /** The operation of a request: its caller, its id, its log. */
  readonly operation: ApiParts["operation"];
  readonly counts?: Counts;
  readonly host: Pick<Host, "monotonicMs">;
}

/** One connection: who made it, with what he had at its last request, and what answers him. */
interface Visit {
  caller: InsideCaller;
  readonly handlers: ReturnType<typeof commonLockHandlers>;
}

/**
 * The handler of the socket, and what decides on each new connection. The server must know its
 * peers' `start`.
 */
export function makeLocksFace(parts: LocksFaceParts): {
  readonly handler: Handler;
  readonly admit: (peer: Peer | undefined) => (() => void) | string;
} {
  const { engine, host } = parts;
  const { lockSight, locks, volumes } = engine;
  const shares = new Shares(() => host.monotonicMs());
  const counts = new InsideCounts(locks);
  const visits = new WeakMap<Peer, Visit>();

  const visitOf = ({ peer }: HttpRequest): Visit => {
    const caller = lockSight.callerOf(processOf(peer));
    const known = peer === undefined ? undefined : visits.get(peer);
    if (known !== undefined) return Object.assign(known, { caller });
    const visit: Visit = {
      caller,
      handlers: commonLockHandlers(
        insideLocks({
          ...{ locks, counts, caller: () => visit.caller },
          resolve: (name) => volumes.resolve(name),
        }),
      ),
    };
    if (peer !== undefined) visits.set(peer, visit);
    return visit;
  };

  const routes = routeFace({
    contract,
    handlers: ({ request }) => {
      const { handlers, caller } = visitOf(request);
      const locks = () => ({ ...volumesObject(caller), ...handlers.locks() });
      return { ...handlers, locks, root: locks };
    },
    hint: `${OWN_PREFIX}locks shows your volumes and their locks`,
  });
  const face: ApiFace = {
    ...routes,
    answer(context) {
      const waitMs = shares.turn(visitOf(context.request).caller);
      return waitMs === 0
        ? routes.answer(context)
        : pause(waitMs).then(() => routes.answer(context));
    },
  };
  const operation = (request: HttpRequest) => quiet(parts.operation(request), shares);
  const keys = new RecentKeys(lockSight, host);
  return {
    handler: handlerOf(() => face, { ...parts, operation }),
    admit(peer) {
      const answer = shares.connect(keys.of(peer));
      if (typeof answer === "string") parts.counts?.addError("lock.too_many");
      return answer;
    },
  };
}

function processOf(peer: Peer | undefined): KeptProcess {
  if (peer?.start !== undefined && peer.pid !== 0) return { pid: peer.pid, start: peer.start };
  throw new EngineError(
    "lock.no_volume",
    "this socket serves containers that have a volume of Holdfast: the process that connected is gone",
  );
}

function volumesObject({ volumes }: InsideCaller): object {
  return {
    volumes: volumes.map(({ volume, target, isReadOnly }) => ({
      ...{ volume, target, access: isReadOnly ? "ro" : "rw" },
    })),
  };
}

/** Refusals are the container's own affair: a few of them in the log say that there are some. */
function quiet(operation: Operation, shares: Shares): Operation {
  const { log } = operation;
  const limited: Log = {
    debug: (message, fields) => log.debug(message, fields),
    info: (message, fields) => log.info(message, fields),
    warn: (message, fields) => (shares.mayLog() ? log.warn(message, fields) : undefined),
    error: (message, fields) => log.error(message, fields),
  };
  const { id, caller, signal } = operation;
  return { id, caller, signal, log: limited };
}

/** By what processes are counted: a thousand connections of one cost one look. */
class RecentKeys {
  readonly #sight: Engine["lockSight"];
  readonly #host: Pick<Host, "monotonicMs">;
  readonly #known = new Map<string, { readonly key: string | undefined; readonly atMs: number }>();

  constructor(sight: Engine["lockSight"], host: Pick<Host, "monotonicMs">) {
    this.#sight = sight;
    this.#host = host;
  }

  /** undefined: somebody without a volume. */
  of(peer: Peer | undefined): Pick<InsideCaller, "key"> | undefined {
    if (peer?.start === undefined) return undefined;
    const process = `${peer.pid} ${peer.start}`;
    const nowMs = this.#host.monotonicMs();
    const known = this.#known.get(process);
    if (known !== undefined && nowMs - known.atMs < KEY_MS) return keyOf(known.key);
    const key = this.#look({ pid: peer.pid, start: peer.start });
    this.#known.delete(process);
    const [oldest] = this.#known.keys();
    if (oldest !== undefined && this.#known.size >= KEY_COUNT_MAX) this.#known.delete(oldest);
    this.#known.set(process, { key, atMs: nowMs });
    return keyOf(key);
  }

  #look(process: KeptProcess): string | undefined {
    try {
      return this.#sight.callerOf(process).key;
    } catch {
      // What it lacks is told with its first request.
      return undefined;
    }
  }
}

function keyOf(key: string | undefined): Pick<InsideCaller, "key"> | undefined {
  return key === undefined ? undefined : { key };
}
