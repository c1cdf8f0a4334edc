// Simulated clients of leases: honest ones, stopped ones, dying ones, and storage that has fences.

import type { LockHistory } from "../support/lock-history.ts";
import type { Random } from "../support/random.ts";
import type { SimulatedTime } from "../support/simulated-time.ts";
import type { Answer, LeaseWorld, Request } from "./lease-world.ts";

export interface ClientParts {
  readonly name: string;
  readonly world: LeaseWorld;
  readonly time: SimulatedTime;
  readonly random: Random;
  readonly history: LockHistory;
  readonly storage: FencedStorage;
  readonly fail: (problem: string) => void;
}

const lockNames = ["a", "b", "c"] as const;
const timesToLiveMs = [1_000, 1_500, 3_000, 8_000] as const;
const waitsMs = [0, 300, 2_000, 20_000] as const;

/** What storage that compares fences lets through. */
export class FencedStorage {
  readonly #fences = new Map<string, bigint>();
  /** A state that was lost lets leases end before their time: nobody is to blame. */
  lossCount = 0;

  /** False: a later one has been here. */
  write(lock: string, fence: bigint): boolean {
    if (fence < (this.#fences.get(lock) ?? 0n)) return false;
    this.#fences.set(lock, fence);
    return true;
  }

  lastFence(lock: string): bigint | undefined {
    return this.#fences.get(lock);
  }
}

/** What a client has, and until when it may believe in it: from before it asked. */
interface Hold {
  readonly id: string;
  readonly lock: (typeof lockNames)[number];
  readonly mode: "shared" | "exclusive";
  readonly ttlMs: number;
  readonly fence: bigint;
  readonly lossCount: number;
  untilMs: number;
  isStolen: boolean;
}

/** Who has what now, for those who steal. */
export type Holds = Set<Hold>;

/** Takes and releases locks, a few rounds long. */
export async function runClient(parts: ClientParts, holds: Holds): Promise<void> {
  const { random, time, name } = parts;
  const roundCount = random.between(2, 5);
  for (let round = 0; round < roundCount; round++) {
    await time.sleep(random.between(0, 1_500));
    const hold = await acquire(parts, `${name}.${round}`);
    if (hold === undefined) continue;
    holds.add(hold);
    const isLeft = await work(parts, hold);
    holds.delete(hold);
    if (isLeft) return;
  }
}

/** Takes away a lock of somebody, now and then. */
export async function runThief(parts: ClientParts, holds: Holds): Promise<void> {
  const { random, time, world, history } = parts;
  for (let round = random.between(0, 2); round > 0; round--) {
    await time.sleep(random.between(500, 8_000));
    const [victim] = holds;
    if (victim === undefined) continue;
    const { lock, fence } = victim;
    victim.isStolen = true;
    const call = history.begin({ client: "thief", lock }, { what: "steal", fence });
    const { what } = await world.ask({ what: "steal", lock, fence });
    if (what === "done" || what === "not_held") call.answer(what);
  }
}

async function acquire(parts: ClientParts, id: string): Promise<Hold | undefined> {
  const { random, time, history, storage, name } = parts;
  const lock = random.pick(lockNames);
  const mode = random.chance(0.7) ? "exclusive" : "shared";
  const ttlMs = random.pick(timesToLiveMs);
  const leavesAfterMs = random.chance(0.1) ? random.between(0, 2_000) : undefined;
  const waitMs = random.pick(waitsMs);
  const request = { what: "acquire", id, lock, mode, ttlMs, waitMs, leavesAfterMs } as const;
  const call = history.begin({ client: name, lock, ttlMs }, { what: "acquire", mode });
  const { lossCount } = storage;
  const answer = await ask(parts, request);
  if (answer.what === "refused") call.refused();
  if (answer.what !== "granted") return undefined;
  const { fence } = answer;
  call.answer(fence);
  // Its time has begun when it was granted, which was after it had asked, but nobody knows when.
  const untilMs = request.waitMs === 0 ? time.nowMs - answer.tookMs + ttlMs : 0;
  return { id, lock, mode, ttlMs, fence, lossCount, untilMs, isStolen: false };
}

/** True: the client dies with it. */
async function work(parts: ClientParts, hold: Hold): Promise<boolean> {
  const { random, time } = parts;
  // Whoever waited renews at once, to know how long it has.
  if (hold.untilMs === 0 && !(await renew(parts, hold))) return false;
  for (let step = random.between(1, 6); step > 0; step--) {
    await time.sleep(random.between(0, hold.ttlMs / 3));
    // Stopped: it goes on as if nothing had been.
    const isStopped = random.chance(0.06);
    if (isStopped) await time.sleep(random.between(hold.ttlMs, 3 * hold.ttlMs));
    write(parts, hold, isStopped);
    if (random.chance(0.02)) return true;
    if (!(await renew(parts, hold))) return false;
  }
  await release(parts, hold);
  return false;
}

/** What is believed in must go through. */
function write({ storage, time, fail, name }: ClientParts, hold: Hold, isStopped: boolean): void {
  const { lock, mode, fence, untilMs } = hold;
  const isBelieved = time.nowMs < untilMs && hold.lossCount === storage.lossCount && !hold.isStolen;
  if (!isBelieved && !isStopped) return;
  const isDone =
    mode === "shared" ? fence >= (storage.lastFence(lock) ?? 0n) : storage.write(lock, fence);
  if (!isDone && isBelieved) {
    fail(`${name} believes in ${fence} until ${untilMs}, and ${storage.lastFence(lock)} was there`);
  }
}

async function renew(parts: ClientParts, hold: Hold): Promise<boolean> {
  const { history, name, random, time } = parts;
  const { id, lock, fence, ttlMs } = hold;
  for (let attempt = 0; attempt < 4; attempt++) {
    const call = history.begin({ client: name, lock, ttlMs }, { what: "renew", fence });
    const calledAtMs = time.nowMs;
    const { what } = await ask(parts, { what: "renew", id, ttlMs });
    if (what === "done" || what === "not_held") call.answer(what);
    if (what === "done") hold.untilMs = calledAtMs + ttlMs;
    if (what !== "gone") return what === "done";
    await time.sleep(random.between(50, 400));
  }
  return false;
}

async function release(parts: ClientParts, { id, lock, fence }: Hold): Promise<void> {
  const { history, name } = parts;
  const call = history.begin({ client: name, lock }, { what: "release", fence });
  const { what } = await ask(parts, { what: "release", id });
  if (what === "done" || what === "not_held") call.answer(what);
}

async function ask(
  { world, time }: ClientParts,
  request: Request,
): Promise<Answer & { readonly tookMs: number }> {
  const calledAtMs = time.nowMs;
  const answer = await world.ask(request);
  return { ...answer, tookMs: time.nowMs - calledAtMs };
}
