// A plugin as a driver: what it is asked, what is believed of its answers, and our own mounts.
import { describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { runToEnd } from "../../test/support/child.ts";
import { whenPossible } from "../../test/support/needs.ts";
import { testOperation } from "../../test/support/operation.ts";
import {
  loggedOperation,
  type PluginStage,
  pluginStage,
  readyDriver,
  statedEndpoints,
  untilState,
} from "../../test/support/plugin-stage.ts";
import { toEngineError } from "../core/errors.ts";
import { parseDriverName, parseHolderId, parseVolumeName } from "../core/names.ts";
import type { ManagedEndpoint } from "../core/plugin.ts";
import { linuxHost } from "../host/linux.ts";
import { readMountTable } from "../host/mount-table.ts";

const wiki = parseVolumeName("wiki");
const one = parseHolderId("one");
const two = parseHolderId("two");

async function open() {
  const stage = pluginStage();
  const plugin = await stage.start("plug");
  const host = stage.open();
  const driver = await readyDriver(host, "plug");
  return { stage, plugin, host, driver, [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose]() };
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "succeeded";
  } catch (error) {
    return toEngineError(error).code;
  }
}

describe("volumes", () => {
  test("create asks first, and does not make what is there", async () => {
    await using opened = await open();
    const { driver, plugin } = opened;
    const spec = { name: wiki, options: { b: "2", a: "1" } };
    const made = await driver.create(spec, testOperation());
    expect(made).toMatchObject({ name: wiki, options: {}, origin: "made", mountpoint: "" });
    await driver.create(spec, testOperation());
    expect(plugin.calls.slice(2)).toEqual([
      "VolumeDriver.Get wiki",
      "VolumeDriver.Create wiki",
      "VolumeDriver.Get wiki",
    ]);
    expect(plugin.requests[3]?.body).toBe('{"Name":"wiki","Opts":{"a":"1","b":"2"}}\n');
  });

  test("get finds, with time, path and status", async () => {
    await using opened = await open();
    const { driver, plugin, stage } = opened;
    await driver.create({ name: wiki, options: {} }, testOperation());
    expect(await driver.get(wiki, testOperation())).toEqual({
      state: "found",
      record: {
        name: wiki,
        options: {},
        createdAtMs: Date.UTC(2026, 0, 2, 3, 4, 5),
        origin: "made",
        mountpoint: join(stage.folder, "volumes/plug/wiki"),
        identity: "",
      },
    });
    plugin.misbehave("VolumeDriver.Get", { answer: { Volume: { Status: { used: 5 } } } });
    expect(await driver.get(wiki, testOperation())).toMatchObject({
      state: "found",
      record: { status: { used: 5 }, createdAtMs: 0 },
    });
  });

  test("absent is said only when Get denies in known words and List agrees", async () => {
    await using opened = await open();
    const { driver, plugin } = opened;
    const state = async () => (await driver.get(wiki, testOperation())).state;
    expect(await state()).toBe("absent");
    plugin.misbehave("VolumeDriver.Get", "empty");
    expect(await state()).toBe("absent");
    plugin.misbehave("VolumeDriver.Get", { err: "the moon is full" });
    expect(await state()).toBe("unknown");
    plugin.misbehave("VolumeDriver.Get", "other_name");
    expect(await state()).toBe("unknown");
    plugin.misbehave("VolumeDriver.Get", undefined);
    plugin.misbehave("VolumeDriver.List", "refuse");
    expect(await state()).toBe("unknown");
    plugin.misbehave("VolumeDriver.List", { answer: { Volumes: [{ Name: "wiki" }] } });
    expect(await state()).toBe("unknown");
    await plugin.die();
    expect(await state()).toBe("unknown");
  });

  test("list has each volume once, and none that we cannot name", async () => {
    await using opened = await open();
    const { driver, plugin } = opened;
    const names = ["wiki", "x", "wiki", "../etc", "blog"];
    plugin.misbehave("VolumeDriver.List", { answer: { Volumes: names.map((Name) => ({ Name })) } });
    const listed = await Array.fromAsync(driver.list(testOperation()));
    expect(listed.map(({ name }) => String(name))).toEqual(["wiki", "blog"]);
  });

  test("what is not there is destroyed, what the plugin keeps is not", async () => {
    await using opened = await open();
    const { driver, plugin } = opened;
    await driver.destroy(wiki, testOperation());
    await driver.create({ name: wiki, options: {} }, testOperation());
    plugin.misbehave("VolumeDriver.Remove", { err: "volume wiki not found, says the lid" });
    expect(await codeOf(driver.destroy(wiki, testOperation()))).toBe("plugin.failed");
    plugin.misbehave("VolumeDriver.Remove", undefined);
    await driver.destroy(wiki, testOperation());
    expect(await driver.get(wiki, testOperation())).toEqual({ state: "absent" });
  });
});

