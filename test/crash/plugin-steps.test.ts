// Managed plugins with the daemon dying at every step of every verb: what the next start finds is
// the state before or after, and nothing is left over.
//
// Steps are the single changes of the plugins' directory, calls of the runtime and programs.
// Processes outlive the daemon.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Host } from "../../src/core/host.ts";
import type { ManagedPlugin } from "../../src/core/plugin.ts";
import type { RunningPlugins } from "../../src/plugins/managed/managed-plugins.ts";
import { parseRecord, rootfsNamesOf } from "../../src/plugins/managed/record.ts";
import { temporaryDirectory } from "../support/daemon.ts";
import { type EngineBench, startedEngine } from "../support/engine-bench.ts";
import { benchImages, ManagedBench } from "../support/managed-bench.ts";
import { pluginsOver } from "../support/plugin-api.ts";
import { recordedConfigJson } from "../support/recorded-plugin.ts";
import { Mortal } from "./mortal.ts";

/** More steps than any verb has. */
const STEPS_MAX = 200;
const DATA = "what must not be lost";

interface Scenario {
  readonly verb: string;
  readonly prepare?: (stage: Stage) => Promise<void>;
  readonly act: (stage: Stage) => Promise<unknown>;
  /** The verb ends with a refusal, and is done all the same. */
  readonly isRefused?: boolean;
}

/** Whose rows and events nobody looks at. */
let engine: EngineBench;

class Stage {
  readonly bench: ManagedBench;
  readonly plugins: RunningPlugins;

  constructor(bench: ManagedBench, plugins: RunningPlugins) {
    this.bench = bench;
    this.plugins = plugins;
  }

  get id(): string {
    return this.plugins.find("vp").id;
  }

  get operation() {
    return this.bench.operation();
  }

  async install(tag = "v1"): Promise<void> {
    const { id } = await this.bench.install(this.plugins, tag);
    writeFileSync(join(this.bench.directory, id, "propagated-mount/data"), DATA);
  }

  enable = () => this.plugins.enable(this.id, this.operation);
  disable = () => this.plugins.disable(this.id, this.operation);
  remove = (force: boolean) => this.plugins.remove(this.id, { force }, this.operation);
  set = (...words: readonly string[]) => this.plugins.set(this.id, words, this.operation);

  async upgrade(tag: string): Promise<void> {
    const request = this.bench.request(tag);
    const pull = await this.plugins.upgrade(this.id, request, this.operation);
    await pull.run(() => undefined, this.operation);
  }

  async upgradeInPlace(tag: string): Promise<void> {
    const { bench, operation } = this;
    const plugins = pluginsOver(engine, this.plugins);
    await plugins.upgradeInPlace("vp", bench.request(tag), () => undefined, operation);
  }
}

const scenarios: readonly Scenario[] = [
  { verb: "install", act: (stage) => stage.bench.install(stage.plugins) },
  {
    verb: "install of a second one that shares the layer",
    prepare: (stage) => stage.install(),
    act: (stage) => stage.bench.install(stage.plugins, "v1", { name: "other" }),
  },
  { verb: "create", act: (stage) => create(stage) },
  { verb: "enable", prepare: (stage) => stage.install(), act: (stage) => stage.enable() },
  { verb: "disable", prepare: enabled, act: (stage) => stage.disable() },
  {
    verb: "set",
    prepare: (stage) => stage.install(),
    act: (stage) => stage.set("DEBUG=1", "state.source=/tmp"),
  },
  { verb: "remove", prepare: (stage) => stage.install(), act: (stage) => stage.remove(false) },
  { verb: "remove of an enabled one", prepare: enabled, act: (stage) => stage.remove(true) },
  {
    verb: "upgrade",
    prepare: async (stage) => {
      await stage.install();
      await stage.set("DEBUG=1");
    },
    act: (stage) => stage.upgrade("v2"),
  },
  {
    verb: "upgrade over one that never ran",
    prepare: async (stage) => {
      await stage.install();
      await stage.upgrade("broken");
    },
    act: (stage) => stage.upgrade("v2"),
  },
  {
    verb: "enable after an upgrade",
    prepare: async (stage) => {
      await stage.install();
      await stage.upgrade("v2");
    },
    act: (stage) => stage.enable(),
  },
  {
    verb: "enable after an upgrade to what does not start",
    prepare: async (stage) => {
      await stage.install();
      await stage.set("DEBUG=1");
      await stage.upgrade("broken");
    },
    act: (stage) => stage.enable(),
    isRefused: true,
  },
  {
    verb: "upgrade in place",
    prepare: enabled,
    act: (stage) => stage.upgradeInPlace("v2"),
  },
  {
    verb: "upgrade in place to what does not start",
    prepare: enabled,
    act: (stage) => stage.upgradeInPlace("broken"),
    isRefused: true,
  },
  {
    verb: "upgrade in place to what is not there",
    prepare: enabled,
    act: (stage) => stage.upgradeInPlace("none"),
    isRefused: true,
  },
  {
    verb: "remove after an upgrade",
    prepare: async (stage) => {
      await stage.install();
      await stage.upgrade("v2");
    },
    act: (stage) => stage.remove(false),
  },
];

beforeAll(async () => {
  engine = await startedEngine();
});

afterAll(() => engine[Symbol.asyncDispose]());

async function enabled(stage: Stage): Promise<void> {
  await stage.install();
  await stage.enable();
}

