// Plugins as callers know them: what is in use, what is told, upgrades that are whole or undone.
import { describe, expect, test } from "bun:test";
import {
  create,
  type EngineBench,
  failureOf,
  named,
  names,
  startedEngine,
} from "../../../test/support/engine-bench.ts";
import { EngineError } from "../../core/errors.ts";
import { type DriverName, parseHolderId } from "../../core/names.ts";
import type { PullRequest } from "../../core/plugin.ts";

const request: PullRequest = { remote: "vp:v2", granted: [], auth: undefined, metaHeaders: [] };
const unforced = { force: false };

async function withVolume(): Promise<EngineBench> {
  const bench = await startedEngine({ plugins: (all) => void all.install("mp:latest") });
  await create(bench, named("wiki", { driver: "mp" }));
  bench.events.length = 0;
  return bench;
}

/** As `action actor name`. */
function told(bench: EngineBench): readonly string[] {
  return bench.events.map(({ type, action, actor, attributes }) =>
    [type, action, actor.slice(0, 8), attributes["name"]].join(" "),
  );
}

describe("a plugin with volumes", () => {
  test("is in use, and is stopped and removed by force only; they stay listed", async () => {
    await using bench = await withVolume();
    const { plugins } = bench.engine;
    for (const refused of [
      () => plugins.disable("mp", unforced, bench.operation()),
      () => plugins.remove("mp", unforced, bench.operation()),
    ]) {
      const { code, message } = await failureOf(refused());
      expect([code, message]).toEqual(["plugin.in_use", "plugin mp:latest is in use"]);
    }
    const { plugin, status, volumeCount } = await plugins.disable(
      "mp",
      { force: true },
      bench.operation(),
    );
    expect([plugin.isEnabled, status?.state, volumeCount]).toEqual([false, "disabled", 1]);
    await plugins.remove("mp", { force: true }, bench.operation());
    expect(names(bench)).toEqual(["wiki"]);
    expect(plugins.list()).toEqual([]);
    expect(plugins.sockets()).toMatchObject([
      { status: { name: "mp:latest", state: "gone" }, volumeCount: 1 },
    ]);
    expect(told(bench)).toEqual(["plugin disable 11111111 mp", "plugin remove 11111111 mp"]);
  });

  test("is told as gone from when it went", async () => {
    await using bench = await startedEngine({ plugins: (all) => void all.socket("vp") });
    await create(bench, named("wiki", { driver: "vp" }));
    const before = bench.engine.plugins.sockets()[0]?.status.sinceMs ?? 0;
    bench.plugins.become("vp", "gone", "its socket is gone");
    const gone = { state: "gone", reason: "its socket is gone", sinceMs: before + 1 };
    expect(bench.engine.plugins.sockets()).toMatchObject([{ status: gone, volumeCount: 1 }]);
  });

  test("is one that a clean stop leaves running while somebody has one of them", async () => {
    await using bench = await withVolume();
    const used = () => [...bench.engine.plugins.held()];
    await create(bench, named("local"));
    const holder = parseHolderId("c1");
    await bench.engine.volumes.mount("local", holder, bench.operation());
    expect(used()).toEqual([]);
    await bench.engine.volumes.mount("wiki", holder, bench.operation());
    expect(used()).toEqual(["mp:latest" as DriverName]);
    await bench.engine.volumes.unmount("wiki", holder, bench.operation());
    expect(used()).toEqual([]);
  });
});

