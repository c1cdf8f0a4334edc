// A process that takes, renews and releases leases as fast as it can, and says each once answered.
//
// Arguments: the directory of its files. It ends when it is killed.
import { writeSync } from "node:fs";
import { fenceFile, openFences } from "../../src/cluster/fences.ts";
import { journalFile, LeaseJournal } from "../../src/cluster/lease-journal.ts";
import { localLeases } from "../../src/cluster/local-leases.ts";
import type { Lease } from "../../src/core/lease-service.ts";
import { silentLog } from "../../src/core/operation.ts";
import { bootClock } from "../../src/host/boot-clock.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { testOperation } from "./operation.ts";

const KEY_COUNT = 50;

const [directory = ""] = process.argv.slice(2);
const { nowMs, monotonicMs } = linuxHost();
const fences = await openFences({ file: fenceFile(directory), nowMs, log: silentLog });
const file = journalFile(directory);
const journal = new LeaseJournal({ file, boot: bootClock(), log: silentLog });
const leases = localLeases({ nowMs, monotonicMs, fences, journal });
const terms = { ttlMs: 60_000, waitMs: 0, keep: JSON.stringify("x".repeat(300)) };

/** What was answered is with the reader before the next thing is done. */
function say(what: string, fence: bigint): void {
  writeSync(1, `${what} ${fence}\n`);
}

for (const { lease } of await leases.kept()) {
  say("kept", lease.fence);
  await lease[Symbol.asyncDispose]();
}
const held = new Map<number, Lease>();
for (let round = 0; ; round++) {
  const index = (round * 7) % KEY_COUNT;
  const lease = held.get(index);
  if (lease === undefined) {
    const key = `lock:volume/${index}` as const;
    const taken = await leases.acquire(key, "exclusive", testOperation(), terms);
    held.set(index, taken);
    say("granted", taken.fence);
  } else {
    if (round % 3 === 0) await lease.renew();
    say("releasing", lease.fence);
    await lease[Symbol.asyncDispose]();
    held.delete(index);
    say("released", lease.fence);
  }
  if (round % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
}
