// A program: a client of locks that does random things with them until it is killed, on record.
//
// `bun lock-client.ts '{"socket":…}'`: several lanes, each one operation after the other.
import { writeSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { LockBond } from "../../src/core/lock.ts";
import { Random } from "../crash/random.ts";
import { LockCaller } from "./lock-caller.ts";
import type { RecordLine } from "./record.ts";

export interface LockClientPlan {
  /** Begins the numbers of its calls. */
  readonly name: string;
  readonly socket: string;
  readonly volume: string;
  readonly locks: readonly string[];
  readonly seed: number;
  readonly lanes: number;
}

const bonds: readonly LockBond[] = ["none", "process", "connection"];
/** The shortest that there is, so that many run out. */
const ttlsMs = [1_000, 1_000, 1_500];
const waitsMs = [0, 0, 50, 500, 3_000];
const keepMsMax = 60;
/** A holder that sleeps past its time to live. */
const oversleepMs = 1_700;
const retryMs = 20;

async function lane(plan: LockClientPlan, caller: LockCaller, random: Random): Promise<void> {
  for (;;) {
    const lock = random.pick(plan.locks);
    const reached = await oneThing(caller, random, lock);
    // The daemon is just being killed or started.
    if (!reached) await delay(retryMs);
  }
}

/** False: there is no daemon. */
async function oneThing(caller: LockCaller, random: Random, lock: string): Promise<boolean> {
  const dice = random.fraction();
  if (dice < 0.12) return (await caller.list(lock)) !== undefined;
  if (dice < 0.2) return await stealOne(caller, random, lock);
  const lease = await caller.acquire({
    lock,
    mode: random.chance(0.6) ? "exclusive" : "shared",
    bond: random.pick(bonds),
    ttlMs: random.pick(ttlsMs),
    waitMs: random.pick(waitsMs),
  });
  if (lease === "unreached") return false;
  if (lease === "refused") {
    await delay(random.fraction() * retryMs);
    return true;
  }
  await delay(random.fraction() * keepMsMax);
  while (random.chance(0.4)) {
    if (random.chance(0.05)) await delay(oversleepMs);
    await caller.renew(lease, random.pick(ttlsMs));
    await delay(random.fraction() * keepMsMax);
  }
  const end = random.fraction();
  if (end < 0.85) await caller.release(lease);
  // Its connection ends without a word; or nothing at all is said, and its time runs out.
  else if (end < 0.93) lease.cut();
  return true;
}

async function stealOne(caller: LockCaller, random: Random, lock: string): Promise<boolean> {
  const held = await caller.list(lock);
  if (held === undefined) return false;
  if (held.length === 0) return true;
  await delay(random.fraction() * 5);
  return await caller.steal(lock, random.pick(held).fence);
}

if (import.meta.main) {
  // Written by startLockClient.
  const plan = JSON.parse(process.argv[2] ?? "") as LockClientPlan;
  const write = (line: RecordLine) => void writeSync(1, `${JSON.stringify(line)}\n`);
  const random = new Random(plan.seed);
  const caller = new LockCaller(plan, write);
  await Promise.all(Array.from({ length: plan.lanes }, () => lane(plan, caller, random.fork())));
}
