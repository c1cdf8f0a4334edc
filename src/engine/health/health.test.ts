// Health of storage: when it is asked, what is believed, what is told, and what is mended.
import { describe, expect, test } from "bun:test";
import { failureOf } from "../../../test/support/engine-bench.ts";
import { IllBench } from "../../../test/support/ill-bench.ts";
import { ready, silent } from "../../../test/support/ill-storage.ts";
import type { StorageHealth } from "../../core/driver.ts";
import { parseHolderId, parseVolumeName } from "../../core/names.ts";
import { isOld } from "./health-table.ts";

async function started(): Promise<IllBench> {
  return await new IllBench().start();
}

const stale: StorageHealth = { state: "stale", reason: "its process has died", tookMs: null };
const readOnly: StorageHealth = { state: "read-only", reason: "it refuses writes", tookMs: 3 };

describe("looks", () => {
  test("held volumes are asked every 15 seconds, one idle one a minute and server", async () => {
    await using bench = await started();
    await bench.add("10.0.0.5", ["media"]);
    await bench.add("10.0.0.6", ["aa", "bb", "cc"], false);
    await bench.pass(1_000);
    bench.takeCheckCount();
    await bench.pass(60_000);
    const calls = bench.ill.calls.filter((call) => call.startsWith("check"));
    expect(calls.filter((call) => call === "check media")).toHaveLength(4);
    expect(calls.filter((call) => call !== "check media")).toHaveLength(1);
    // Another one each time.
    await bench.pass(120_000);
    const idle = new Set(bench.ill.calls.filter((call) => /^check [abc]{2}$/.test(call)));
    expect(idle.size).toBe(3);
  });

  test("what somebody looks at is asked sooner, and not more often than that", async () => {
    await using bench = await started();
    await bench.add("10.0.0.5", ["media"]);
    await bench.pass(1_000);
    bench.takeCheckCount();
    for (let count = 0; count < 15; count += 1) {
      bench.engines.engine.health.askSoon(parseVolumeName("media"), isOld);
      await bench.pass(1_000);
    }
    expect(bench.takeCheckCount()).toBe(2);
  });

  test("a volume on this machine is not looked at", async () => {
    await using bench = await started();
    await bench.add("", ["here"]);
    await bench.pass(60_000);
    expect(bench.takeCheckCount()).toBe(0);
    expect(bench.engines.engine.health.of("here")).toBeUndefined();
  });

  test("of 300 volumes of a dead server one is asked at a time, and never one twice", async () => {
    await using bench = await started();
    const names = Array.from({ length: 300 }, (_, index) => `v${index}`);
    await bench.add("10.0.0.5", names);
    await bench.pass(3_000);
    expect(bench.ill.askedAtOnceMax).toBeLessThanOrEqual(4);
    const { promise: back, resolve } = Promise.withResolvers<StorageHealth>();
    bench.ill.servers.set("10.0.0.5", back);
    bench.takeCheckCount();
    await bench.pass(60_000);
    // Whoever is stuck is not asked again.
    const { length } = bench.ill.calls;
    expect(new Set(bench.ill.calls).size).toBe(length);
    expect(length).toBeLessThan(30);
    expect(names.every((name) => bench.health(name).state === "unreachable")).toBe(true);
    bench.ill.servers.set("10.0.0.5", ready);
    resolve(ready);
    await bench.pass(5_000);
    expect(names.filter((name) => bench.health(name).state !== "ready")).toEqual([]);
  }, 60_000);

  test("a server that is dead keeps no other from being asked", async () => {
    await using bench = await started();
    await bench.add("dead", ["one", "two"]);
    await bench.add("alive", ["three"]);
    await bench.pass(1_000);
    bench.ill.servers.set("dead", Promise.withResolvers<StorageHealth>().promise);
    await bench.pass(30_000);
    bench.takeCheckCount();
    bench.ill.servers.set("alive", readOnly);
    await bench.pass(15_000);
    expect(bench.health("three").state).toBe("read-only");
  });
});

