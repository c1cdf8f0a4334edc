// The trash: what was removed is listed, restored, protected, and given up for good.
//
// Leases are taken in this order: `trash:ID`, then `volume:NAME`.
import type { VolumeDriver } from "../../core/driver.ts";
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { LeaseService } from "../../core/lease-service.ts";
import { parseTrashId, type TrashId, type VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { RetiredEntry, StateStore, VolumeEntry } from "../../core/state-store.ts";
import { checkLine } from "../description.ts";
import type { EventLog } from "../event-log.ts";
import type { History } from "../history.ts";
import { byOf, historyEntry } from "../history-entry.ts";
import { refuseProtected } from "../protection.ts";
import type { UnfinishedRemovals } from "../recovery/unfinished-removals.ts";
import { isEvictable, type TrashBudget } from "./budget.ts";
import { drivenBy, inspected, keptEntry, settlePlace } from "./entries.ts";
import { type GivingUp, TrashKeeper } from "./keeper.ts";
import { notInTrash, PREFIX_LENGTH_MIN } from "./missing.ts";
import type { Purger } from "./purger.ts";
import { restoreVolume } from "./restore.ts";
import { type StartTimer, startIdleTimer } from "./timers.ts";

export interface TrashParts {
  readonly state: StateStore;
  readonly leases: LeaseService;
  readonly drivers: ReadonlyMap<string, VolumeDriver>;
  readonly host: Host;
  readonly events: EventLog;
  readonly purger: Purger;
  readonly unfinished: UnfinishedRemovals;
  readonly history: Pick<History, "refused">;
  /** Takes away what is left under a name; the caller has its lease. See `VolumeEngine.clear`. */
  readonly clear: (driver: VolumeDriver, name: VolumeName, operation: Operation) => Promise<void>;
  readonly budget: TrashBudget;
  /** A fresh operation on the daemon's own account. */
  readonly operation: () => Operation;
  /** For what it does by itself, and for how long it is waited for; by default a real one. */
  readonly startTimer?: StartTimer | undefined;
}

/** What df, info and metrics tell of the trash. */
export interface TrashTotals {
  /** Of all that is in the trash. */
  readonly entryCount: number;
  /** Of those that are being purged. */
  readonly purgingCount: number;
  /** Apparent bytes of what was measured. */
  readonly knownBytes: number;
  readonly unmeasuredCount: number;
  /** null: there is none, or nobody has looked yet. */
  readonly budgetBytes: number | null;
}

/** How many entries make room for one removal. Their rows fill some three pages of the state. */
const ROOM_COUNT = 64;
/** How long a removal waits for that, in milliseconds. */
const ROOM_MS = 10_000;

export class Trash {
  readonly #parts: TrashParts;
  readonly #keeper: TrashKeeper;
  readonly #startTimer: StartTimer;

  constructor(parts: TrashParts) {
    this.#parts = parts;
    this.#startTimer = parts.startTimer ?? startIdleTimer;
    this.#keeper = new TrashKeeper({
      ...parts,
      startTimer: this.#startTimer,
      giveUp: (id, how, operation) => this.#giveUp(id, how, operation),
    });
    parts.events.watch(({ type, action }) => {
      if (type !== "volume") return;
      if (action === "destroy" || action === "purge") this.#keeper.wake();
    });
  }

  /** Begins with what the trash does by itself. */
  start(): void {
    this.#keeper.start();
  }

  stop(): Promise<void> {
    return this.#keeper.stop();
  }

  /**
   * There is no room even for a removal: the oldest are evicted, and waited for, for some seconds.
   * False when nothing can go.
   */
  async makeRoom(operation: Operation): Promise<boolean> {
    const oldestFirst = this.list().toReversed();
    const evictable = oldestFirst.filter((entry) => entry.phase === "kept" && isEvictable(entry));
    const evicted: Promise<void>[] = [];
    for (const { id } of evictable.slice(0, ROOM_COUNT)) {
      try {
        await this.#giveUp(id, { action: "evict" }, operation);
        evicted.push(this.#parts.purger.ended(id));
      } catch (error) {
        const { code, message } = toEngineError(error);
        operation.log.debug("not evicted", { trash: id, code, error: message });
      }
    }
    const timeUp = Promise.withResolvers<void>();
    const stopTimer = this.#startTimer(ROOM_MS, timeUp.resolve);
    await Promise.race([Promise.allSettled(evicted), timeUp.promise]);
    stopTimer();
    return evicted.length > 0;
  }

  /** Newest first: what can be restored, and what is being purged. O(entries · log). */
  list(): readonly RetiredEntry[] {
    const all = this.#parts.state.read((view) => [...view.retired()]);
    // Of the same millisecond the one that was removed later comes first too.
    return all.reverse().sort((left, right) => right.retiredAtMs - left.retiredAtMs);
  }

  /**
   * By its id, by a beginning of one, or by the volume's name: of several the one that can be
   * restored. Throws `trash.not_found`, and `trash.ambiguous` whose message lists the ids.
   */
  find(ref: string): RetiredEntry {
    const id = parseTrashId(ref);
    if (id !== undefined) return inspected(this.#parts.state, id);
    const all = this.list();
    const named = all.filter(({ volume }) => volume.name === ref);
    const kept = named.filter(({ phase }) => phase === "kept");
    const isPrefix = ref.length >= PREFIX_LENGTH_MIN && ref.startsWith("t-");
    const begun = isPrefix ? all.filter((entry) => entry.id.startsWith(ref)) : [];
    const candidates = [kept, named, begun].find(({ length }) => length > 0) ?? [];
    const [found] = candidates;
    if (found === undefined) throw notInTrash(this.#parts.state, ref);
    if (candidates.length === 1) return found;
    const ids = candidates.map((entry) => entry.id);
    throw new EngineError(
      "trash.ambiguous",
      `${ref} means several entries of the trash, newest first: ${ids.join(", ")}`,
      { details: { ids } },
    );
  }

  totals(): TrashTotals {
    let purgingCount = 0;
    let knownBytes = 0;
    let unmeasuredCount = 0;
    let entryCount = 0;
    for (const { phase, sizeBytes } of this.#parts.state.read((view) => [...view.retired()])) {
      entryCount += 1;
      if (phase === "purging") purgingCount += 1;
      if (sizeBytes === null) unmeasuredCount += 1;
      else knownBytes += sizeBytes;
    }
    const { budgetBytes } = this.#keeper;
    return { entryCount, purgingCount, knownBytes, unmeasuredCount, budgetBytes };
  }

  /**
   * Brings the volume back, under its old name or another one, with those of its aliases that mean
   * nothing else by now, and resolves when that is durable.
   * Throws `volume.name_taken`, `trash.purging`, `trash.not_found`, `storage.*`; it can be restored
   * then, as before.
   */
  async restore(id: TrashId, as: string | undefined, operation: Operation): Promise<VolumeEntry> {
    return await restoreVolume(this.#parts, { id, as }, operation);
  }

  /**
   * Gives it up for good; resolves when that is durable, and its destruction goes on in the
   * background. Throws `trash.not_found`, `volume.protected`, `volume.in_use` (a mount still shows
   * it), `storage.*`.
   */
  async purge(id: TrashId, operation: Operation): Promise<void> {
    const entry = inspected(this.#parts.state, id);
    try {
      await this.#giveUp(id, { action: "purge" }, operation);
    } catch (error) {
      const change = { action: "purge", entry: entry.volume, subject: id } as const;
      this.#parts.history.refused(change, error, operation);
      throw error;
    }
  }

  /**
   * Resolves when what was given up is destroyed. Rejects with why not, when an attempt fails: it
   * is tried again later.
   */
  async purged(id: TrashId, operation: Operation): Promise<void> {
    operation.signal.throwIfAborted();
    await this.#parts.purger.ended(id);
  }

  /** Keeps it until the protection is lifted. `reason`: see `Protection`. Throws `trash.*`. */
  async protect(id: TrashId, reason: string, operation: Operation): Promise<RetiredEntry> {
    const { host } = this.#parts;
    checkLine("reason", reason);
    const protection = { reason, sinceMs: host.nowMs(), by: byOf(host, operation) };
    return await this.#change(id, { action: "protect", protection, subject: reason }, operation);
  }

  /** Throws `trash.*`. */
  async unprotect(id: TrashId, operation: Operation): Promise<RetiredEntry> {
    const change = { action: "unprotect", protection: null, subject: "" } as const;
    return await this.#change(id, change, operation);
  }

  async #change(
    id: TrashId,
    change: Pick<VolumeEntry, "protection"> & {
      readonly action: "protect" | "unprotect";
      readonly subject: string;
    },
    operation: Operation,
  ): Promise<RetiredEntry> {
    const { leases, state, host, events } = this.#parts;
    const { action, protection, subject } = change;
    await using _lease = await leases.acquire(`trash:${id}`, "exclusive", operation);
    const entry = keptEntry(state, id, action);
    const changed = { ...entry, volume: { ...entry.volume, protection } };
    await state.write((transaction) => {
      transaction.putRetired(changed);
      const row = { action, entry: entry.volume, subject };
      transaction.addHistory(historyEntry(host, row, operation));
    });
    events.volume(action, entry.volume.name, { driver: entry.volume.driver, trash: id });
    await this.#keeper.describe(changed, operation);
    return changed;
  }

  /** The row says so before the first byte is touched. */
  async #giveUp(
    id: TrashId,
    { action, isLookedFor = false }: GivingUp,
    operation: Operation,
  ): Promise<void> {
    const { leases, state, host, events, purger } = this.#parts;
    await using _lease = await leases.acquire(`trash:${id}`, "exclusive", operation);
    const entry = inspected(this.#parts.state, id);
    if (entry.phase === "purging") return;
    refuseProtected(entry.volume, "purge");
    await settlePlace(this.#parts, entry, operation);
    const { trash } = drivenBy(this.#parts, entry);
    if (!isLookedFor) await trash.refuseShown?.([id], operation);
    const purging: RetiredEntry = { ...entry, phase: "purging" };
    await state.write((transaction) => {
      transaction.putRetired(purging);
      const change = { action, entry: entry.volume, subject: id };
      transaction.addHistory(historyEntry(host, change, operation));
    });
    const { name, driver } = entry.volume;
    if (action === "evict") events.volume("evict", name, { driver, trash: id });
    purger.add(purging);
  }
}
