// Volumes that were just made: they are looked at when nothing more has been made for a moment, so
// that who makes many is not held up.
import type { StartTimer } from "./trash/timers.ts";

const PAUSE_MS = 100;

export class MadeLately {
  readonly #startTimer: StartTimer;
  readonly #look: (name: string) => void;
  readonly #names = new Set<string>();
  #stopTimer: () => void = () => undefined;

  constructor(startTimer: StartTimer, look: (name: string) => void) {
    this.#startTimer = startTimer;
    this.#look = look;
  }

  add(name: string): void {
    this.#names.add(name);
    this.#stopTimer();
    this.#stopTimer = this.#startTimer(PAUSE_MS, () => {
      for (const each of this.#names) this.#look(each);
      this.#names.clear();
    });
  }

  stop(): void {
    this.#stopTimer();
  }
}
