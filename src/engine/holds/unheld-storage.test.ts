// Mounts that nobody has end at the start, also where something looks at them just then.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { IllBench } from "../../../test/support/ill-bench.ts";
import { localLeases } from "../../cluster/local-leases.ts";
import type { VolumeDriver } from "../../core/driver.ts";
import { EngineError } from "../../core/errors.ts";
import { parseHolderId, parseVolumeName } from "../../core/names.ts";
import { endUnheldStorage } from "./unheld-storage.ts";

const media = parseVolumeName("media");

let bench: IllBench;
beforeEach(async () => {
  bench = await new IllBench().start();
  await bench.add("nas", [media], false);
  // A crash came between this and its row.
  await bench.ill.driver.mount(media, parseHolderId("c1"), bench.engines.operation());
});
afterEach(() => bench[Symbol.asyncDispose]());

/** What is mounted is busy so many times. */
async function end(busyCount: number, againMs: readonly number[], signal?: AbortSignal) {
  let tries = 0;
  const driver: VolumeDriver = {
    ...bench.ill.driver,
    async unmount() {
      tries += 1;
      if (tries <= busyCount) throw new EngineError("storage.failed", "target is busy");
      bench.ill.forgetHolders();
    },
  };
  const { state, host } = bench.engines;
  const drivers = { get: () => driver };
  const parts = { state, leases: localLeases(host), host, drivers, againMs };
  await endUnheldStorage(parts, bench.engines.operation(signal));
  return tries;
}

function warnings(): readonly string[] {
  return bench.engines.log.filter(({ level }) => level === "warn").map(({ message }) => message);
}

test("a mount that nobody has ends", async () => {
  expect(await end(0, [1, 1])).toBe(1);
  expect(warnings()).toEqual([]);
});

test("one that is busy is tried again until it ends", async () => {
  expect(await end(2, [1, 1, 1])).toBe(3);
  expect(warnings()).toEqual([]);
});

test("one that stays busy is told of once", async () => {
  expect(await end(100, [1, 1])).toBe(3);
  expect(warnings()).toEqual(["what nobody has stays mounted"]);
});

test("the end of the daemon does not wait for the next try", async () => {
  const stopping = new AbortController();
  const ended = end(100, [3_600_000], stopping.signal);
  setTimeout(() => stopping.abort(new Error("the daemon is shutting down")), 20);
  expect(await ended).toBe(1);
});

test("one that somebody has by now stays", async () => {
  await bench.volumes.mount(media, parseHolderId("c2"), bench.engines.operation());
  expect(await end(0, [])).toBe(0);
});