describe("mounts", () => {
  whenPossible(["root", "mount"], "end without their plugin, when it is gone", async () => {
    await using opened = await open();
    const { driver, plugin, stage, host } = opened;
    await driver.create({ name: wiki, options: {} }, testOperation());
    const path = await driver.mount(wiki, one, testOperation());
    await plugin[Symbol.asyncDispose]();
    rmSync(join(stage.sockets, "plug.sock"), { force: true });
    await untilState(host, "plug", "gone");
    await host.release(driver.name, wiki, one, testOperation());
    await host.release(driver.name, wiki, one, testOperation());
    expect([existsSync(path), readdirSync(stage.mounts)]).toEqual([false, []]);
  });

  whenPossible(["root", "mount"], "of storage that is nowhere else end elsewhere", async () => {
    await using stage = pluginStage();
    const storage = join(stage.folder, "volumes/plug/wiki");
    await stage.start("plug");
    const ended: string[] = [];
    const real = linuxHost();
    const host = stage.open({
      host: {
        ...real,
        // It may wait for the storage, and this process has others to serve.
        unbind: () => "busy",
        async unmount(target, operation) {
          ended.push(target);
          await real.unmount(target, operation);
        },
      },
    });
    const driver = await readyDriver(host, "plug");
    await driver.create({ name: wiki, options: {} }, testOperation());
    await runToEnd("mount", ["-t", "tmpfs", "tmpfs", storage], { timeoutMs: 10_000 });
    const path = await driver.mount(wiki, one, testOperation());
    await runToEnd("umount", ["-l", storage], { timeoutMs: 10_000 });
    await driver.unmount(wiki, one, testOperation());
    expect([ended, existsSync(path)]).toEqual([[path], false]);
  });

  whenPossible(["root", "mount"], "one for each holder, until it unmounts", async () => {
    await using opened = await open();
    const { driver, plugin, stage } = opened;
    await driver.create({ name: wiki, options: {} }, testOperation());
    const first = await driver.mount(wiki, one, testOperation());
    const second = await driver.mount(wiki, two, testOperation());
    expect(first).toStartWith(`${stage.mounts}/`);
    expect(second).not.toBe(first);
    writeFileSync(join(first, "data"), "written");
    expect(readFileSync(join(second, "data"), "utf8")).toBe("written");
    expect(await driver.mount(wiki, one, testOperation())).toBe(first);
    expect(plugin.mountsOf("wiki")).toEqual(["one", "two"]);
    expect(plugin.calls.filter((call) => call.includes("Mount"))).toHaveLength(2);
    expect(await codeOf(driver.destroy(wiki, testOperation()))).toBe("volume.in_use");
    await driver.unmount(wiki, one, testOperation());
    await driver.unmount(wiki, one, testOperation());
    expect(plugin.mountsOf("wiki")).toEqual(["two"]);
    expect(existsSync(first)).toBe(false);
    await driver.unmount(wiki, two, testOperation());
    expect(readdirSync(stage.mounts)).toEqual([]);
    await driver.destroy(wiki, testOperation());
  });

  whenPossible(["root", "mount"], "outlive the daemon, and are not counted twice", async () => {
    await using opened = await open();
    const { driver, plugin, stage } = opened;
    await driver.create({ name: wiki, options: {} }, testOperation());
    const path = await driver.mount(wiki, one, testOperation());
    const next = await readyDriver(stage.open(), "plug");
    expect(await next.mount(wiki, one, testOperation())).toBe(path);
    expect(plugin.calls.filter((call) => call === "VolumeDriver.Mount wiki")).toHaveLength(1);
    await next.unmount(wiki, one, testOperation());
    expect(plugin.mountsOf("wiki")).toEqual([]);
  });

  whenPossible(["root", "mount"], "a path that is none is the plugin's failure", async () => {
    await using opened = await open();
    const { driver, plugin, stage } = opened;
    await driver.create({ name: wiki, options: {} }, testOperation());
    const paths = ["", "relative", join(stage.folder, "nowhere"), "/proc/version"];
    for (const path of paths) {
      plugin.misbehave("VolumeDriver.Mount", { answer: { Mountpoint: path } });
      const code = await codeOf(driver.mount(wiki, one, testOperation()));
      expect([path, code]).toEqual([
        path,
        path === paths[3] ? "volume.mount_failed" : "plugin.failed",
      ]);
      expect(readdirSync(stage.mounts)).toEqual([]);
    }
    // The plugin counted the mounts that led nowhere.
    expect(plugin.calls.filter((call) => call.includes("Unmount"))).toHaveLength(2);
  });

  whenPossible(["root", "mount"], "a plugin that dislikes an unmount changes nothing", async () => {
    await using opened = await open();
    const { driver, plugin, stage } = opened;
    await driver.create({ name: wiki, options: {} }, testOperation());
    await driver.mount(wiki, one, testOperation());
    plugin.misbehave("VolumeDriver.Unmount", { err: "no" });
    const warnings: string[] = [];
    await driver.unmount(wiki, one, loggedOperation(warnings));
    expect(warnings).toEqual(["a plugin does not like an unmount"]);
    expect(readdirSync(stage.mounts)).toEqual([]);
  });

  whenPossible(["root", "mount"], "a silent plugin is told of an unmount later", async () => {
    await using opened = await open();
    const { driver, plugin, stage, host } = opened;
    await driver.create({ name: wiki, options: {} }, testOperation());
    const path = await driver.mount(wiki, one, testOperation());
    await plugin.die();
    expect(await codeOf(driver.unmount(wiki, one, testOperation()))).toBe("plugin.unreachable");
    expect(readMountTable().some(({ target }) => target === path)).toBe(false);
    const again = await stage.start("plug");
    await host.lookAgain();
    const back = await readyDriver(host, "plug");
    await back.unmount(wiki, one, testOperation());
    expect(again.calls).toContain("VolumeDriver.Unmount wiki");
    expect(readdirSync(stage.mounts)).toEqual([]);
  });
});

