// A simulated daemon of leases in many lives: killed at any moment, stopped, its disk lost or torn.
//
// The service, the table, the journal and the fences are the real ones; time, files and messages
// are the simulation's. Clients talk to it by messages that take time, and hear nothing of a death
// but that their connection is gone.
import { openFences } from "../../src/cluster/fences.ts";
import { LeaseJournal } from "../../src/cluster/lease-journal.ts";
import { type LocalLeaseService, localLeases } from "../../src/cluster/local-leases.ts";
import { EngineError, toEngineError } from "../../src/core/errors.ts";
import type { Lease, LeaseMode, LockKey } from "../../src/core/lease-service.ts";
import { silentLog } from "../../src/core/operation.ts";
import { MemoryFenceFile, MemoryJournal } from "../support/lease-files.ts";
import { testOperation } from "../support/operation.ts";
import type { Random } from "../support/random.ts";
import type { SimulatedTime } from "../support/simulated-time.ts";

/** Wall clock at the beginning: some day of 2026. */
const START_MS = 1_780_000_000_000;

export type Request =
  | {
      readonly what: "acquire";
      readonly id: string;
      readonly lock: string;
      readonly mode: LeaseMode;
      readonly ttlMs: number;
      readonly waitMs: number;
      /** The client's connection breaks then, if it still waits. */
      readonly leavesAfterMs: number | undefined;
    }
  | { readonly what: "renew"; readonly id: string; readonly ttlMs: number }
  | { readonly what: "release"; readonly id: string }
  | { readonly what: "steal"; readonly lock: string; readonly fence: bigint };

/** "gone": the connection broke, or there was nobody; whether it was done nobody knows. */
export type Answer =
  | { readonly what: "granted"; readonly fence: bigint }
  | { readonly what: "done" | "not_held" | "refused" | "gone" };

/** One who waits in a queue, as the daemon saw them come. */
interface Waiting {
  readonly id: string;
  readonly untilMs: number;
}

interface Life {
  readonly number: number;
  readonly service: LocalLeaseService;
  readonly leases: Map<string, Lease>;
  readonly queues: Map<string, Waiting[]>;
  /** Breaks the connections of all whose request has come and is not answered. */
  readonly open: Set<() => void>;
}

export interface WorldParts {
  readonly time: SimulatedTime;
  readonly random: Random;
  /** What may never happen, in words. */
  readonly fail: (problem: string) => void;
  /** A line of the journal could not be written. */
  readonly wasNotWritten: () => void;
}

export class LeaseWorld {
  readonly #parts: WorldParts;
  #journal = new MemoryJournal();
  #fences = new MemoryFenceFile();
  #life: Life | undefined;
  #lifeCount = 0;
  #aheadMs = 0;
  #stoppedUntilMs = 0;
  #willTear = false;
  /** Fences cannot always be written down. */
  isDiskFailing = false;
  readonly #fencesGiven = new Set<bigint>();

  constructor(parts: WorldParts) {
    this.#parts = parts;
  }

  get isUp(): boolean {
    return this.#life !== undefined;
  }

  get heldKeyCount(): number {
    return this.#life?.service.heldKeyCount ?? 0;
  }

