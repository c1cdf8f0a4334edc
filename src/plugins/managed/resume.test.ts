// What an upgrade had stopped when the daemon ended, over a registry and a runtime in memory.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { temporaryDirectory } from "../../../test/support/daemon.ts";
import { ManagedBench } from "../../../test/support/managed-bench.ts";
import { EngineError } from "../../core/errors.ts";
import type { RunningPlugins } from "./managed-plugins.ts";

let root: string;
let bench: ManagedBench;
let plugins: RunningPlugins;

beforeEach(async () => {
  root = temporaryDirectory();
  bench = new ManagedBench(root);
  plugins = await bench.open();
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

const operation = () => bench.operation();
const coded = (code: string) => expect.objectContaining({ code });

async function upgrade(id: string, tag: string): Promise<void> {
  const pull = await plugins.upgrade(id, bench.request(tag), operation());
  await pull.run(() => undefined, operation());
}

test("what an upgrade stopped runs after the next start, one version or the other", async () => {
  const { id } = await bench.install(plugins);
  const reopen = async () => {
    plugins = await bench.open();
    await plugins.start(operation());
    return plugins.find(id);
  };
  await plugins.enable(id, operation());
  await plugins.pause(id, operation());
  expect([...bench.running.keys()]).toEqual([]);
  expect(await reopen()).toMatchObject({ isEnabled: true, reference: "registry.test/vp:v1" });
  await plugins.pause(id, operation());
  await upgrade(id, "v2");
  const upgraded = { isEnabled: true, reference: "registry.test/vp:v2", previous: null };
  expect(await reopen()).toMatchObject(upgraded);
  for (const tag of ["broken", "v1"]) {
    await plugins.pause(id, operation());
    await upgrade(id, tag);
    // "v1" would start, but for the machine.
    bench.onRuntimeCall = async (what) => {
      if (what.startsWith("start")) throw new EngineError("host.program_missing", "no runc");
    };
    expect(await reopen()).toMatchObject(upgraded);
    expect([...bench.running.keys()]).toEqual([id]);
    bench.onRuntimeCall = async () => undefined;
  }
  expect(bench.told.at(-1)).toContain("is enabled again");
  // The end of the daemon decides nothing.
  await plugins.pause(id, operation());
  await upgrade(id, "v1");
  const ending = new AbortController();
  bench.onRuntimeCall = async (what) => {
    if (!what.startsWith("start")) return;
    ending.abort(new EngineError("engine.stopping", "the daemon is shutting down"));
    ending.signal.throwIfAborted();
  };
  plugins = await bench.open();
  await expect(plugins.start({ ...operation(), signal: ending.signal })).rejects.toThrow();
  expect(plugins.find(id)).toMatchObject({ isEnabled: false, reference: "registry.test/vp:v1" });
  bench.onRuntimeCall = async () => undefined;
  expect(await reopen()).toMatchObject({ isEnabled: true, reference: "registry.test/vp:v1" });
});

test("what somebody disables while an upgrade has stopped it stays so", async () => {
  const { id } = await bench.install(plugins);
  await plugins.enable(id, operation());
  await plugins.pause(id, operation());
  await expect(plugins.pause(id, operation())).rejects.toEqual(coded("plugin.disabled"));
  await plugins.disable(id, operation());
  await expect(plugins.disable(id, operation())).rejects.toEqual(coded("plugin.disabled"));
  plugins = await bench.open();
  await plugins.start(operation());
  expect(plugins.find(id).isEnabled).toBe(false);
});
