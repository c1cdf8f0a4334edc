// Which locks of which volumes are held and waited for, and how many there may be.
import { EngineError } from "../../core/errors.ts";
import { LOCK_WAITERS_MAX, LOCKS_PER_VOLUME_MAX, type LockName } from "../../core/lock.ts";
import type { VolumeName } from "../../core/names.ts";

/** A lock, by its volume's real name. */
export interface LockPlace {
  readonly volume: VolumeName;
  readonly lock: LockName;
}

/** A lock that somebody has or waits for: no other one is remembered. */
interface Entry<Held> {
  readonly held: Set<Held>;
  waitingCount: number;
}

export class LockTable<Held extends LockPlace> {
  readonly #volumes = new Map<VolumeName, Map<LockName, Entry<Held>>>();
  #heldCount = 0;
  #waitingCount = 0;

  /** Of all volumes, as `waitingCount`. */
  get heldCount(): number {
    return this.#heldCount;
  }

  get waitingCount(): number {
    return this.#waitingCount;
  }

  /** One more waits, until `leave`. Throws `lock.too_many`. */
  enter({ volume, lock }: LockPlace): void {
    const locks = this.#volumes.get(volume) ?? new Map<LockName, Entry<Held>>();
    const known = locks.get(lock);
    if (known === undefined && locks.size >= LOCKS_PER_VOLUME_MAX) {
      throw tooMany(`${locks.size} locks of ${volume} are held or waited for`, { volume });
    }
    const entry = known ?? { held: new Set(), waitingCount: 0 };
    const most = Math.max(entry.waitingCount, entry.held.size);
    if (most >= LOCK_WAITERS_MAX) {
      throw tooMany(`${most} have lock ${lock} of ${volume}, or wait for it`, { volume, lock });
    }
    entry.waitingCount += 1;
    this.#waitingCount += 1;
    if (known === undefined) locks.set(lock, entry);
    this.#volumes.set(volume, locks);
  }

  leave(place: LockPlace): void {
    const entry = this.#volumes.get(place.volume)?.get(place.lock);
    if (entry === undefined) return;
    entry.waitingCount -= 1;
    this.#waitingCount -= 1;
    this.#forgetUnused(place, entry);
  }

  /** Must have entered, or be one that the last daemon left. */
  add(held: Held): void {
    const { volume, lock } = held;
    const locks = this.#volumes.get(volume) ?? new Map<LockName, Entry<Held>>();
    const entry = locks.get(lock) ?? { held: new Set(), waitingCount: 0 };
    entry.held.add(held);
    this.#heldCount += 1;
    locks.set(lock, entry);
    this.#volumes.set(volume, locks);
  }

  /** False: it is not there any more. */
  remove(held: Held): boolean {
    const entry = this.#volumes.get(held.volume)?.get(held.lock);
    if (entry?.held.delete(held) !== true) return false;
    this.#heldCount -= 1;
    this.#forgetUnused(held, entry);
    return true;
  }

  /** Who has the lock, in the order in which they got it. */
  holders({ volume, lock }: LockPlace): readonly Held[] {
    return [...(this.#volumes.get(volume)?.get(lock)?.held ?? [])];
  }

  /** How many wait for the lock. */
  waitingFor({ volume, lock }: LockPlace): number {
    return this.#volumes.get(volume)?.get(lock)?.waitingCount ?? 0;
  }

  /** What is held of one volume. */
  ofVolume(volume: VolumeName): readonly Held[] {
    return [...(this.#volumes.get(volume)?.values() ?? [])].flatMap(({ held }) => [...held]);
  }

  /** What is held of all volumes. */
  all(): readonly Held[] {
    return [...this.#volumes.keys()].flatMap((volume) => this.ofVolume(volume));
  }

  #forgetUnused({ volume, lock }: LockPlace, { held, waitingCount }: Entry<Held>): void {
    if (held.size > 0 || waitingCount > 0) return;
    const locks = this.#volumes.get(volume);
    locks?.delete(lock);
    if (locks?.size === 0) this.#volumes.delete(volume);
  }
}

function tooMany(what: string, details: Readonly<Record<string, string>>): EngineError {
  return new EngineError("lock.too_many", `${what}: no further one is taken`, { details });
}