  /** Begins a life; reading and writing its files takes time, and may be cut short. */
  async start(): Promise<void> {
    this.#lifeCount += 1;
    const number = this.#lifeCount;
    const { time, random } = this.#parts;
    this.#journal.onWrite = (text, isAnew) => this.#onWrite(text, isAnew, number);
    this.#fences.beforePut = async () => {
      await time.sleep(random.between(0, 30));
      if (number !== this.#lifeCount) throw new Error("killed");
      if (this.isDiskFailing && random.chance(0.1)) throw new Error("the disk is full");
    };
    const monotonicMs = () => time.nowMs;
    const nowMs = () => START_MS + time.nowMs + this.#aheadMs;
    const fences = await openFences({ file: this.#fences, nowMs, log: silentLog });
    if (number !== this.#lifeCount) return;
    // A clock of the boot is read in steps of 10 milliseconds.
    const boot = { id: "boot", nowMs: () => Math.floor(time.nowMs / 10) * 10 };
    const journal = new LeaseJournal({ file: this.#journal, boot, log: silentLog });
    const startTimer = (delayMs: number, fire: () => void) => this.#startTimer(delayMs, fire);
    const service = localLeases({ monotonicMs, nowMs, fences, journal, startTimer });
    const kept = await service.kept();
    if (number !== this.#lifeCount) return;
    const leases = new Map(kept.map(({ keep, lease }) => [keep, lease]));
    this.#life = { number, service, leases, queues: new Map(), open: new Set() };
  }

  /** As by SIGKILL. */
  kill(): void {
    const open = [...(this.#life?.open ?? [])];
    this.#life = undefined;
    this.#lifeCount += 1;
    this.#stoppedUntilMs = 0;
    this.#willTear = false;
    for (const breakOff of open) breakOff();
  }

  /** Killed in the middle of its next line. */
  tear(): void {
    this.#willTear = true;
  }

  /** As by SIGSTOP, for a while. */
  stop(ms: number): void {
    this.#stoppedUntilMs = this.#parts.time.nowMs + ms;
  }

  setClock(aheadMs: number): void {
    this.#aheadMs = aheadMs;
  }

  /** While it is down. The fences are lost as well, where they are. */
  loseState(how: "journal" | "fences" | "damage"): void {
    const { random } = this.#parts;
    if (how === "fences") this.#fences.text = random.chance(0.5) ? undefined : "17800\n";
    if (how === "journal") this.#journal.text = undefined;
    const { text } = this.#journal;
    if (how !== "damage" || text === undefined) return;
    const at = random.between(0, text.length);
    const rest = random.chance(0.5) ? "" : `#${text.slice(at + 1)}`;
    this.#journal.text = text.slice(0, at) + rest;
  }

  /** What the service is asked by a client; both ways take time. */
  async ask(request: Request): Promise<Answer> {
    await this.#parts.time.sleep(this.#delayMs());
    while (this.#stoppedUntilMs > this.#parts.time.nowMs) {
      await this.#parts.time.sleep(this.#stoppedUntilMs - this.#parts.time.nowMs);
    }
    const life = this.#life;
    if (life === undefined) return { what: "gone" };
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const breakOff = () => resolve({ what: "gone" });
    life.open.add(breakOff);
    void this.#answer(life, request).then((answer) => {
      if (life === this.#life) resolve(answer);
    });
    const answer = await promise;
    life.open.delete(breakOff);
    await this.#parts.time.sleep(this.#delayMs());
    return answer;
  }

  async #answer(life: Life, request: Request): Promise<Answer> {
    try {
      switch (request.what) {
        case "acquire":
          return await this.#acquire(life, request);
        case "renew": {
          const lease = life.leases.get(request.id);
          if (lease === undefined) return { what: "not_held" };
          await lease.renew(request.ttlMs);
          return { what: "done" };
        }
        case "release": {
          const lease = life.leases.get(request.id);
          life.leases.delete(request.id);
          if (lease === undefined || lease.lost.aborted) return { what: "not_held" };
          await lease[Symbol.asyncDispose]();
          return { what: "done" };
        }
        case "steal": {
          const reason = new EngineError("lock.stolen", "taken away");
          const isDone = await life.service.revoke(keyOf(request.lock), request.fence, reason);
          return { what: isDone ? "done" : "not_held" };
        }
      }
    } catch (error) {
      const { code } = toEngineError(error);
      if (code === "operation.timed_out" || code === "operation.cancelled") {
        return { what: "refused" };
      }
      if (code === "storage.failed")
        return { what: request.what === "acquire" ? "refused" : "gone" };
      if (code === "lock.expired" || code === "lock.stolen") return { what: "not_held" };
      if (life === this.#life) this.#parts.fail(`${request.what} ended in ${code}: ${error}`);
      return { what: "gone" };
    }
  }

  async #acquire(
    life: Life,
    { id, lock, mode, ttlMs, waitMs, leavesAfterMs }: Request & { readonly what: "acquire" },
  ): Promise<Answer> {
    const { time } = this.#parts;
    const queue = life.queues.get(lock) ?? [];
    life.queues.set(lock, queue);
    const waiting = { id, untilMs: time.nowMs + waitMs };
    queue.push(waiting);
    const leaving = new AbortController();
    const operation = testOperation(leaving.signal);
    if (leavesAfterMs !== undefined) time.after(leavesAfterMs, () => leaving.abort());
    const isStoppedEver = this.#stoppedUntilMs > 0;
    try {
      const terms = { ttlMs, waitMs, keep: id, queued: (place: number) => place };
      const lease = await life.service.acquire(keyOf(lock), mode, operation, terms);
      if (life !== this.#life) return { what: "gone" };
      this.#noteFence(lease.fence);
      if (queue[0] !== waiting) this.#parts.fail(`${id} overtook ${queue[0]?.id} in ${lock}`);
      life.leases.set(id, lease);
      return { what: "granted", fence: lease.fence };
    } finally {
      queue.splice(queue.indexOf(waiting), 1);
      const isStopped = isStoppedEver || this.#stoppedUntilMs > 0;
      const isLate = time.nowMs > waiting.untilMs + 1;
      if (life === this.#life && isLate && !isStopped) {
        this.#parts.fail(`${id} waited for ${lock} beyond its time`);
      }
    }
  }

  #noteFence(fence: bigint): void {
    if (this.#fencesGiven.has(fence)) this.#parts.fail(`fence ${fence} was given twice`);
    this.#fencesGiven.add(fence);
  }

  #startTimer(delayMs: number, fire: () => void): () => void {
    const { time } = this.#parts;
    const number = this.#lifeCount;
    let cancel = (): void => {};
    const onTime = (): void => {
      if (number !== this.#lifeCount) return;
      const leftMs = this.#stoppedUntilMs - time.nowMs;
      if (leftMs > 0) cancel = time.after(leftMs, onTime);
      else fire();
    };
    cancel = time.after(delayMs, onTime);
    return () => cancel();
  }

  #onWrite(text: string, isAnew: boolean, number: number): string {
    if (number !== this.#lifeCount) throw new Error("killed");
    const { random, wasNotWritten } = this.#parts;
    if (this.isDiskFailing && random.chance(0.01)) {
      if (!isAnew) this.#journal.text = this.#cut(text);
      wasNotWritten();
      throw new Error("the disk is full");
    }
    if (!this.#willTear || this.#life === undefined) return text;
    if (!isAnew) this.#journal.text = this.#cut(text);
    this.kill();
    throw new Error("killed");
  }

  #cut(text: string): string {
    return (this.#journal.text ?? "") + text.slice(0, this.#parts.random.between(0, text.length));
  }

  #delayMs(): number {
    const { random } = this.#parts;
    return random.chance(0.05) ? random.between(100, 900) : random.between(0, 15);
  }
}

function keyOf(lock: string): LockKey {
  return `lock:volume/${lock}`;
}
