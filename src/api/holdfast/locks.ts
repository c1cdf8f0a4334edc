// The routes of locks. Those that containers may use are made over any view of the locks.
import { EngineError } from "../../core/errors.ts";
import { type LeaseMode, leaseModes } from "../../core/lease-service.ts";
import { LOCK_TTL_MS, type LockBond } from "../../core/lock.ts";
import type { Operation } from "../../core/operation.ts";
import type { Engine } from "../../engine/engine.ts";
import type {
  GrantedLock,
  LockLease,
  LockRequest,
  LocksFace,
  LockView,
} from "../../engine/locks/locks-face.ts";
import { instantOf } from "../holder-objects.ts";
import { type Call, invalid } from "./call.ts";
import { LockRoom } from "./lock-room.ts";
import { holdStreams } from "./lock-streams.ts";

/** The handlers of `commonLockRoutes` and `stealLock`. */
export function lockHandlers({ locks }: Engine, room: LockRoom) {
  return {
    ...commonLockHandlers(locks, room),
    stealLock: async ({ path, query, context }: Call) => {
      const where = { volume: path["name"] ?? "", lock: path["lock"] ?? "" };
      await locks.steal(where, fenceOf(query), context.operation);
    },
  };
}

/** Each sees and locks what its face lets it; by default on as many connections as there are. */
export function commonLockHandlers(locks: LocksFace, room = new LockRoom(Infinity)) {
  return {
    locks: () => ({ locks: locks.list().map(viewObject) }),
    volumeLocks: ({ path }: Call) => ({ locks: locks.list(path["name"] ?? "").map(viewObject) }),
    acquireLock: (call: Call) => acquire(locks, room, call),
    holdLock: holdStreams(locks, { requestOf, grantedObject, room }),
    renewLock: async ({ path, body }: Call) => {
      const ttl = body.count("ttl");
      const renewed = await locks.renew(leaseOf(path), ttl === undefined ? ttl : ttl * 1_000);
      return grantedObject(renewed);
    },
    releaseLock: async ({ path }: Call) => {
      await locks.release(leaseOf(path));
    },
  };
}

/** A client that goes away meanwhile waits no longer, and gets no lock that it does not know of. */
async function acquire(locks: LocksFace, room: LockRoom, call: Call): Promise<object> {
  const { request, operation } = call.context;
  const wanted = { ...requestOf(call, bondOf(call)), id: idOf(call) };
  const granted =
    wanted.waitMs > 0
      ? await acquireInTime(locks, room, wanted, {
          ...operation,
          signal: request.connectionClosed,
        })
      : await locks.acquire(wanted, operation);
  // Behind this the answer is written in the same turn.
  if (request.isClientGone) {
    await locks.release(granted);
    throw new EngineError("operation.cancelled", "the client has gone");
  }
  return grantedObject(granted);
}

async function acquireInTime(
  locks: LocksFace,
  room: LockRoom,
  wanted: LockRequest,
  operation: Operation,
): Promise<GrantedLock> {
  const leave = room.enter();
  try {
    return await locks.acquire(wanted, operation);
  } finally {
    leave();
  }
}

function requestOf({ path, body }: Call, bond: LockBond): LockRequest {
  const ttl = body.count("ttl");
  return {
    volume: path["name"] ?? "",
    lock: path["lock"] ?? "",
    mode: modeOf(body.text("mode")),
    ttlMs: ttl === undefined ? LOCK_TTL_MS : ttl * 1_000,
    waitMs: (body.count("wait") ?? 0) * 1_000,
    label: body.text("label") ?? "",
    bond,
    pid: body.count("pid"),
  };
}

function modeOf(text = "exclusive"): LeaseMode {
  const mode = leaseModes.find((each) => each === text);
  if (mode !== undefined) return mode;
  throw invalid("mode", text, `${leaseModes.join(" or ")} is needed`);
}

function bondOf({ body }: Call): LockBond {
  const text = body.text("bond") ?? "none";
  if (text === "process" || text === "none") return text;
  throw invalid("bond", text, "process or none is needed");
}

function idOf({ body }: Call): string | undefined {
  const text = body.text("id");
  if (text === undefined || /^[0-9a-f]{32}$/.test(text)) return text;
  // It may be one that opens a lock: it is not repeated.
  throw invalid("id", undefined, "32 hex digits are needed, in lower case");
}

function leaseOf(path: Call["path"]): LockLease {
  return { volume: path["name"] ?? "", lock: path["lock"] ?? "", id: path["id"] ?? "" };
}

function fenceOf(query: URLSearchParams): bigint {
  const text = query.get("fence");
  if (text !== null && /^\d{1,20}$/.test(text)) return BigInt(text);
  throw invalid("fence", text, "the fence of the grant that is to end is needed: a whole number");
}

/** The contract's lease. */
function grantedObject(granted: GrantedLock): object {
  const { id, volume, lock, mode } = granted;
  const fence = String(granted.fence);
  const since = instantOf(granted.sinceMs);
  return { id, volume, lock, mode, fence, since, expires: instantOf(granted.expiresAtMs) };
}

function viewObject({ volume, lock, mode, fence, holder, ...more }: LockView): object {
  const { pid, program, label, container } = holder;
  return {
    ...{ volume, lock, mode },
    fence: String(fence),
    holder: { pid, program, label, container, name: more.containerName },
    since: instantOf(more.sinceMs),
    expires: instantOf(more.expiresAtMs),
    waiting: more.waitingCount,
  };
}