describe("states", () => {
  test("one slow answer is no news; the second is, since the first one", async () => {
    await using bench = await started();
    await bench.add("10.0.0.5", ["media"]);
    await bench.pass(1_000);
    bench.ill.volumes.set("media", silent);
    await bench.pass(15_000);
    expect(bench.health("media").state).toBe("ready");
    bench.ill.volumes.delete("media");
    await bench.pass(2_000);
    expect(bench.told).toEqual([]);
    bench.ill.volumes.set("media", silent);
    await bench.pass(20_000);
    const { state, server, reason, sinceMs } = bench.health("media");
    expect({ state, server, reason }).toEqual({
      state: "unreachable",
      server: "10.0.0.5",
      reason: "timed out",
    });
    expect(bench.engines.nowMs - (sinceMs ?? 0)).toBeGreaterThan(2_000);
    expect(bench.told).toEqual(["degraded media unreachable"]);
    bench.ill.volumes.delete("media");
    await bench.pass(2_500);
    expect(bench.told).toEqual(["degraded media unreachable", "recovered media ready"]);
    const lines = bench.engines.log.filter(({ message }) => message.includes("volume's storage"));
    expect(lines).toHaveLength(2);
  });

  test("a refusal of writes is believed at once", async () => {
    await using bench = await started();
    await bench.add("10.0.0.5", ["media"]);
    bench.ill.volumes.set("media", readOnly);
    await bench.pass(16_000);
    expect(bench.told).toEqual(["degraded media read-only"]);
  });

  test("one dead export of a server that answers is no dead server", async () => {
    await using bench = await started();
    await bench.add("10.0.0.5", ["media", "music", "photos"]);
    await bench.pass(1_000);
    bench.ill.volumes.set("media", silent);
    await bench.pass(60_000);
    expect(bench.health("media").state).toBe("unreachable");
    expect([bench.health("music").state, bench.health("photos").state]).toEqual(["ready", "ready"]);
    expect(bench.told).toEqual(["degraded media unreachable"]);
  });

  test("idle volumes of a dead server are unreachable without being asked or told of", async () => {
    await using bench = await started();
    await bench.add("10.0.0.5", ["media", "music"]);
    await bench.add("10.0.0.5", ["attic"], false);
    await bench.pass(1_000);
    bench.ill.servers.set("10.0.0.5", silent);
    await bench.pass(40_000);
    expect(bench.health("attic").state).toBe("unreachable");
    expect(bench.told.toSorted()).toEqual([
      "degraded media unreachable",
      "degraded music unreachable",
    ]);
    bench.ill.servers.delete("10.0.0.5");
    await bench.pass(5_000);
    for (const name of ["media", "music", "attic"]) expect(bench.health(name).state).toBe("ready");
  });

  test("a removed volume is forgotten, a renamed server is another one", async () => {
    await using bench = await started();
    await bench.add("10.0.0.5", ["media"], false);
    const { upkeep } = bench.engines.engine;
    const change = { labelsSet: {}, labelsRemoved: [], optionsRemoved: [] };
    await upkeep.update(
      "media",
      { ...change, optionsSet: { server: "10.0.0.6" } },
      bench.engines.operation(),
    );
    expect(bench.health("media").server).toBe("10.0.0.6");
    await bench.volumes.remove("media", bench.engines.operation());
    expect(bench.engines.engine.health.of("media")).toBeUndefined();
  });
});

describe("mending", () => {
  test("what is stale is mounted anew, tried again after longer and longer pauses", async () => {
    await using bench = await started();
    await bench.add("10.0.0.5", ["media"]);
    await bench.pass(1_000);
    bench.ill.volumes.set("media", stale);
    bench.ill.servers.set("10.0.0.5", silent);
    await bench.pass(60_000);
    const heals = bench.ill.calls.filter((call) => call === "heal media").length;
    expect(heals).toBeGreaterThan(3);
    expect(heals).toBeLessThan(12);
    expect(bench.told).toEqual(["degraded media stale"]);
    bench.ill.servers.delete("10.0.0.5");
    await bench.pass(62_000);
    expect(bench.told).toEqual(["degraded media stale", "recovered media ready"]);
    expect(bench.ill.mountCounts.get("media")).toBe(2);
  });

  test("a dead process is noticed within two seconds, and nothing is asked for that", async () => {
    await using bench = await started();
    await bench.add("10.0.0.5", ["media", "music"]);
    await bench.pass(3_000);
    bench.takeCheckCount();
    await bench.pass(5_000);
    expect(bench.ill.calls).toEqual([]);
    bench.ill.dead.add("media");
    bench.ill.volumes.set("media", stale);
    await bench.pass(2_000);
    expect(bench.told).toEqual(["degraded media stale", "recovered media ready"]);
    expect(bench.ill.calls.filter((call) => call.endsWith("music"))).toEqual([]);
  });

  test("what could not be mounted anew is mounted when its server is back", async () => {
    await using bench = await started();
    await bench.add("10.0.0.5", ["media"]);
    await bench.pass(1_000);
    bench.ill.losesMounts = true;
    bench.ill.volumes.set("media", stale);
    bench.ill.servers.set("10.0.0.5", silent);
    await bench.pass(30_000);
    expect(bench.volumes.isUnmounted(bench.volumes.inspect("media").name)).toBe(true);
    expect(bench.ill.mountCounts.get("media")).toBe(1);
    bench.ill.servers.delete("10.0.0.5");
    await bench.pass(5_000);
    expect(bench.ill.mountCounts.get("media")).toBe(2);
    expect(bench.volumes.unmounted).toEqual([]);
    expect(bench.health("media").state).toBe("ready");
  });

  test("a server that is late at a boot has its volumes mounted soon after", async () => {
    await using bench = await started();
    await bench.add("10.0.0.5", ["media", "music"]);
    await bench.pass(1_000);
    bench.ill.servers.set("10.0.0.5", silent);
    bench.ill.calls.splice(0);
    await bench.engines.restart(() => bench.ill.forgetHolders());
    await bench.pass(30_000);
    // The second one need not be tried: they have one server.
    expect(bench.ill.calls.filter((call) => call.startsWith("mount"))).toEqual(["mount media c1"]);
    expect(bench.volumes.isUnmounted(bench.volumes.inspect("media").name)).toBe(true);
    const before = bench.ill.calls.length;
    bench.ill.servers.delete("10.0.0.5");
    await bench.pass(5_000);
    const mounts = bench.ill.calls.slice(before).filter((call) => call.startsWith("mount"));
    expect(mounts.toSorted()).toEqual(["mount media c1", "mount music c1"]);
    expect(bench.volumes.unmounted).toEqual([]);
  });

  test("a mount that is none is refused: nobody gets the bare directory", async () => {
    await using bench = await started();
    await bench.add("10.0.0.5", ["media"], false);
    bench.ill.isLying = true;
    const mounting = bench.volumes.mount("media", parseHolderId("c1"), bench.engines.operation());
    const { code, message } = await failureOf(mounting);
    expect(code).toBe("volume.mount_failed");
    expect(message).toContain("nothing is mounted there");
    expect(
      bench.engines.state.read((view) => view.holders(bench.volumes.inspect("media").name)),
    ).toEqual([]);
  });
});