async function create(stage: Stage): Promise<void> {
  const folder = temporaryDirectory();
  try {
    mkdirSync(join(folder, "rootfs"));
    writeFileSync(join(folder, "rootfs/file"), "made");
    writeFileSync(join(folder, "config.json"), JSON.stringify(recordedConfigJson));
    const tar = spawnSync("tar", ["-C", folder, "-c", "config.json", "rootfs"]).stdout;
    await stage.plugins.create(
      "vp",
      (async function* () {
        yield new Uint8Array(tar);
      })(),
      stage.operation,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const scenario of scenarios) {
  test(`a death at every step of: ${scenario.verb}`, async () => {
    const seen = await endpointsOf(scenario);
    for (let count = 0; ; count += 1) {
      expect(count).toBeLessThan(STEPS_MAX);
      if (await liveThrough(scenario, count, seen)) break;
    }
  }, 120_000);
}

/** The states that there may be, without a death. */
interface Seen {
  readonly before: readonly unknown[];
  readonly after: readonly unknown[];
}

async function endpointsOf(scenario: Scenario): Promise<Seen> {
  const root = temporaryDirectory();
  try {
    const bench = new ManagedBench(root);
    const stage = new Stage(bench, await bench.open());
    await scenario.prepare?.(stage);
    const before = shown(stage.plugins.list());
    const refusal = await scenario.act(stage).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(refusal !== undefined).toBe(scenario.isRefused === true);
    checkWhole(bench, stage.plugins);
    return { before, after: shown(stage.plugins.list()) };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** True when the verb came to its end before the step at which it was to die. */
async function liveThrough(scenario: Scenario, steps: number, seen: Seen): Promise<boolean> {
  const root = temporaryDirectory();
  using mortal = new Mortal();
  try {
    const bench = new ManagedBench(root, (host) => mortal.host(host, removeHalf));
    const step = stepsOf(mortal, bench.host);
    bench.onRuntimeCall = step;
    const stage = new Stage(bench, await bench.open());
    await scenario.prepare?.(stage);
    mortal.watch(root);
    mortal.dieAfter(steps);
    const isAcknowledged = await scenario.act(stage).then(
      () => true,
      () => !mortal.isDead,
    );
    const hasDied = mortal.isDead;
    const last = mortal.steps.at(-1) ?? "";
    mortal.dieAfter(undefined);

    const plugins = await bench.open();
    await plugins.start(bench.operation());
    const now = shown(plugins.list());
    const allowed = isAcknowledged ? [seen.after] : [seen.before, seen.after];
    const isAllowed = allowed.some((each) => isDeepStrictEqual(each, now));
    if (!isAllowed) throw new Error(`after a death at ${last}: ${JSON.stringify(now)}`);
    checkWhole(bench, plugins, last);
    return !hasDied;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** A call of the runtime is a step as a program is. */
function stepsOf(mortal: Mortal, host: Host): (what: string) => Promise<void> {
  const ended = { exitCode: 0, stdout: "", stderr: "" };
  const counting = mortal.host({ ...host, run: async () => ended }, () => undefined);
  const operation = new ManagedBench("/nowhere").operation();
  return async (what) => void (await counting.run(what, [], operation));
}

/** What rm has done when it was killed: every second file of the tree is gone. */
function removeHalf(_program: string, words: readonly string[]): void {
  const directory = words.at(-1);
  if (directory === undefined || !words.includes("--recursive")) return;
  const files = spawnSync("find", [directory, "-type", "f"]).stdout.toString().split("\n");
  const half = files.filter((file, index) => file !== "" && index % 2 === 0);
  spawnSync("rm", ["-f", ...half]);
}

/** Of the plugins, what does not differ from run to run. */
function shown(plugins: readonly ManagedPlugin[]): readonly unknown[] {
  return plugins.map(({ id: _id, installedAtMs: _at, config, digest: _digest, ...rest }) => ({
    ...rest,
    config: { ...config, rootfs: null },
  }));
}

/** What is on disk and what runs is what the plugins say, and nothing else. */
function checkWhole(bench: ManagedBench, plugins: RunningPlugins, at = "the end"): void {
  const list = plugins.list();
  const wanted = ["blobs", ...list.map(({ id }) => id)].sort();
  expect([at, readdirSync(bench.directory).sort()]).toEqual([at, wanted]);
  const enabledIds = list.filter(({ isEnabled }) => isEnabled).map(({ id }) => id);
  expect([at, [...bench.running.keys()]]).toEqual([at, enabledIds]);
  const blobs = new Set<string>();
  for (const { id, reference, previous } of list) {
    const folder = join(bench.directory, id);
    const record = parseRecord(readFileSync(join(folder, "plugin.json"), "utf8"), id);
    expect([at, record.isPaused]).toEqual([at, false]);
    const names = ["plugin.json", "propagated-mount", ...rootfsNamesOf(record)].sort();
    expect([at, readdirSync(folder).sort()]).toEqual([at, names]);
    const versions =
      previous === null ? [record.version] : [record.version, record.previous?.version];
    for (const version of versions) {
      if (version === undefined) throw new Error("the version before is not in the record");
      const tag = version.reference.split(":").at(-1) ?? "";
      const text = benchImages[tag]?.layer;
      const file = join(folder, version.rootfs, "version");
      // Of what was made here the layer is a tar, which is not compared.
      if (text !== undefined) expect([at, readFileSync(file, "utf8")]).toEqual([at, text]);
      else expect(existsSync(file)).toBe(true);
      for (const digest of [version.digest, version.configDigest]) blobs.add(digest);
      for (const { digest } of version.layers) blobs.add(digest);
    }
    const data = join(folder, "propagated-mount/data");
    if (existsSync(data)) expect(readFileSync(data, "utf8")).toBe(DATA);
    else expect(reference.includes("vp")).toBe(true);
  }
  const stored = readdirSync(join(bench.directory, "blobs/sha256")).map((hex) => `sha256:${hex}`);
  expect([at, stored.sort()]).toEqual([at, [...blobs].sort()]);
}
