// The promises of drivers, kept by a plugin of directories behind the protocol, in its layers.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { runCheck } from "../../src/conformance/check.ts";
import { openDriverBench } from "../../src/conformance/driver-bench.ts";
import { volumeDriverChecks } from "../../src/conformance/volume-driver.ts";
import type { VolumeDriver } from "../../src/core/driver.ts";
import { openBenchFiles } from "../../src/daemon/bench-files.ts";
import { withBreaker } from "../../src/layers/breaker.ts";
import { withDeadlines } from "../../src/layers/deadline.ts";
import { randomHex } from "../support/driver-benches.ts";
import type { FaultPlugin } from "../support/fault-plugin.ts";
import { whenPossible } from "../support/needs.ts";
import { type PluginStage, pluginStage, readyDriver } from "../support/plugin-stage.ts";

describe("a plugin as a driver", () => {
  let stage: PluginStage;
  let plugin: FaultPlugin;
  let driver: VolumeDriver;
  const leftBehind: string[] = [];

  beforeAll(async () => {
    stage = pluginStage();
    plugin = await stage.start("plug");
    const monotonicMs = () => performance.now();
    const host = stage.open({
      wrap: (bare) =>
        withBreaker(withDeadlines(bare, { monotonicMs }), { monotonicMs, per: "driver" }),
    });
    driver = await readyDriver(host, "plug");
  });

  afterAll(() => stage[Symbol.asyncDispose]());

  const openBench = () =>
    openDriverBench({
      driver,
      files: openBenchFiles(`${stage.folder}/bench`),
      optionSets: [{}, { o: "another" }],
      randomHex,
      leftBehind: (what) => leftBehind.push(what),
      async hideStorage() {
        plugin.misbehave("*", "crash");
        return {
          async [Symbol.asyncDispose]() {
            plugin.misbehave("*", undefined);
          },
        };
      },
    });

  for (const check of volumeDriverChecks) {
    whenPossible(["root", "mount"], check.promise, async () => {
      const outcome = await runCheck(check, openBench);
      if (outcome.outcome === "broken") throw outcome.error;
    });
  }

  test("leaves nothing behind", () => expect(leftBehind).toEqual([]));
});
