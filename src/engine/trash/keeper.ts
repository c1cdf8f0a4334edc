// What the trash does by itself: it measures, describes, lets expire, and makes room.
import type { TrashSpace, VolumeDriver } from "../../core/driver.ts";
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { LeaseService } from "../../core/lease-service.ts";
import type { TrashId } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { HistoryEntry, RetiredEntry, StateStore } from "../../core/state-store.ts";
import { budgetBytes, evictions, type TrashBudget } from "./budget.ts";
import { historiesOf } from "./histories.ts";
import type { Purger } from "./purger.ts";
import { describeRetired } from "./retired-description.ts";
import type { StartTimer } from "./timers.ts";

/** How often it looks, in milliseconds. */
const TICK_MS = 30_000;
/** How long removals are collected before it looks, in milliseconds. */
const GATHER_MS = 1_000;
/** Nothing expires so soon after the start: the clock may be wrong at boot. Milliseconds. */
const EXPIRY_AFTER_MS = 600_000;
/** How many histories are collected in one walk. */
const DESCRIBED_COUNT = 64;
/** For how many entries one look at the machine's mounts is enough. */
const LOOKED_COUNT = 256;
/** How many of those that are evicted are named in one line of the log. */
const NAMED_COUNT_MAX = 10;
/** How many entries are given up side by side: they share commits. */
const CONCURRENCY_COUNT = 8;

/** How something in the trash is given up. */
export interface GivingUp {
  readonly action: "purge" | "evict";
  /** Somebody has looked just now that no mount shows it; missing: nobody has. */
  readonly isLookedFor?: boolean;
}

export interface KeeperParts {
  readonly state: StateStore;
  readonly leases: LeaseService;
  readonly drivers: ReadonlyMap<string, VolumeDriver>;
  readonly host: Host;
  readonly budget: TrashBudget;
  readonly purger: Pick<Purger, "resting">;
  readonly operation: () => Operation;
  /** Gives an entry up for good. */
  readonly giveUp: (id: TrashId, how: GivingUp, operation: Operation) => Promise<void>;
  readonly startTimer: StartTimer;
}

