// A plugin that others wrote, with mounts that can die: rclone's, on a socket of its own.
import { expect } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../../src/core/errors.ts";
import { parseHolderId, parseVolumeName } from "../../src/core/names.ts";
import { eventually } from "../support/child.ts";
import { whenPossible } from "../support/needs.ts";
import { testOperation } from "../support/operation.ts";
import {
  loggedOperation,
  type PluginStage,
  pluginStage,
  readyDriver,
} from "../support/plugin-stage.ts";
import { startRclonePlugin } from "../support/rclone-plugin.ts";

const wiki = parseVolumeName("wiki");
const one = parseHolderId("one");
const two = parseHolderId("two");
const needed = ["root", "mount", "fuse", "rclone"] as const;

function placesIn(stage: PluginStage) {
  const data = join(stage.folder, "data");
  for (const folder of [data, stage.sockets]) mkdirSync(folder, { recursive: true });
  return { data, socket: join(stage.sockets, "rclone.sock"), own: join(stage.folder, "rclone") };
}

whenPossible(needed, "a volume of rclone is made, mounted, written and removed", async () => {
  await using stage = pluginStage();
  const { data, socket, own } = placesIn(stage);
  await using plugin = await startRclonePlugin(socket, own);
  const driver = await readyDriver(stage.open(), "rclone");
  expect(await driver.get(wiki, testOperation())).toEqual({ state: "absent" });
  const spec = { name: wiki, options: plugin.optionsFor(data) };
  await driver.create(spec, testOperation());
  await driver.create(spec, testOperation());
  expect(await driver.get(wiki, testOperation())).toMatchObject({ state: "found" });
  const path = await driver.mount(wiki, one, testOperation());
  const other = await driver.mount(wiki, two, testOperation());
  // Not on this thread: what is written goes to another process first.
  await writeFile(join(path, "page"), "written");
  expect(await readFile(join(other, "page"), "utf8")).toBe("written");
  await driver.unmount(wiki, one, testOperation());
  await driver.unmount(wiki, two, testOperation());
  const written = join(data, "page");
  await eventually(() => (existsSync(written) ? true : undefined), {
    timeoutMs: 20_000,
    otherwise: () => "nothing was written through",
  });
  expect(readFileSync(written, "utf8")).toBe("written");
  expect(readdirSync(stage.mounts)).toEqual([]);
  const listed = await Array.fromAsync(driver.list(testOperation()));
  expect(listed.map(({ name }) => name)).toEqual([wiki]);
  await driver.destroy(wiki, testOperation());
  await driver.destroy(wiki, testOperation());
  expect(await driver.get(wiki, testOperation())).toEqual({ state: "absent" });
});

whenPossible(needed, "mounts that died with rclone are mounted anew", async () => {
  await using stage = pluginStage();
  const { data, socket, own } = placesIn(stage);
  await using first = await startRclonePlugin(socket, own);
  const host = stage.open();
  const driver = await readyDriver(host, "rclone");
  writeFileSync(join(data, "page"), "still there");
  await driver.create({ name: wiki, options: first.optionsFor(data) }, testOperation());
  const path = await driver.mount(wiki, one, testOperation());
  expect(await readFile(join(path, "page"), "utf8")).toBe("still there");
  await first.kill();
  await expect(readFile(join(path, "page"), "utf8")).rejects.toThrow("ENOTCONN");
  await using second = await startRclonePlugin(socket, `${own}-2`);
  await host.lookAgain();
  const again = await readyDriver(host, "rclone");
  // It has forgotten everything, as rclone and many others do.
  await again.create({ name: wiki, options: second.optionsFor(data) }, testOperation());
  const warnings: string[] = [];
  expect(await again.mount(wiki, one, loggedOperation(warnings))).toBe(path);
  expect(warnings[0]).toBe("what a plugin had mounted has died, and is mounted anew");
  expect(await readFile(join(path, "page"), "utf8")).toBe("still there");
  await again.unmount(wiki, one, testOperation());
  expect(readdirSync(stage.mounts)).toEqual([]);
  await again.destroy(wiki, testOperation());
});

whenPossible(
  needed,
  "a mount that says nothing keeps neither the thread nor its caller",
  async () => {
    await using stage = pluginStage();
    const { data, socket, own } = placesIn(stage);
    await using plugin = await startRclonePlugin(socket, own);
    const driver = await readyDriver(stage.open(), "rclone");
    await driver.create({ name: wiki, options: plugin.optionsFor(data) }, testOperation());
    const path = await driver.mount(wiki, one, testOperation());
    plugin.child.kill("SIGSTOP");
    const controller = new AbortController();
    let lastMs = performance.now();
    let longestMs = 0;
    const ticking = setInterval(() => {
      longestMs = Math.max(longestMs, performance.now() - lastMs);
      lastMs = performance.now();
    }, 5);
    // Whoever has a deadline fires it; nothing here waits for longer.
    setTimeout(() => controller.abort(new EngineError("driver.timed_out", "too late")), 300);
    const again = driver.mount(wiki, one, testOperation(controller.signal));
    await expect(again).rejects.toMatchObject({ code: "driver.timed_out" });
    clearInterval(ticking);
    expect(longestMs).toBeLessThan(200);
    plugin.child.kill("SIGCONT");
    expect(await driver.mount(wiki, one, testOperation())).toBe(path);
    await driver.unmount(wiki, one, testOperation());
    await driver.destroy(wiki, testOperation());
  },
);
