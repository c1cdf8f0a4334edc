// The locks as a container has them: those of its own volumes, and of others' holders the labels.
//
// What a container hears of others is what they said for it to hear. No process, program, container
// or name of a host's administrator goes in.
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { InsideCaller } from "./lock-sight.ts";
import { waitedText } from "./lock-words.ts";
import type { LockLease, LockRequest, LocksFace, LockView } from "./locks-face.ts";

export interface InsideLocksParts {
  readonly locks: LocksFace;
  /** The volume that a name or an alias means. */
  readonly resolve: (name: string) => string;
  /** Who asks, with what he has at this moment. Throws `lock.no_volume`. */
  readonly caller: () => InsideCaller;
}

/** All volumes that are not the caller's own are as good as none: `volume.not_found`. */
export function insideLocks(parts: InsideLocksParts): LocksFace {
  const { locks } = parts;
  const lostWords = (lost: LockRequest["lost"]) =>
    lost === undefined ? undefined : (reason: EngineError) => lost(withoutNames(reason));
  return {
    async acquire(request, operation) {
      const { key, volume } = ownVolume(parts, request.volume);
      if (request.pid !== undefined) throw noPid(request.pid);
      try {
        const own = { ...request, volume, share: key, lost: lostWords(request.lost) };
        return await locks.acquire(own, operation);
      } catch (thrown) {
        throw refusal(parts, { ...request, volume }, toEngineError(thrown));
      }
    },
    resume: (lease, lost) => worded(() => locks.resume(ownLease(parts, lease), lostWords(lost))),
    // Also when the container, whose connection has ended, has its volumes no more.
    leave: (granted) => locks.leave(granted),
    renew: async (lease, ttlMs) => {
      const own = ownLease(parts, lease);
      return await locks.renew(own, ttlMs).catch((thrown: unknown) => rethrow(thrown));
    },
    release: async (lease) => {
      const own = ownLease(parts, lease);
      await locks.release(own).catch((thrown: unknown) => rethrow(thrown));
    },
    list(name) {
      const caller = parts.caller();
      const names = name === undefined ? volumesOf(caller) : [ownVolume(parts, name).volume];
      return names.flatMap((volume) => locks.list(volume)).map((view) => shown(view, caller));
    },
  };
}

function volumesOf({ volumes }: InsideCaller): readonly string[] {
  return [...new Set(volumes.map(({ volume }) => volume))];
}

function ownVolume({ caller, resolve }: InsideLocksParts, name: string) {
  const { key, volumes } = caller();
  const real = resolve(name);
  if (volumes.some(({ volume }) => volume === real)) return { key, volume: real };
  // As for a volume that there is not: whether there is one is not told.
  throw new EngineError("volume.not_found", `get ${name}: this container has no such volume`, {
    details: { name },
  });
}

function ownLease(parts: InsideLocksParts, lease: LockLease): LockLease {
  return { ...lease, volume: ownVolume(parts, lease.volume).volume };
}

/** Of holders in other containers, and on the host, only what they call themselves. */
function shown(view: LockView, { container }: InsideCaller): LockView {
  const { holder } = view;
  if (container !== null && holder.container === container) {
    // Its number is the host's: inside it would mean another process.
    return { ...view, holder: { ...holder, pid: 0 }, containerName: null };
  }
  const stranger = { pid: 0, program: "", label: holder.label, container: null };
  return { ...view, holder: stranger, containerName: null };
}

/** A refusal in words for containers: who has the lock is told as `shown` does. */
function refusal(
  { locks }: InsideLocksParts,
  { volume, lock, waitMs }: Pick<LockRequest, "volume" | "lock" | "waitMs">,
  error: EngineError,
): EngineError {
  if (error.code !== "lock.timed_out") return withoutNames(error);
  const who = labelOf(locks, volume, lock) || "somebody";
  const words = `${waitedText(waitMs)}${who} has lock ${lock} of ${volume}`;
  return new EngineError("lock.timed_out", words, { cause: error, details: { volume, lock } });
}

/** What its first holder calls itself; "": nothing, or nobody has it. */
function labelOf(locks: LocksFace, volume: string, lock: string): string {
  try {
    return locks.list(volume).find((view) => view.lock === lock)?.holder.label ?? "";
  } catch {
    // The volume went meanwhile.
    return "";
  }
}

/** Who took it away is an administrator's name and process. */
function withoutNames(error: EngineError): EngineError {
  if (error.code !== "lock.stolen") return error;
  const { volume, lock } = error.details;
  const words = `lock ${String(lock)} of ${String(volume)} was taken away by an administrator`;
  return new EngineError("lock.stolen", words, { cause: error, details: { volume, lock } });
}

function worded<T>(call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    return rethrow(thrown);
  }
}

function rethrow(thrown: unknown): never {
  throw withoutNames(toEngineError(thrown));
}

function noPid(value: number): EngineError {
  return new EngineError(
    "request.invalid",
    `pid ${value}: a container's processes have other numbers on the host: without it the ` +
      "process that connected is meant",
    { details: { field: "pid", value } },
  );
}
