// A driver over misbehaving storage, for engine tests: calls fail before or after their effect.
import type { Every, VolumeDriver } from "../core/driver.ts";
import type { ErrorCode } from "../core/error-table.ts";
import { EngineError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import { type Around, type CallSite, surround } from "./around.ts";

export interface FaultyParts {
  /** The same seed gives the same faults for the same calls: a failing seed is the bug report. */
  readonly seed: number;
  /** Of how many calls one fails on average; 4 unless given. */
  readonly oneIn?: number | undefined;
  /** What failing calls throw; `storage.failed` unless given. */
  readonly code?: ErrorCode | undefined;
  /** Whether calls fail at the moment; while they do not, nothing is drawn. Missing: they do. */
  readonly isOn?: (() => boolean) | undefined;
  /** Is told of every fault. */
  readonly failed?: ((fault: Fault) => void) | undefined;
}

/** One call that was made to fail. */
export interface Fault {
  readonly call: CallSite["call"] | "createNow";
  readonly volume: CallSite["volume"];
  /** "after": the effect is there, the answer is lost. */
  readonly moment: "before" | "after";
}

/**
 * The driver, failing pseudo-randomly. `validate`, `describe` of `RebuildCapable` and `server` of
 * `HealthCapable` touch no storage and never do.
 */
export function faulty(driver: VolumeDriver, parts: FaultyParts): Every<VolumeDriver> {
  return surround(driver, faults(parts));
}

function faults(parts: FaultyParts): Around {
  const { oneIn = 4, code = "storage.failed", isOn, failed } = parts;
  const random = pseudoRandom(parts.seed);

  function draw(): Fault["moment"] | undefined {
    if (isOn?.() === false || random() * oneIn >= 1) return undefined;
    return random() < 0.5 ? "before" : "after";
  }
  function fail(fault: Fault): EngineError {
    failed?.(fault);
    const what = `${fault.call} of ${fault.volume ?? "all volumes"}`;
    return new EngineError(code, `${what} failed on purpose ${fault.moment} its effect`, {
      details: { ...fault, seed: parts.seed },
    });
  }
  return {
    async call<T>(
      site: CallSite,
      operation: Operation,
      work: (operation: Operation) => Promise<T>,
    ): Promise<T> {
      const moment = draw();
      if (moment === "before") throw fail({ ...site, moment });
      const value = await work(operation);
      if (moment === "after") throw fail({ ...site, moment });
      return value;
    },

    async *items<T>(
      site: CallSite,
      operation: Operation,
      open: (operation: Operation) => AsyncIterable<T>,
    ): AsyncIterable<T> {
      const moment = draw();
      if (moment === "before") throw fail({ ...site, moment });
      for await (const item of open(operation)) {
        // A list that fails does so anywhere in the middle.
        if (moment === "after" && random() < 0.5) throw fail({ ...site, moment });
        yield item;
      }
      if (moment === "after") throw fail({ ...site, moment });
    },

    now(volume, work) {
      const moment = draw();
      if (moment === "before") throw fail({ call: "createNow", volume, moment });
      const value = work();
      if (moment === "after") throw fail({ call: "createNow", volume, moment });
      return value;
    },
  };
}

/** Numbers from 0 to 1 that depend on the seed alone (mulberry32). */
function pseudoRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
