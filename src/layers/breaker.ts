// Storage that falls silent again and again is given a rest: calls are refused at once, not late.
//
// Only silence counts (`silentCodes`). A driver that says no, not found, in use, or what mount(8)
// said has answered, and the next caller is to read those words too. The ways out are never
// refused (`waysOut`): a volume that rests can be removed.
import type { Every, VolumeDriver } from "../core/driver.ts";
import type { ErrorCode } from "../core/error-table.ts";
import { EngineError, toEngineError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import { type Around, type CallSite, type DriverCall, surround } from "./around.ts";

/** How many calls in a row fail before the driver rests. */
export const BREAKER_FAILURE_COUNT_MAX = 5;

/** The first rest in milliseconds; each further one is twice as long, up to the longest. */
export const BREAKER_REST_MS = 5_000;
export const BREAKER_REST_MS_MAX = 60_000;

/** How many volumes are remembered to be failing; the one that failed first is forgotten first. */
export const BREAKER_VOLUME_COUNT_MAX = 10_000;

/** The failures that mean that nothing answered. */
const silentCodes: ReadonlySet<ErrorCode> = new Set([
  "driver.timed_out",
  "plugin.unreachable",
  "storage.failed",
]);

/**
 * Calls that say nothing about whether the storage is to be tried, and are never refused: looks at
 * it, which succeed when it is dead, too; what heals it; and the destruction of one removed volume
 * that says nothing about those that are in use.
 */
const passersBy: ReadonlySet<DriverCall> = new Set([
  ...(["purge", "refuseShown", "refusePurge", "check", "heal", "flush"] as const),
]);

/**
 * What removal is made of, and new options for what does not answer by the old ones. Their
 * deadlines bound them, so a rest would only stand in the way.
 */
const waysOut: ReadonlySet<DriverCall> = new Set([
  "get",
  "unmount",
  "retire",
  "forget",
  "destroy",
  "update",
]);

export interface BreakerParts {
  /** A clock that only goes forward, in milliseconds. */
  monotonicMs(): number;
  /**
   * What fails together. "driver": one server or plugin behind all volumes. "volume": each volume
   * has storage of its own, and one that is dead says nothing about the others; calls that name no
   * volume pass by.
   */
  readonly per: "driver" | "volume";
  /** At most and by default `BREAKER_FAILURE_COUNT_MAX`. */
  readonly failureCountMax?: number | undefined;
  /** At most `BREAKER_REST_MS_MAX`; by default `BREAKER_REST_MS`. */
  readonly restMs?: number | undefined;
  /** Is told when a rest begins and when it has ended with success. */
  readonly changed?: ((change: BreakerChange) => void) | undefined;
}

export interface BreakerChange {
  readonly state: "suspended" | "working";
  /** Which volume's storage; undefined: all of the driver's. */
  readonly volume: string | undefined;
}

/** What is known of storage that has failed. Storage that works is not remembered. */
interface Trouble {
  failureCount: number;
  /** When it may be tried again; undefined while it is not resting. */
  restsUntilMs: number | undefined;
  restMs: number;
  isProbed: boolean;
}

/** A call that was let through, and what it decides. */
interface Entry {
  /** What the call depends on: a volume's name, or "" for the driver. */
  readonly key: string;
  /** Decides whether the rest ends or grows. */
  readonly isProbe: boolean;
  /** Whether its success shows that the storage answers. */
  readonly isProof: boolean;
}

/**
 * The driver, refusing with `driver.suspended` while it rests. After each rest one call goes
 * through as a probe. The ways out, and `createNow`, which does not wait, are never refused.
 */
export function withBreaker(driver: VolumeDriver, parts: BreakerParts): Every<VolumeDriver> {
  return surround(driver, new Breaker(driver, parts));
}

class Breaker implements Around {
  readonly #driver: VolumeDriver;
  readonly #parts: BreakerParts;
  readonly #failureCountMax: number;
  readonly #restMs: number;
  readonly #troubles = new Map<string, Trouble>();

  constructor(driver: VolumeDriver, parts: BreakerParts) {
    this.#driver = driver;
    this.#parts = parts;
    this.#failureCountMax = Math.min(
      parts.failureCountMax ?? BREAKER_FAILURE_COUNT_MAX,
      BREAKER_FAILURE_COUNT_MAX,
    );
    this.#restMs = Math.min(parts.restMs ?? BREAKER_REST_MS, BREAKER_REST_MS_MAX);
  }

  async call<T>(
    site: CallSite,
    operation: Operation,
    work: (operation: Operation) => Promise<T>,
  ): Promise<T> {
    const entry = this.#enter(site);
    if (entry === undefined) return await work(operation);
    try {
      const value = await work(operation);
      if (entry.isProof) this.#answered(entry.key);
      return value;
    } catch (error) {
      this.#failed(entry, error, operation);
      throw error;
    }
  }

  async *items<T>(
    site: CallSite,
    operation: Operation,
    open: (operation: Operation) => AsyncIterable<T>,
  ): AsyncIterable<T> {
    const entry = this.#enter(site);
    if (entry === undefined) {
      yield* open(operation);
      return;
    }
    let isKnown = false;
    try {
      for await (const item of open(operation)) yield item;
      isKnown = true;
      this.#answered(entry.key);
    } catch (error) {
      isKnown = true;
      this.#failed(entry, error, operation);
      throw error;
    } finally {
      // Whoever stops reading in the middle has seen an answer.
      if (!isKnown) this.#answered(entry.key);
    }
  }

  /** Throws while what the call depends on rests; undefined for a call that passes by. */
  #enter({ call, volume }: CallSite): Entry | undefined {
    const isPerDriver = this.#parts.per === "driver";
    if (passersBy.has(call) || (volume === undefined && !isPerDriver)) return undefined;
    const key = isPerDriver ? "" : (volume ?? "");
    // Both may succeed while the server is dead: the driver knows the volume, nothing is mounted.
    const isProof = call !== "get" && call !== "unmount";
    const trouble = this.#troubles.get(key);
    if (trouble?.restsUntilMs === undefined || waysOut.has(call)) {
      return { key, isProbe: false, isProof };
    }
    const remainingMs = trouble.restsUntilMs - this.#parts.monotonicMs();
    if (remainingMs > 0 || trouble.isProbed) throw this.#suspended(key, remainingMs);
    trouble.isProbed = true;
    return { key, isProbe: true, isProof };
  }

  #answered(key: string): void {
    const trouble = this.#troubles.get(key);
    if (trouble === undefined) return;
    this.#troubles.delete(key);
    if (trouble.restsUntilMs !== undefined) this.#tell("working", key);
  }

  #failed({ key, isProbe, isProof }: Entry, thrown: unknown, { signal }: Operation): void {
    const error = toEngineError(thrown);
    // A call that its own caller gave up says nothing about the storage.
    if (signal.aborted || error.kind === "cancelled") {
      const trouble = this.#troubles.get(key);
      if (trouble !== undefined && isProbe) trouble.isProbed = false;
      return;
    }
    if (!silentCodes.has(error.code)) {
      if (isProof) this.#answered(key);
      return;
    }
    const trouble = this.#troubles.get(key) ?? this.#remember(key);
    trouble.failureCount += 1;
    if (isProbe) trouble.isProbed = false;
    if (trouble.failureCount < this.#failureCountMax && !isProbe) return;
    const isResting = trouble.restsUntilMs !== undefined;
    // Calls that were under way when the rest began do not make it longer.
    if (isResting && !isProbe) return;
    if (isProbe) trouble.restMs = Math.min(trouble.restMs * 2, BREAKER_REST_MS_MAX);
    trouble.restsUntilMs = this.#parts.monotonicMs() + trouble.restMs;
    if (!isResting) this.#tell("suspended", key);
  }

  #remember(key: string): Trouble {
    const trouble: Trouble = {
      failureCount: 0,
      restsUntilMs: undefined,
      restMs: this.#restMs,
      isProbed: false,
    };
    const [oldest] = this.#troubles.keys();
    if (oldest !== undefined && this.#troubles.size >= BREAKER_VOLUME_COUNT_MAX) {
      this.#troubles.delete(oldest);
    }
    this.#troubles.set(key, trouble);
    return trouble;
  }

  #suspended(key: string, remainingMs: number): EngineError {
    const retryAfterMs = Math.max(0, Math.ceil(remainingMs));
    const what = key === "" ? `driver ${this.#driver.name}` : `volume ${key}`;
    const when = retryAfterMs === 0 ? "it is being tried now" : `it rests for ${retryAfterMs} ms`;
    return new EngineError("driver.suspended", `${what} does not answer, ${when}`, {
      details: { driver: this.#driver.name, retryAfterMs },
    });
  }

  #tell(state: BreakerChange["state"], key: string): void {
    this.#parts.changed?.({ state, volume: key === "" ? undefined : key });
  }
}
