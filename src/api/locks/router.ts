// The containers' socket: locks of the caller's own volumes, and nothing else.
//
// Who calls is what the kernel says of the process that connected, asked anew for each request.
import { EngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { Log, Operation } from "../../core/operation.ts";
import type { Engine } from "../../engine/engine.ts";
import { insideLocks } from "../../engine/locks/inside-locks.ts";
import type { InsideCaller } from "../../engine/locks/lock-sight.ts";
import { pause } from "../../engine/pause.ts";
import type { Handler, HttpRequest, Peer } from "../../http/message.ts";
import type { Counts } from "../counts.ts";
import { type ApiFace, type ApiParts, handlerOf } from "../handler.ts";
import { commonLockRoutes } from "../holdfast/lock-contract.ts";
import { commonLockHandlers } from "../holdfast/locks.ts";
import { OWN_PREFIX, type RouteContract } from "../holdfast/route-contract.ts";
import { routeFace } from "../holdfast/routing.ts";
import { Door } from "./door.ts";
import { Shares } from "./shares.ts";

/** The longest request that makes sense is some hundred. */
export const LOCK_BODY_BYTES_MAX = 4_096;

/** Whoever may mount can have one volume in ten thousand places. */
const SHOWN_COUNT_MAX = 256;

const contract = {
  ...commonLockRoutes,
  /** For whoever looks around with curl. */
  root: { ...commonLockRoutes.locks, path: "/" },
} as const satisfies Readonly<Record<string, RouteContract>>;

export interface LocksFaceParts {
  readonly engine: Pick<Engine, "locks" | "lockSight" | "volumes">;
  /** The operation of a request: its caller, its id, its log. */
  readonly operation: ApiParts["operation"];
  readonly counts?: Counts;
  readonly host: Pick<Host, "monotonicMs" | "containerOf">;
  /** When the process began that connected; undefined: it is gone. See `Host.processStart`. */
  readonly startOfPeer: (descriptor: number, pid: number) => string | undefined;
}

export interface LocksServing {
  readonly handler: Handler;
  /** See `HttpServerParts.admit`. */
  readonly admit: (peer: Peer | undefined, descriptor: number) => (() => void) | string;
}

/** One connection: who made it, with what he had at its last request, and what answers him. */
interface Visit {
  caller: InsideCaller;
  readonly handlers: ReturnType<typeof commonLockHandlers>;
}

/** The handler of the socket, and what decides on each new connection. */
export function makeLocksFace(parts: LocksFaceParts): LocksServing {
  const { engine, host } = parts;
  const { lockSight, locks, volumes } = engine;
  const shares = new Shares(() => host.monotonicMs());
  const visits = new WeakMap<Peer, Visit>();

  const door = new Door(parts, shares);

  const visitOf = ({ peer }: HttpRequest): Visit => {
    const caller = lockSight.callerOf(door.processOf(peer));
    const known = peer === undefined ? undefined : visits.get(peer);
    if (known !== undefined) return Object.assign(known, { caller });
    const visit: Visit = {
      caller,
      handlers: commonLockHandlers(
        insideLocks({
          ...{ locks, caller: () => visit.caller },
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
      const key = door.keyOf(context.request.peer);
      const answer = () => {
        const startedMs = host.monotonicMs();
        try {
          return routes.answer(context);
        } finally {
          shares.charge(key, host.monotonicMs() - startedMs);
        }
      };
      const waitMs = shares.turn(key);
      if (waitMs === 0) return answer();
      return ownTurn({ shares, key, waitMs }, context.request).then(answer);
    },
  };
  const operation = (request: HttpRequest) => quiet(parts.operation(request), shares);
  return {
    handler: handlerOf(() => face, { ...parts, operation }),
    admit: (peer, descriptor) => door.admit(peer, descriptor),
  };
}

/** Rejects when the client goes away meanwhile: who asks again and again waits once. */
async function ownTurn(
  { shares, key, waitMs }: { readonly shares: Shares; readonly key: string; waitMs: number },
  { connectionClosed }: HttpRequest,
): Promise<void> {
  for (let ms = waitMs; ms > 0; ms = shares.turn(key)) {
    await pause(ms);
    if (connectionClosed.aborted) {
      throw new EngineError("operation.cancelled", "the client has gone");
    }
  }
}

function volumesObject({ volumes }: InsideCaller): object {
  return {
    volumes: volumes.slice(0, SHOWN_COUNT_MAX).map(({ volume, target, isReadOnly }) => ({
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
