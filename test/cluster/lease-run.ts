// One seeded run of simulated clients, troubles and daemons, and what was wrong with it.

import { LockHistory } from "../support/lock-history.ts";
import { Random } from "../support/random.ts";
import { SimulatedTime } from "../support/simulated-time.ts";
import { FencedStorage, type Holds, runClient, runThief } from "./lease-clients.ts";
import { LeaseWorld } from "./lease-world.ts";

/** Longer than all clients take. */
const END_MS = 600_000;
const DAY_MS = 86_400_000;

/** undefined: all promises were kept. Otherwise what was not, and the history. */
export async function runSeed(seed: number): Promise<string | undefined> {
  const random = new Random(seed);
  const time = new SimulatedTime();
  const history = new LockHistory(() => time.nowMs);
  const storage = new FencedStorage();
  const problems: string[] = [];
  const fail = (problem: string): void => void problems.push(`${time.nowMs}: ${problem}`);
  const wasNotWritten = (): void => {
    history.stateDamaged();
    storage.lossCount += 1;
  };
  const world = new LeaseWorld({ time, random, fail, wasNotWritten });
  const holds: Holds = new Set();

  const parts = { world, time, random, history, storage, fail };
  const clientCount = random.between(2, 5);
  let endedCount = 0;
  const note = (): void => {
    endedCount += 1;
  };
  void world.start();
  for (let index = 0; index < clientCount; index++) {
    void runClient({ ...parts, name: `c${index}` }, holds).then(note);
  }
  void runThief({ ...parts, name: "thief" }, holds).then(note);
  void troubles(parts).then(note);
  await time.run(END_MS);

  if (endedCount !== clientCount + 2) fail("somebody waits for ever");
  if (!world.isUp) fail("the daemon did not come back");
  if (world.heldKeyCount > 0) fail("something is held for ever");
  if (time.eventCount > 0) fail("a timer runs for ever");
  const unexplained = history.problem();
  if (unexplained !== undefined) problems.push(unexplained);
  return problems.length === 0 ? undefined : [...problems, history.text()].join("\n");
}

type TroubleParts = Omit<Parameters<typeof runClient>[0], "name">;

/**
 * Kills, stops, and either a clock that is set or a disk that fails and loses the state: fences
 * are promised for one of the two (decision 0012).
 */
async function troubles({ world, time, random, history, storage }: TroubleParts): Promise<void> {
  const isClockSet = random.chance(0.5);
  world.isDiskFailing = !isClockSet;
  for (let round = random.between(0, 4); round > 0; round--) {
    await time.sleep(random.between(0, 5_000));
    if (random.chance(0.3)) {
      world.stop(random.between(1, 3_000));
      continue;
    }
    if (random.chance(0.5)) {
      world.tear();
      await time.sleep(random.between(0, 2_000));
    }
    world.kill();
    await time.sleep(random.between(100, random.chance(0.8) ? 900 : 9_000));
    if (isClockSet) world.setClock(random.between(-2 * DAY_MS, DAY_MS));
    else if (random.chance(0.3)) {
      const how = random.pick(["journal", "fences", "damage"] as const);
      world.loseState(how);
      if (how === "journal") history.stateLost();
      if (how === "damage") history.stateDamaged();
      if (how !== "fences") storage.lossCount += 1;
    }
    void world.start();
  }
  // It may have been killed by its own write.
  if (!world.isUp) {
    world.kill();
    void world.start();
  }
}