export class TrashKeeper {
  readonly #parts: KeeperParts;
  readonly #stopping = new AbortController();
  readonly #startedAtMs: number;
  /** What its driver could not measure in this life. */
  readonly #unmeasurable = new Set<TrashId>();
  /** What was told of: whoever resists for days is one line a life. */
  readonly #told = new Set<TrashId>();
  readonly #spaces = new Map<string, TrashSpace>();
  #timer: { readonly stop: () => void; readonly atMs: number } | undefined;
  #pass: Promise<void> | undefined;
  #measuring: Promise<void> | undefined;
  /** How soon after the pass that runs another one is wanted, in milliseconds. */
  #againMs = TICK_MS;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    this.#startedAtMs = parts.host.monotonicMs();
  }

  start(): void {
    this.#schedule(GATHER_MS);
  }

  /** Ends what runs: measuring a large volume may take minutes. */
  async stop(): Promise<void> {
    this.#stopping.abort(new EngineError("engine.stopping", "the daemon is shutting down"));
    this.#timer?.stop();
    await this.#pass;
    await this.#measuring;
  }

  /** Something was removed or purged. Returns at once. */
  wake(): void {
    this.#schedule(GATHER_MS);
  }

  /** What the trashes of all drivers may take; null: no limit, or nobody has looked yet. */
  get budgetBytes(): number | null {
    const each = [...this.#spaces.values()].map(({ sizeBytes }) =>
      budgetBytes(this.#parts.budget, sizeBytes),
    );
    if (each.length === 0 || each.includes(null)) return null;
    return each.reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0);
  }

  /** Writes beside the data what the row says now. A failure is logged: the row is the truth. */
  async describe(entry: RetiredEntry, operation: Operation): Promise<void> {
    const histories = await historiesOf(this.#parts.state, [entry]);
    await this.#describe(entry, histories.get(entry.id) ?? [], operation);
  }

  async #describe(
    entry: RetiredEntry,
    history: readonly HistoryEntry[],
    operation: Operation,
  ): Promise<void> {
    const trash = this.#parts.drivers.get(entry.volume.driver)?.trash;
    try {
      await trash?.describe(entry.id, describeRetired({ entry, history }), operation);
    } catch (error) {
      this.#tell("what is in the trash could not be described", entry, error, operation);
    }
  }

  #schedule(delayMs: number): void {
    if (this.#stopping.signal.aborted) return;
    if (this.#pass !== undefined) {
      this.#againMs = Math.min(this.#againMs, delayMs);
      return;
    }
    const atMs = this.#parts.host.monotonicMs() + delayMs;
    if (this.#timer !== undefined && this.#timer.atMs <= atMs) return;
    this.#timer?.stop();
    const stop = this.#parts.startTimer(delayMs, () => {
      this.#timer = undefined;
      this.#pass = this.#look().then(() => {
        this.#pass = undefined;
        const againMs = this.#againMs;
        this.#againMs = TICK_MS;
        this.#schedule(againMs);
      });
    });
    this.#timer = { stop, atMs };
  }

  async #look(): Promise<void> {
    const operation = { ...this.#parts.operation(), signal: this.#stopping.signal };
    await this.#giveUpAll(this.#expired(), "purge", operation);
    for (const driver of this.#parts.drivers.values()) await this.#makeRoom(driver, operation);
    this.#measuring ??= this.#measureAll(operation).then((hasMeasured) => {
      this.#measuring = undefined;
      if (hasMeasured) this.wake();
    });
  }

  #expired(): readonly RetiredEntry[] {
    const { host, state } = this.#parts;
    if (host.monotonicMs() - this.#startedAtMs < EXPIRY_AFTER_MS) return [];
    const nowMs = host.nowMs();
    return state.read((view) =>
      [...view.retired()].filter(
        ({ phase, purgeAtMs, volume }) =>
          phase === "kept" &&
          purgeAtMs !== null &&
          purgeAtMs <= nowMs &&
          volume.protection === null,
      ),
    );
  }

  async #makeRoom(driver: VolumeDriver, operation: Operation): Promise<void> {
    const all = this.#parts.state.read((view) =>
      [...view.retired()].filter(({ volume }) => volume.driver === driver.name),
    );
    if (driver.trash === undefined) return;
    let space: TrashSpace;
    try {
      space = await driver.trash.space(operation);
    } catch (error) {
      const { code, message } = toEngineError(error);
      const fields = { driver: driver.name, code, error: message };
      if (!operation.signal.aborted) operation.log.warn("the trash cannot be looked at", fields);
      return;
    }
    this.#spaces.set(driver.name, space);
    const stuck = this.#parts.purger.resting();
    const purging = all.filter(({ id, phase }) => phase === "purging" && !stuck.has(id));
    const load = {
      kept: all.filter(({ phase }) => phase === "kept"),
      purgingBytes: purging.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0),
      purgingCount: purging.length,
      space,
      nowMs: this.#parts.host.nowMs(),
      budgetBytes: budgetBytes(this.#parts.budget, space.sizeBytes),
    };
    const evicted = evictions(load);
    if (evicted.length > 0) {
      operation.log.warn("space is wanted: what was removed is evicted from the trash", {
        ...{ driver: driver.name, count: evicted.length },
        names: evicted.slice(0, NAMED_COUNT_MAX).map(({ volume }) => volume.name),
        ...{ availableBytes: space.availableBytes, availableFileCount: space.availableFileCount },
      });
    }
    await this.#giveUpAll(evicted, "evict", operation);
  }

  async #giveUpAll(
    entries: readonly RetiredEntry[],
    action: "purge" | "evict",
    operation: Operation,
  ): Promise<void> {
    for (let index = 0; index < entries.length; index += LOOKED_COUNT) {
      const part = entries.slice(index, index + LOOKED_COUNT);
      for (const [driver, some] of Map.groupBy(part, ({ volume }) => volume.driver)) {
        const isLookedFor = await this.#isHidden(driver, some, operation);
        await this.#giveUpEach(some, { action, isLookedFor }, operation);
      }
    }
  }

  /** One look at all mounts of the machine for many; false: some are shown, or nobody can say. */
  async #isHidden(
    driver: string,
    entries: readonly RetiredEntry[],
    operation: Operation,
  ): Promise<boolean> {
    const trash = this.#parts.drivers.get(driver)?.trash;
    if (trash?.refuseShown === undefined) return false;
    const ids = entries.map(({ id }) => id);
    return await trash.refuseShown(ids, operation).then(
      () => true,
      () => false,
    );
  }

  async #giveUpEach(
    entries: readonly RetiredEntry[],
    how: GivingUp,
    operation: Operation,
  ): Promise<void> {
    const pending = entries.values();
    const worker = async (): Promise<void> => {
      for (const entry of pending) {
        if (operation.signal.aborted) return;
        try {
          await this.#parts.giveUp(entry.id, how, operation);
        } catch (error) {
          // What a mount still shows, or somebody has taken meanwhile, is looked at again later.
          this.#tell("left in the trash for now", entry, error, operation);
        }
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY_COUNT }, worker));
  }

  /** One after the other, however long each takes. Whether there is news. */
  async #measureAll(operation: Operation): Promise<boolean> {
    const unmeasured = this.#parts.state.read((view) =>
      [...view.retired()].filter(
        ({ id, phase, sizeBytes }) =>
          phase === "kept" && sizeBytes === null && !this.#unmeasurable.has(id),
      ),
    );
    for (let index = 0; index < unmeasured.length; index += DESCRIBED_COUNT) {
      const part = unmeasured.slice(index, index + DESCRIBED_COUNT);
      const histories = await historiesOf(this.#parts.state, part);
      for (const entry of part) {
        if (operation.signal.aborted) return false;
        try {
          await this.#measure(entry, histories.get(entry.id) ?? [], operation);
        } catch (error) {
          this.#unmeasurable.add(entry.id);
          this.#tell("what is in the trash could not be measured", entry, error, operation);
        }
      }
    }
    return unmeasured.length > 0;
  }

  /** The description goes first: an entry with a size has one that says it. */
  async #measure(
    { id, volume }: RetiredEntry,
    history: readonly HistoryEntry[],
    operation: Operation,
  ): Promise<void> {
    const { state, leases, drivers } = this.#parts;
    const trash = drivers.get(volume.driver)?.trash;
    // Without its driver nobody can say.
    const usedBytes = (await trash?.measure(id, operation))?.usedBytes ?? null;
    if (usedBytes === null) this.#unmeasurable.add(id);
    await using _lease = await leases.acquire(`trash:${id}`, "exclusive", operation);
    const row = state.read((view) => view.retiredEntry(id));
    if (row?.phase !== "kept") return;
    const measured = { ...row, sizeBytes: usedBytes };
    await this.#describe(measured, history, operation);
    if (usedBytes !== null) {
      await state.write((transaction) => transaction.putRetired(measured));
    }
  }

  #tell(message: string, entry: RetiredEntry, thrown: unknown, operation: Operation): void {
    if (operation.signal.aborted) return;
    const { code, message: error } = toEngineError(thrown);
    const { id, volume } = entry;
    const level = this.#told.has(id) ? "debug" : "warn";
    this.#told.add(id);
    operation.log[level](message, { volume: volume.name, trash: id, code, error });
  }
}
