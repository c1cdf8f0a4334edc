// Locks of applications: named, of a volume, on leases that can be lost (decision 0012).
//
// An id is what renews and releases; who has it may. Nothing here is written to the state: what a
// new daemon must know is kept with the lease.
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { KeptLease, Lease, LeaseService, LockKey } from "../../core/lease-service.ts";
import { type LockBond, type LockHolder, parseLockName } from "../../core/lock.ts";
import { parseVolumeName, type VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { ProcessWatch } from "../../core/process-watch.ts";
import type { ContainerLists } from "../container-lists.ts";
import type { EventLog } from "../event-log.ts";
import { anyOf } from "../signals.ts";
import type { VolumeEngine } from "../volumes.ts";
import { LockFigures } from "./lock-figures.ts";
import { holderText, LockHolders } from "./lock-holders.ts";
import { givenOtherwise, givenTwice } from "./lock-ids.ts";
import { keptLock, keptText } from "./lock-keep.ts";
import { LockNews } from "./lock-news.ts";
import { LockShares } from "./lock-shares.ts";
import { type LockPlace, LockTable } from "./lock-table.ts";
import { endedWaiting, lostReason, notHeld, timedOut } from "./lock-words.ts";
import type { GrantedLock, LockLease, LockRequest, LocksFace, LockView } from "./locks-face.ts";

const ID_BYTES = 16;

/** How many locks that were lost are remembered, for their holders to be told why. */
const LOST_COUNT_MAX = 4_096;

/** How many locks a message names. */
const NAMED_COUNT_MAX = 5;

export interface LocksParts {
  readonly leases: LeaseService;
  readonly host: Pick<
    Host,
    "nowMs" | "monotonicMs" | "randomHex" | "programOf" | "containerOf" | "processStart"
  > &
    Pick<Host, "watchProcess">;
  /** They are made later. */
  readonly volumes: () => Pick<VolumeEngine, "inspect" | "resolve">;
  readonly lists: Pick<ContainerLists, "nameOf">;
  readonly events: EventLog;
}

interface Held extends LockPlace {
  readonly id: string;
  readonly lease: Lease;
  readonly sinceMs: number;
  readonly bond: LockBond;
  readonly holder: LockHolder;
  readonly share: string | undefined;
  readonly watch: ProcessWatch | undefined;
  /** What it was given last; undefined: by the last daemon. */
  ttlMs: number | undefined;
  /** Wall clock, for people. */
  expiresAtMs: number;
  turn: number;
  lost: ((reason: EngineError) => void) | undefined;
}

export class Locks implements LocksFace {
  readonly #parts: LocksParts;
  readonly #table = new LockTable<Held>();
  readonly #byId = new Map<string, Held>();
  readonly #lost = new Map<string, EngineError>();
  readonly #shares = new LockShares();
  readonly #holders: LockHolders;
  readonly #news: LockNews;
  readonly #stopping = new AbortController();
  readonly figures = new LockFigures();

  constructor(parts: LocksParts) {
    this.#parts = parts;
    this.#holders = new LockHolders(parts.host);
    this.#news = new LockNews(() => parts.host.monotonicMs());
    parts.events.watch(({ type, action, actor, attributes }) => {
      if (type !== "volume") return;
      // Who got one while the volume was on its way out.
      if (action === "destroy") this.#endAll(actor);
      if (action === "rename") this.#endAll(attributes["from"] ?? "");
    });
  }

  get heldCount(): number {
    return this.#table.heldCount;
  }

  get waitingCount(): number {
    return this.#table.waitingCount;
  }

  /** Goes on with what the last daemon gave. To be awaited before anybody asks for anything. */
  async takeOver(operation: Operation): Promise<void> {
    for (const kept of await this.#parts.leases.kept()) {
      if (this.#takeOver(kept)) continue;
      operation.log.info("a lock of the last daemon has nobody any more", { lock: kept.lease.key });
      await kept.lease[Symbol.asyncDispose]();
    }
  }

  #takeOver({ lease, keep, sinceMs }: KeptLease): boolean {
    const place = placeOf(lease.key);
    const kept = keptLock(keep);
    if (place === undefined || kept === undefined || !this.#exists(place.volume)) return false;
    const { id, bond, start, holder, share } = kept;
    const watch =
      bond === "process" ? this.#parts.host.watchProcess({ pid: holder.pid, start }) : undefined;
    if (bond === "process" && watch === undefined) return false;
    const expiresAtMs = this.#expiryOf(lease, undefined);
    const unknown = { ttlMs: undefined, turn: 0, lost: undefined };
    const known = { ...place, id, lease, sinceMs, expiresAtMs, bond, holder, share, watch };
    this.#shares.add(share);
    this.#hold({ ...known, ...unknown });
    return true;
  }

  #exists(volume: VolumeName): boolean {
    try {
      return this.#parts.volumes().inspect(volume).name === volume;
    } catch {
      return false;
    }
  }

  async acquire(request: LockRequest, operation: Operation): Promise<GrantedLock> {
    const known = this.#known(request);
    if (known !== undefined) return known;
    this.#shares.enter(request.share);
    try {
      return await this.#acquire(request, operation);
    } catch (thrown) {
      this.#shares.leave(request.share);
      throw thrown;
    }
  }

  async #acquire(request: LockRequest, operation: Operation): Promise<GrantedLock> {
    const lock = parseLockName(request.lock);
    const { name: volume } = this.#parts.volumes().inspect(request.volume);
    this.#stopping.signal.throwIfAborted();
    const { bond, label, share, mode, ttlMs, waitMs, queued, lost } = request;
    const pid = request.pid ?? (operation.caller.kind === "process" ? operation.caller.pid : 0);
    const holder = this.#holders.of(pid, label);
    const { start, watch } = bond === "process" ? this.#watch(pid) : nothingWatched;
    const id = request.id ?? this.#parts.host.randomHex(ID_BYTES);
    const keep = keptText({ id, bond, start, holder, share });
    const startedMs = this.#parts.host.monotonicMs();
    try {
      const wanted = { volume, lock, mode, ttlMs, waitMs, queued, keep, watch };
      const lease = await this.#wait(wanted, operation);
      if (this.#byId.has(id)) throw await givenTwice(lease);
      this.figures.granted(this.#parts.host.monotonicMs() - startedMs);
      const sinceMs = this.#parts.host.nowMs();
      const expiresAtMs = this.#expiryOf(lease, ttlMs);
      const whose = { bond, holder, share, watch, turn: 0, lost };
      const held: Held = { volume, lock, id, lease, sinceMs, ttlMs, expiresAtMs, ...whose };
      this.#hold(held);
      return this.#granted(held);
    } catch (thrown) {
      watch?.[Symbol.dispose]();
      throw thrown;
    }
  }

  #known({ id, volume, lock, mode, bond }: LockRequest): GrantedLock | undefined {
    if (id === undefined || !(this.#byId.has(id) || this.#lost.has(id))) return undefined;
    const held = this.#find({ volume, lock, id });
    // Who wants to be alone must not be told that he has a lock which others share.
    if (held.lease.mode !== mode || held.bond !== bond) throw givenOtherwise(held);
    return this.#granted(held);
  }

  #watch(pid: number): { readonly start: string; readonly watch: ProcessWatch } {
    const { host } = this.#parts;
    const start = host.processStart(pid);
    const watch = start === undefined ? undefined : host.watchProcess({ pid, start });
    if (start !== undefined && watch !== undefined) return { start, watch };
    throw new EngineError(
      "request.invalid",
      `pid ${pid}: there is no such process, and a lock that ends with it cannot be given`,
      { details: { field: "pid", value: pid } },
    );
  }

  /** Its place in the queue is nobody's when this rejects. */
  async #wait(
    request: LockPlace & Pick<LockRequest, "mode" | "ttlMs" | "waitMs" | "queued"> & Waiting,
    operation: Operation,
  ): Promise<Lease> {
    const { mode, ttlMs, waitMs, queued, keep, watch } = request;
    this.#table.enter(request);
    // Who does not wait is not interrupted either.
    const signals = [operation.signal, this.#stopping.signal, watch?.ended];
    using either = waitMs === 0 ? undefined : anyOf(signals, () => endedWaiting(request));
    const own = either === undefined ? operation : { ...operation, signal: either.signal };
    try {
      const terms = { ttlMs, waitMs, keep, queued };
      return await this.#parts.leases.acquire(keyOf(request), mode, own, terms);
    } catch (thrown) {
      const error = toEngineError(thrown);
      if (error.code !== "operation.timed_out") throw error;
      const [holder] = this.#table.holders(request);
      throw timedOut(request, { waitMs, holder, nameOf: this.#nameOf, cause: error });
    } finally {
      this.#table.leave(request);
    }
  }

  /** From now on it ends with whatever it hangs on. */
  #hold(held: Held): void {
    this.#table.add(held);
    this.#byId.set(held.id, held);
    const { lease, watch } = held;
    lease.whenLost((reason) => this.#onLost(held, reason));
    if (watch === undefined) return;
    const onEnd = () => {
      if (this.#byId.has(held.id)) this.figures.bondEndCount += 1;
      void this.#end(held);
    };
    watch.ended.addEventListener("abort", onEnd, { once: true });
    if (watch.ended.aborted) onEnd();
  }

  resume(lease: LockLease, lost?: (reason: EngineError) => void): GrantedLock {
    const held = this.#find(lease);
    if (held.bond !== "connection") {
      throw new EngineError("request.invalid", `id: this lock hangs on no connection`, {
        details: { field: "id" },
      });
    }
    held.turn += 1;
    held.lost = lost;
    return this.#granted(held);
  }

  async leave({ id, turn }: GrantedLock): Promise<void> {
    const held = this.#byId.get(id);
    // The connections that end with this daemon end no lock: their clients come back.
    if (held === undefined || held.turn !== turn || this.#stopping.signal.aborted) return;
    this.figures.bondEndCount += 1;
    await this.#end(held);
  }

  async renew(lease: LockLease, ttlMs: number | undefined): Promise<GrantedLock> {
    const held = this.#find(lease);
    try {
      await held.lease.renew(ttlMs);
      held.ttlMs = ttlMs ?? held.ttlMs;
      held.expiresAtMs = this.#expiryOf(held.lease, held.ttlMs);
    } catch (thrown) {
      throw this.#lost.get(held.id) ?? thrown;
    }
    return this.#granted(held);
  }

  async release(lease: LockLease): Promise<void> {
    await this.#end(this.#find(lease));
  }

  list(volume?: string): readonly LockView[] {
    const held =
      volume === undefined
        ? this.#table.all()
        : this.#table.ofVolume(this.#parts.volumes().inspect(volume).name);
    const inOrder = [...held].sort((one, other) => (one.lease.fence < other.lease.fence ? -1 : 1));
    return inOrder.map((each) => {
      const { id: _, turn: __, ...shown } = this.#granted(each);
      const { holder } = each;
      const name = holder.container === null ? undefined : this.#nameOf(holder.container);
      const waitingCount = this.#table.waitingFor(each);
      return { ...shown, holder, containerName: name ?? null, waitingCount };
    });
  }

  /**
   * Takes a lock away from the holder whom the fence names; the next one gets it. Rejects with
   * `lock.not_held`, `volume.not_found`, `lock.name_invalid`.
   */
  async steal(where: Omit<LockLease, "id">, fence: bigint, operation: Operation): Promise<void> {
    const lock = parseLockName(where.lock);
    const place = { volume: this.#parts.volumes().inspect(where.volume).name, lock };
    const { caller } = operation;
    const pid = caller.kind === "process" ? caller.pid : 0;
    const by = holderText(this.#holders.of(pid, ""), this.#nameOf);
    const words = `lock ${lock} of ${place.volume} was taken away by ${by}`;
    const reason = new EngineError("lock.stolen", words, { details: { ...place, by } });
    if (await this.#parts.leases.revoke(keyOf(place), fence, reason)) return;
    throw notHeld(place, `with the fence ${fence}`);
  }

  /** Of one volume, for whoever would remove it: `lock backup of rsync (process 4711)`. */
  usersOf(volume: VolumeName): readonly string[] {
    const held = this.#table.ofVolume(volume);
    const named = held.slice(0, NAMED_COUNT_MAX).map(({ lock, holder }) => {
      return `lock ${lock} of ${holderText(holder, this.#nameOf)}`;
    });
    const moreCount = held.length - named.length;
    return moreCount === 0 ? named : [...named, `${moreCount} more locks`];
  }

  /**
   * Before the connections of this daemon end: who waits is told to ask the next one, and what
   * hangs on a connection is kept for it. Resolves when all have been told.
   */
  async endWaits(): Promise<void> {
    this.#stopping.abort(new EngineError("engine.stopping", "the daemon is shutting down"));
    // They are told by promises, all of which are settled before the next turn.
    await new Promise<void>((resolve) => void setImmediate(resolve));
  }

  readonly #nameOf = (container: string): string | undefined => this.#parts.lists.nameOf(container);

  #granted({ id, volume, lock, lease, sinceMs, expiresAtMs, turn }: Held): GrantedLock {
    const { mode, fence } = lease;
    return { id, volume, lock, mode, fence, sinceMs, expiresAtMs, turn };
  }

  /** Just after it got that time. */
  #expiryOf({ expiresAtMs }: Lease, ttlMs: number | undefined): number {
    const { host } = this.#parts;
    const leftMs = ttlMs ?? (expiresAtMs ?? 0) - host.monotonicMs();
    return Math.round(host.nowMs() + leftMs);
  }

  #find({ volume, lock, id }: LockLease): Held {
    const held = this.#byId.get(id);
    const name = this.#parts.volumes().resolve(volume);
    if (held !== undefined && held.volume === name && held.lock === lock) return held;
    throw this.#lost.get(id) ?? notHeld({ volume: name, lock }, "by this id");
  }

  async #end(held: Held): Promise<void> {
    this.#forget(held);
    await held.lease[Symbol.asyncDispose]();
  }

  /** False: that was done before. */
  #forget(held: Held): boolean {
    held.watch?.[Symbol.dispose]();
    this.#byId.delete(held.id);
    if (!this.#table.remove(held)) return false;
    this.#shares.leave(held.share);
    return true;
  }

  #onLost(held: Held, thrown: unknown): void {
    if (!this.#forget(held)) return;
    const reason = lostReason(held, toEngineError(thrown));
    this.#remember(held.id, reason);
    const { volume, lock, lease, holder } = held;
    const isStolen = reason.code === "lock.stolen";
    if (isStolen) this.figures.stolenCount += 1;
    if (reason.code === "lock.expired") this.figures.expiredCount += 1;
    if (this.#exists(volume) && (isStolen || this.#news.may(volume))) {
      const { driver } = this.#parts.volumes().inspect(volume);
      const who = holderText(holder, this.#nameOf);
      const facts = { driver, lock, fence: String(lease.fence), holder: who };
      this.#parts.events.volume(isStolen ? "lock-stolen" : "lock-lost", volume, facts);
    }
    held.lost?.(reason);
  }

  #remember(id: string, reason: EngineError): void {
    this.#lost.set(id, reason);
    const [oldest] = this.#lost.keys();
    if (oldest !== undefined && this.#lost.size > LOST_COUNT_MAX) this.#lost.delete(oldest);
  }

  #endAll(volume: string): void {
    // Of an event of a volume it is one's name.
    const held = this.#table.ofVolume(volume as VolumeName);
    for (const { lease } of held) {
      const gone = new EngineError("volume.not_found", `get ${volume}: no such volume`, {
        details: { name: volume },
      });
      void this.#parts.leases.revoke(lease.key, lease.fence, gone);
    }
  }
}

interface Waiting {
  readonly keep: string;
  readonly watch: ProcessWatch | undefined;
}

const nothingWatched = { start: "", watch: undefined } as const;

function keyOf({ volume, lock }: LockPlace): LockKey {
  return `lock:${volume}/${lock}`;
}

/** Neither name has a slash in it. */
function placeOf(key: LockKey): LockPlace | undefined {
  const [, volume, lock] = /^lock:([^/]+)\/([^/]+)$/.exec(key) ?? [];
  if (volume === undefined || lock === undefined) return undefined;
  return { volume: parseVolumeName(volume), lock: parseLockName(lock) };
}
