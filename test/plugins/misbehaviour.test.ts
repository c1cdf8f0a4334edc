// Every call of a plugin × every way to misbehave: in time, in bounds, and nobody else notices.
//
// Beside the plugin that misbehaves there is a good one, which is asked all the while.
import { expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { VolumeDriver } from "../../src/core/driver.ts";
import { toEngineError } from "../../src/core/errors.ts";
import { parseHolderId, parseVolumeName } from "../../src/core/names.ts";
import { type PluginMethod, pluginMethods } from "../../src/plugins/protocol/methods.ts";
import { type Misbehaviour, misbehaviours } from "../support/fault-plugin.ts";
import { whenPossible } from "../support/needs.ts";
import { testOperation } from "../support/operation.ts";
import { pluginStage, readyDriver } from "../support/plugin-stage.ts";

/** What each call may take here, in milliseconds. */
const timeoutMs = 400;
/** A call of a driver makes at most four calls of a plugin, and three attempts to connect. */
const callMsMax = 4 * timeoutMs + 2_000;
/** A flood of 64 MiB takes its time before it is cut off. */
const floodMsMax = 20_000;
/** How long a call of the good plugin may take, on a machine that has other things to do. */
const neighbourMsMax = 500;
/** What all of it may add to the process, in bytes: a List may be 64 MiB long. */
const memoryBytesMax = 250 * 1024 * 1024;

const timeoutsMs = Object.fromEntries(
  Object.keys(pluginMethods).map((method) => [method, timeoutMs]),
);

const wiki = parseVolumeName("wiki");
const holder = parseHolderId("holder");

type Outcome = "done" | "unknown" | "found" | "absent" | "plugin.failed" | "plugin.unreachable";

interface Row {
  readonly method: PluginMethod;
  /** Makes the plugin be called so. */
  readonly call: (driver: VolumeDriver) => Promise<unknown>;
  /** What comes of nonsense; silence is always `silence`. */
  readonly nonsense: Outcome;
  readonly silence: Outcome;
  /** Answers that are sound for this call, or are not looked at. */
  readonly sound: Partial<Record<(typeof misbehaviours)[number], Outcome>>;
}

const create = (driver: VolumeDriver) =>
  driver.create({ name: parseVolumeName("fresh"), options: {} }, testOperation());
const failing = { nonsense: "plugin.failed", silence: "plugin.unreachable" } as const;
/** Nothing but `Err` is read. */
const allSaid = { empty: "done", wrong_time: "done", other_name: "done" } as const;

const rows: readonly Row[] = [
  { method: "VolumeDriver.Create", call: create, ...failing, sound: allSaid },
  {
    method: "VolumeDriver.Remove",
    call: (driver) => driver.destroy(wiki, testOperation()),
    ...failing,
    sound: allSaid,
  },
  {
    method: "VolumeDriver.Get",
    call: (driver) => driver.get(wiki, testOperation()),
    nonsense: "unknown",
    silence: "unknown",
    // The list says otherwise than "there is none".
    sound: {},
  },
  {
    method: "VolumeDriver.List",
    call: (driver) => Array.fromAsync(driver.list(testOperation())),
    ...failing,
    sound: allSaid,
  },
  {
    method: "VolumeDriver.Mount",
    call: (driver) => driver.mount(wiki, holder, testOperation()),
    ...failing,
    sound: {},
  },
  {
    method: "VolumeDriver.Unmount",
    async call(driver) {
      await driver.mount(wiki, holder, testOperation());
      await driver.unmount(wiki, holder, testOperation());
    },
    // Our own mount has ended by then: whatever it says.
    nonsense: "done",
    silence: "plugin.unreachable",
    sound: {},
  },
];

const silent: readonly Misbehaviour[] = ["hang", "crash", "trickle", "cut"];

for (const row of rows) {
  for (const how of misbehaviours) {
    whenPossible(["root", "mount"], `${row.method}: ${how}`, async () => {
      await using stage = pluginStage();
      const bad = await stage.start("bad");
      await stage.start("good");
      const isLong = row.method === "VolumeDriver.List" && how === "flood";
      const listMs = isLong ? floodMsMax : timeoutMs;
      const host = stage.open({ timeoutsMs: { ...timeoutsMs, "VolumeDriver.List": listMs } });
      const driver = await readyDriver(host, "bad");
      const neighbour = await readyDriver(host, "good");
      await driver.create({ name: wiki, options: {} }, testOperation());
      await neighbour.create({ name: wiki, options: {} }, testOperation());
      bad.misbehave(row.method, how);

      const memoryBefore = process.memoryUsage.rss();
      const startedAtMs = performance.now();
      const watched = watchNeighbour(neighbour);
      const outcome = await outcomeOf(row.call(driver));
      const tookMs = performance.now() - startedAtMs;
      const slowestMs = await watched.stop();
      expect(outcome).toBe(expected(row, how));
      expect(tookMs).toBeLessThan(isLong ? floodMsMax : callMsMax);
      expect(slowestMs).toBeLessThan(neighbourMsMax);
      expect(process.memoryUsage.rss() - memoryBefore).toBeLessThan(memoryBytesMax);

      // As soon as it behaves it is of use again, and nothing of ours is in the way.
      bad.misbehave(row.method, undefined);
      const again = await readyDriver(host, "bad");
      await again.create({ name: wiki, options: {} }, testOperation());
      const path = await again.mount(wiki, holder, testOperation());
      expect(existsSync(path)).toBe(true);
      await again.unmount(wiki, holder, testOperation());
      expect(readdirSync(stage.mounts)).toEqual([]);
      expect(bad.mountsOf("wiki")).toEqual([]);
    });
  }
}

for (const how of misbehaviours) {
  test(`Plugin.Activate: ${how}`, async () => {
    await using stage = pluginStage();
    const bad = await stage.start("bad");
    bad.misbehave("Plugin.Activate", how);
    await stage.start("good");
    const host = stage.open({ timeoutsMs: { "Plugin.Activate": timeoutMs } });
    const neighbour = await readyDriver(host, "good");
    const startedAtMs = performance.now();
    const watched = watchNeighbour(neighbour);
    const driver = host.driver("bad");
    // Whoever answers with an object that says nothing is a plugin of another sort, if of any.
    const isOther = driver === undefined;
    if (driver !== undefined) await outcomeOf(create(driver));
    expect(performance.now() - startedAtMs).toBeLessThan(callMsMax);
    expect(await watched.stop()).toBeLessThan(neighbourMsMax);
    const state = host.status("bad")?.state;
    if (how === "wrong_time") expect(state).toBe("ready");
    else if (isOther || how === "empty" || how === "other_name") expect(state).toBeUndefined();
    else expect(state).toBe("unreachable");
  });
}

function expected({ method, nonsense, silence, sound }: Row, how: (typeof misbehaviours)[number]) {
  const isSilent = silent.includes(how);
  // Docker's protocol: neither a volume nor an error means that there is none; the list has it.
  if (method === "VolumeDriver.Get" && how === "empty") return "unknown";
  return isSilent ? silence : (sound[how] ?? nonsense);
}

async function outcomeOf(work: Promise<unknown>): Promise<string> {
  try {
    const value = await work;
    const isPresence = typeof value === "object" && value !== null && "state" in value;
    return isPresence ? String(value.state) : "done";
  } catch (error) {
    return toEngineError(error).code;
  }
}

/** Asks the good plugin again and again; `stop` resolves with how long the slowest call took. */
function watchNeighbour(driver: VolumeDriver): { stop(): Promise<number> } {
  let isOver = false;
  let slowestMs = 0;
  const watching = (async () => {
    do {
      const startedAtMs = performance.now();
      const presence = await driver.get(wiki, testOperation());
      if (presence.state === "unknown") throw new Error(`a neighbour suffers: ${presence.reason}`);
      slowestMs = Math.max(slowestMs, performance.now() - startedAtMs);
      // Any faster would only be load.
      await delay(2);
    } while (!isOver);
  })();
  return {
    async stop() {
      isOver = true;
      await watching;
      return slowestMs;
    },
  };
}
