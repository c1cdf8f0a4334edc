// The containers' socket: locks of the caller's own volumes, and nothing else.
//
// Who calls is what the kernel says of the process that connected, asked anew for each request.
import type { Host } from "../../core/host.ts";
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
import { Door } from "./door.ts";
import { Shares } from "./shares.ts";

/** The longest request that makes sense is some hundred. */
export const LOCK_BODY_BYTES_MAX = 4_096;

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
  readonly host: Pick<Host, "monotonicMs">;
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
  const counts = new InsideCounts(locks);
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
  return {
    handler: handlerOf(() => face, { ...parts, operation }),
    admit: (peer, descriptor) => door.admit(peer, descriptor),
  };
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
