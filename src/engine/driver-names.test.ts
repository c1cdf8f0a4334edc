// A name that a built-in driver and a plugin both have, in all the ways it can come about.
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { testOperation } from "../../test/support/operation.ts";
import type { VolumeDriver } from "../core/driver.ts";
import { parseDriverName, parseVolumeName } from "../core/names.ts";
import type { PluginState } from "../core/plugin.ts";
import type { StateStore, StateView, VolumeEntry } from "../core/state-store.ts";
import { scratchDriver } from "../drivers/scratch/driver.ts";
import { unmade } from "./creation.ts";
import { settleNames } from "./driver-names.ts";

interface Case {
  readonly rows?: readonly Partial<VolumeEntry>[];
  readonly retired?: readonly string[];
  readonly plugin?: PluginState;
  /** The built-in driver has a volume that no row knows. */
  readonly hasVolume?: true;
}

const volume: VolumeEntry = {
  ...unmade,
  ...{ name: parseVolumeName("wiki"), driver: parseDriverName("rclone"), scope: "local" },
  ...{ labels: null, options: null, createdAtMs: 0, phase: "ready" },
};

function stateOf({ rows = [], retired = [] }: Case): Pick<StateStore, "read"> {
  const volumes = rows.map((row) => ({ ...volume, ...row }));
  const inTrash = retired.map((driver) => ({
    volume: { ...volume, driver: parseDriverName(driver) },
  }));
  // The rest of a view is not asked for.
  const view = { volumes: () => volumes, retired: () => inTrash } as unknown as StateView;
  return { read: (work) => work(view) };
}

/** Who has the names, with a built-in driver `rclone` beside `local`. */
async function namesOf(which: Case): Promise<string> {
  const root = mkdtempSync("/dev/shm/holdfast-names-");
  try {
    const own = {
      root: join(root, "scratch"),
      nowMs: () => 0,
      randomHex: () => "0123456789abcdef",
    };
    const scratch = scratchDriver(own);
    if (which.hasVolume) await scratch.create({ name: volume.name, options: {} }, testOperation());
    const named = (name: string): VolumeDriver => ({ ...scratch, name: parseDriverName(name) });
    const { plugin: state } = which;
    const status = (name: string) =>
      state && {
        ...{ name: parseDriverName(name), kind: "socket" as const, state, sinceMs: 0 },
        ...{ reason: "", restartCount: 0, address: "" },
      };
    const parts = { state: stateOf(which), plugins: { status } };
    const settled = await settleNames([named("local"), named("rclone")], parts, testOperation());
    const here = settled.drivers.map(({ name }) => name).join(" ");
    return [here, ...settled.ofPlugins].join("; plugin ");
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const builtIn = "local rclone";
const plugins = "local; plugin rclone";
const identity = "a-random-one";
const latest = parseDriverName("rclone:latest");

test.each<[string, Case, string]>([
  ["nobody is there", {}, builtIn],
  ["a plugin is there", { plugin: "ready" }, plugins],
  ["a plugin is there and stopped", { plugin: "disabled" }, plugins],
  ["a plugin was there", { plugin: "gone" }, builtIn],
  ["a plugin has volumes", { rows: [{}] }, plugins],
  ["a plugin without its tag has volumes", { rows: [{ driver: latest }] }, plugins],
  ["the driver has volumes", { rows: [{ identity }], plugin: "ready" }, builtIn],
  [
    "the driver has volumes, and a plugin with a tag",
    { rows: [{ identity }, { driver: latest }] },
    builtIn,
  ],
  [
    "the same, the other way round",
    { rows: [{ driver: latest }, { identity }], plugin: "ready" },
    builtIn,
  ],
  ["a volume was on its way", { rows: [{ phase: "creating" }] }, builtIn],
  ["the driver has something in the trash", { retired: ["rclone"], plugin: "ready" }, builtIn],
  ["the state of the driver's volumes was lost", { hasVolume: true, plugin: "ready" }, builtIn],
])("%s", async (_what, which, expected) => {
  expect(await namesOf(which)).toBe(expected);
});
