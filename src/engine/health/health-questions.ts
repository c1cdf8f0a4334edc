// Questions to storage, each with an answer in time: silence is one.
import type { StorageHealth, VolumeDriver } from "../../core/driver.ts";
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { HealthClock } from "./health.ts";

/** How long a question may take; then the answer is "unreachable". In milliseconds. */
const ANSWER_MS_MAX = 5_000;
/** How long a driver may take to give up after that. */
const GIVE_UP_MS = 1_000;

/** What is said of a volume that did not answer. */
export const silence: StorageHealth = {
  state: "unreachable",
  reason: `no answer within ${ANSWER_MS_MAX / 1_000} s`,
  tookMs: null,
};

export interface Question {
  /** Comes in time, never rejects. undefined: there is no such volume, or this life ends. */
  readonly answer: Promise<StorageHealth | undefined>;
  /** Resolves when the driver has answered, however late. */
  readonly ended: Promise<void>;
  /** Whether the answer is ours, because the driver did not even give up. */
  readonly isGivenUp: () => boolean;
}

export class Questions {
  readonly #clock: Pick<HealthClock, "startTimer">;
  /** End those that are asked now, whether or not their drivers do. */
  readonly #ends = new Set<() => void>();

  constructor(clock: Pick<HealthClock, "startTimer">) {
    this.#clock = clock;
  }

  /** The end of this life. */
  stop(): void {
    for (const end of this.#ends) end();
  }

  ask(driver: VolumeDriver, name: VolumeName, operation: Operation): Question {
    const controller = new AbortController();
    const { signal } = controller;
    const { promise: late, resolve } = Promise.withResolvers<StorageHealth | undefined>();
    let isGivenUp = false;
    const giveUp = () => {
      isGivenUp = true;
      resolve(silence);
    };
    let stopTimer = this.#clock.startTimer(ANSWER_MS_MAX, () => {
      controller.abort(new EngineError("driver.timed_out", silence.reason));
      stopTimer = this.#clock.startTimer(GIVE_UP_MS, giveUp);
    });
    const check =
      driver.health?.check(name, { ...operation, signal }) ?? Promise.resolve(undefined);
    const answer = check.catch((error: unknown): StorageHealth | undefined => {
      const { code, message } = toEngineError(error);
      if (code === "volume.not_found") return undefined;
      return { state: "unreachable", reason: message, tookMs: null };
    });
    const end = () => {
      resolve(undefined);
      controller.abort(new EngineError("engine.stopping", "the daemon is shutting down"));
    };
    this.#ends.add(end);
    const ended = answer.then(() => {
      stopTimer();
      this.#ends.delete(end);
    });
    return { answer: Promise.race([late, answer]), ended, isGivenUp: () => isGivenUp };
  }
}