test("paths of a managed plugin are below its file system, or its propagated mount", async () => {
  await using stage = pluginStage();
  const answers = new Map<string, string>();
  const shownPath = (volume: string) => answers.get(volume) ?? "/";
  await stage.start("inner", { shownPath });
  const managed = statedEndpoints();
  const rootfs = join(stage.folder, "rootfs");
  const outside = join(stage.folder, "propagated");
  const host = stage.open({ managed });
  managed.say([runningEndpoint(stage, { rootfs, outside })]);
  const driver = await readyDriver(host, "plug");
  expect(String(driver.name)).toBe("plug:latest");
  const shown: readonly (readonly [string, string])[] = [
    ["/mnt/volumes/wiki", join(outside, "wiki")],
    ["/mnt/volumes", outside],
    ["/mnt/volumes/../../etc", join(rootfs, "etc")],
    ["/mnt/volumes-not", join(rootfs, "mnt/volumes-not")],
    ["/data//x/", join(rootfs, "data/x")],
  ];
  mkdirSync(join(stage.folder, "volumes/inner/wiki"), { recursive: true });
  for (const [inside, expected] of shown) {
    answers.set("wiki", inside);
    expect(await driver.get(wiki, testOperation())).toMatchObject({
      record: { mountpoint: expected },
    });
  }
});

whenPossible(["root", "mount"], "no link leads out of a managed plugin's file system", async () => {
  await using stage = pluginStage();
  const answers = new Map<string, string>();
  const plugin = await stage.start("inner", { shownPath: (volume) => answers.get(volume) ?? "/" });
  mkdirSync(join(stage.folder, "volumes/inner/wiki"), { recursive: true });
  const rootfs = join(stage.folder, "rootfs");
  const outside = join(stage.folder, "propagated");
  mkdirSync(join(rootfs, "etc"), { recursive: true });
  mkdirSync(join(outside, "wiki"), { recursive: true });
  writeFileSync(join(rootfs, "etc/whose"), "the plugin's");
  writeFileSync(join(outside, "wiki/whose"), "the volume's");
  symlinkSync("/etc", join(rootfs, "absolute"));
  symlinkSync("../../../../../../../../etc", join(outside, "relative"));
  const managed = statedEndpoints();
  const host = stage.open({ managed });
  managed.say([runningEndpoint(stage, { rootfs, outside })]);
  const driver = await readyDriver(host, "plug");
  const mountOf = async (path: string): Promise<string> => {
    answers.set("wiki", path);
    try {
      const mounted = await driver.mount(wiki, one, testOperation());
      const whose = readFileSync(join(mounted, "whose"), "utf8");
      await driver.unmount(wiki, one, testOperation());
      return whose;
    } catch (error) {
      return toEngineError(error).code;
    }
  };
  expect(await mountOf("/mnt/volumes/wiki")).toBe("the volume's");
  expect(await mountOf("/absolute")).toBe("the plugin's");
  expect(await mountOf("/mnt/volumes/../../etc")).toBe("the plugin's");
  expect(await mountOf("/mnt/volumes/relative")).toBe("plugin.failed");
  expect(await mountOf("/nowhere")).toBe("plugin.failed");
  expect(plugin.mountsOf("wiki")).toEqual([]);
});

function runningEndpoint(
  stage: PluginStage,
  { rootfs, outside }: { readonly rootfs: string; readonly outside: string },
): ManagedEndpoint {
  return {
    name: parseDriverName("plug:latest"),
    id: "0".repeat(64),
    state: "running",
    sinceMs: 0,
    reason: "",
    restartCount: 0,
    socketPath: join(stage.sockets, "inner.sock"),
    life: "1",
    rootfs,
    propagated: { inside: "/mnt/volumes", outside },
  };
}