describe("an upgrade in place", () => {
  const upgrade = (bench: EngineBench) =>
    bench.engine.plugins.upgradeInPlace("mp", request, () => undefined, bench.operation());

  test("stops it, upgrades it and starts it again", async () => {
    await using bench = await withVolume();
    const { plugin, status } = await upgrade(bench);
    expect(plugin).toMatchObject({ reference: "vp:v2", isEnabled: true });
    expect(status?.state).toBe("ready");
    expect(names(bench)).toEqual(["wiki"]);
    expect(told(bench)).toEqual([
      "plugin disable 11111111 mp",
      "plugin pull vp:v2 mp:latest",
      "plugin enable 11111111 mp",
    ]);
  });

  test("that cannot be downloaded stops nothing", async () => {
    await using bench = await withVolume();
    bench.plugins.pullFailure = new EngineError("registry.unreachable", "no route to host");
    const { code, message } = await failureOf(upgrade(bench));
    expect([code, message]).toEqual(["registry.unreachable", "no route to host"]);
    expect(bench.engine.plugins.find("mp").status?.state).toBe("ready");
    expect(told(bench)).toEqual([]);
    expect(names(bench)).toEqual(["wiki"]);
  });

  test("whose new version does not start, nor the old one, says both", async () => {
    await using bench = await withVolume();
    const failed = (text: string) => new EngineError("plugin.start_failed", text);
    bench.plugins.startFailures.push(failed("new one is broken"));
    expect((await failureOf(upgrade(bench))).message).toBe(
      "new one is broken; plugin mp:latest runs again",
    );
    bench.plugins.startFailures.push(failed("new one is broken"), failed("no memory"));
    expect((await failureOf(upgrade(bench))).message).toBe(
      "new one is broken; plugin mp:latest could not be started again: no memory",
    );
    expect(bench.engine.plugins.find("mp").plugin.isEnabled).toBe(false);
  });

  test("is refused while somebody has a volume, and starts none that was stopped", async () => {
    await using bench = await withVolume();
    const holder = parseHolderId("c1");
    await bench.engine.volumes.mount("wiki", holder, bench.operation());
    const { code, message } = await failureOf(upgrade(bench));
    expect(code).toBe("plugin.in_use");
    expect(message).toContain("somebody has its volumes wiki");
    expect(bench.engine.plugins.find("mp").plugin.isEnabled).toBe(true);
    await bench.engine.volumes.unmount("wiki", holder, bench.operation());
    await bench.engine.plugins.disable("mp", { force: true }, bench.operation());
    expect((await upgrade(bench)).plugin).toMatchObject({ reference: "vp:v2", isEnabled: false });
  });
});

test("an installation is told of when it begins, also one that is refused in the end", async () => {
  await using bench = await startedEngine();
  const { plugins } = bench.engine;
  bench.plugins.pullFailure = new EngineError("plugin.privileges", "incorrect privileges");
  const pull = await plugins.pull({ ...request, name: "mp:latest" }, bench.operation());
  expect(told(bench)).toEqual([]);
  const running = pull.run(() => undefined, bench.operation());
  expect((await failureOf(running)).code).toBe("plugin.privileges");
  expect(told(bench)).toEqual(["plugin pull vp:v2 mp:latest"]);
});

test("what is created, set, enabled and found goes by what the caller says", async () => {
  await using bench = await startedEngine();
  const { plugins } = bench.engine;
  async function* nothing(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array();
  }
  const { plugin } = await plugins.create("mp:latest", nothing(), bench.operation());
  const set = await plugins.set("mp", ["DEBUG=1"], bench.operation());
  expect(set.plugin.settings.env).toEqual(["DEBUG=1"]);
  await plugins.enable(plugin.id.slice(0, 4), bench.operation());
  expect(plugins.find("docker.io/library/mp").plugin.isEnabled).toBe(true);
  expect((await failureOf(() => plugins.find("other"))).code).toBe("plugin.not_found");
  expect(told(bench)).toEqual(["plugin create 11111111 mp:latest", "plugin enable 11111111 1111"]);
});

test("two calls of one plugin wait for each other", async () => {
  await using bench = await withVolume();
  const { plugins } = bench.engine;
  const all = await Promise.allSettled([
    plugins.disable("mp", { force: true }, bench.operation()),
    plugins.enable("mp", bench.operation()),
    plugins.disable("mp", { force: true }, bench.operation()),
  ]);
  expect(all.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "fulfilled"]);
  expect(told(bench).map((line) => line.split(" ")[1])).toEqual(["disable", "enable", "disable"]);
});

test("an engine without plugins has none, and says so", async () => {
  await using bench = await startedEngine();
  expect(bench.engine.plugins.list()).toEqual([]);
  expect(bench.engine.plugins.sockets()).toEqual([]);
  expect(bench.engine.pluginVolumes.refresh()).toBeUndefined();
});

test("a plugin that runs by itself is no managed one, which its name tells", async () => {
  await using bench = await startedEngine({ plugins: (all) => void all.socket("rclone") });
  const { plugins } = bench.engine;
  const calls = [
    () => plugins.disable("rclone", unforced, bench.operation()),
    () => plugins.remove("rclone", unforced, bench.operation()),
  ];
  for (const call of calls) {
    const { code, message } = await failureOf(call());
    expect(code).toBe("plugin.not_found");
    expect(message).toStartWith('plugin "rclone" not found: what has this name runs by itself');
  }
  const { message } = await failureOf(plugins.disable("nobody", unforced, bench.operation()));
  expect(message).toBe('plugin "nobody" not found');
});
