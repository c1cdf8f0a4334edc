// How many locks a container may have: by what it has, also after another daemon has begun.
import { expect, test } from "bun:test";
import { create, failureOf, named, startedEngine } from "../../../test/support/engine-bench.ts";
import { LeaseStage } from "../../../test/support/lease-stage.ts";
import { parseVolumeName } from "../../core/names.ts";
import { insideLocks } from "./inside-locks.ts";
import { LOCKS_PER_CONTAINER_MAX, LockShares } from "./lock-shares.ts";
import type { LocksFace } from "./locks-face.ts";

const words = "this container holds or waits for 256 locks: one is given no more than that";

async function started() {
  const stage = new LeaseStage();
  const bench = await startedEngine({ leases: () => stage.start() });
  await create(bench, named("wiki"));
  const volumes = [{ volume: parseVolumeName("wiki"), target: "/data", isReadOnly: false }];
  const face = (key: string): LocksFace =>
    insideLocks({
      locks: bench.engine.locks,
      resolve: (name) => bench.engine.volumes.resolve(name),
      caller: () => ({ container: null, key, volumes }),
    });
  const take = (key: string, lock: string) => {
    const terms = { ttlMs: 600_000, waitMs: 0, label: "", bond: "none" } as const;
    const request = { volume: "wiki", lock, mode: "exclusive", ...terms } as const;
    return face(key).acquire(request, bench.operation());
  };
  return { bench, face, take, [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose]() };
}

test("a container has no more locks than it may, and another one when one has ended", async () => {
  await using it = await started();
  // All at once: none of them is counted twice, or not at all.
  const wanted = Array.from({ length: LOCKS_PER_CONTAINER_MAX + 1 }, (_, index) =>
    it.take("one", `lock-${index}`).catch((error: unknown) => String(error)),
  );
  const refused = (await Promise.all(wanted)).filter((each) => typeof each === "string");
  expect(refused).toEqual([expect.stringContaining(words)]);
  await it.take("other", "lock-of-other");
  // One that is refused for another reason counts no longer.
  const free = await wanted[7];
  if (typeof free !== "object") throw new Error(free);
  await it.face("one").release(free);
  expect((await failureOf(it.take("one", "lock-of-other"))).code).toBe("lock.timed_out");
  await it.take("one", "again");
  expect((await failureOf(it.take("one", "more"))).message).toBe(words);
});

test("what the last daemon gave counts for the next one", async () => {
  await using it = await started();
  for (let index = 1; index < LOCKS_PER_CONTAINER_MAX; index++) {
    await it.take("mnt:[7]", `lock-${index}`);
  }
  await it.bench.restart();
  expect(it.bench.engine.locks.heldCount).toBe(LOCKS_PER_CONTAINER_MAX - 1);
  const last = await it.take("mnt:[7]", "last");
  expect((await failureOf(it.take("mnt:[7]", "more"))).message).toBe(words);
  await it.face("mnt:[7]").release(last);
  await it.take("mnt:[7]", "more");
});

test("containers that come, lock once and go leave nothing behind", () => {
  const shares = new LockShares();
  for (let index = 0; index < 1_000; index++) {
    shares.enter(`container ${index}`);
    shares.leave(`container ${index}`);
  }
  shares.enter(undefined);
  expect(shares.size).toBe(0);
});
