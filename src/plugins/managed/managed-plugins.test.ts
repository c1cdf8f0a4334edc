// What managed plugins promise, over a registry and a runtime in memory.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../../test/support/child.ts";
import { temporaryDirectory } from "../../../test/support/daemon.ts";
import { ManagedBench } from "../../../test/support/managed-bench.ts";
import { whenPossible } from "../../../test/support/needs.ts";
import { EngineError } from "../../core/errors.ts";
import type { PluginProgress } from "../../core/plugin.ts";
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
const entries = () => readdirSync(bench.directory).sort();
const blobs = () => readdirSync(join(bench.directory, "blobs/sha256"));
const coded = (code: string, message?: string) =>
  expect.objectContaining({ code, ...(message === undefined ? {} : { message }) });

async function upgrade(id: string, tag: string): Promise<void> {
  const pull = await plugins.upgrade(id, bench.request(tag), operation());
  await pull.run(() => undefined, operation());
}

test("an installed plugin is what Docker shows of it", async () => {
  const { id } = await bench.install(plugins, "v1", { name: "myvp" });
  expect(id).toMatch(/^[0-9a-f]{64}$/);
  expect(plugins.list()).toHaveLength(1);
  const plugin = plugins.find("myvp");
  expect(plugin).toMatchObject({
    name: "myvp:latest",
    reference: "registry.test/vp:v1",
    isEnabled: false,
    previous: null,
    settings: { env: ["DEBUG=0", "FIXED=1"], args: ["-scope", "local"] },
  });
  expect(plugins.find(id)).toEqual(plugin);
  expect(plugins.find(id.slice(0, 12))).toEqual(plugin);
});

test("the name is the remote's unless one is given", async () => {
  const pull = await plugins.pull(bench.request("v1"), operation());
  expect(pull.name).toBe("registry.test/vp:v1");
  const named = await plugins.pull(bench.request("v1", "docker.io/library/x"), operation());
  expect(named.name).toBe("x:latest");
  const digest = `x@sha256:${"0".repeat(64)}`;
  const request = bench.request("v1", digest);
  await expect(plugins.pull(request, operation())).rejects.toThrow("cannot use digest");
});

test("Docker's lines of unpacking", async () => {
  const lines: PluginProgress[] = [];
  await bench.install(plugins, "v1", { lines });
  const id = expect.stringMatching(/^[0-9a-f]{12}$/);
  expect(lines).toEqual([
    { status: "Extracting", id, isOfLayer: true, current: 0, total: 3 },
    { status: "Extracting", id, isOfLayer: true, current: 3, total: 3 },
    { status: "Complete", id, isOfLayer: true },
  ]);
});

test("privileges that were not granted exactly are refused, and nothing is left", async () => {
  for (const granted of [[], bench.request("v1").granted.slice(1)]) {
    const pull = await plugins.pull({ ...bench.request("v1"), granted }, operation());
    const error = coded("plugin.privileges", "incorrect privileges");
    await expect(pull.run(() => undefined, operation())).rejects.toThrow(error);
  }
  expect(entries()).toEqual(["blobs"]);
  expect(blobs()).toEqual([]);
});

test("a failed download leaves nothing behind", async () => {
  bench.onDownload = async () => {
    throw new EngineError("registry.failed", "died mid-layer");
  };
  await expect(bench.install(plugins)).rejects.toThrow("died mid-layer");
  expect(entries()).toEqual(["blobs"]);
  expect(blobs()).toEqual([]);
  bench.onDownload = async () => undefined;
  await bench.install(plugins);
});

test("of two installs of one name at once exactly one wins", async () => {
  const results = await Promise.allSettled([
    bench.install(plugins, "v1"),
    bench.install(plugins, "v2"),
  ]);
  expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  const lost = results.find((each) => each.status === "rejected");
  expect(lost?.reason).toEqual(coded("plugin.exists", "plugin vp:latest is being installed"));
  expect(plugins.list()).toHaveLength(1);
  expect(entries()).toHaveLength(2);
  expect(blobs()).toHaveLength(3);
  await expect(bench.install(plugins)).rejects.toThrow(coded("plugin.exists"));
});

test("what was fetched ahead stays until it is let go of, and is refused like a pull", async () => {
  const lines: PluginProgress[] = [];
  const tell = (line: PluginProgress) => void lines.push(line);
  const wrong = { ...bench.request("v2"), granted: [] };
  await expect(plugins.fetch(wrong, tell, operation())).rejects.toThrow("incorrect privileges");
  const kept = await plugins.fetch(bench.request("v2"), tell, operation());
  const [layer] = blobs();
  expect(layer).toBeDefined();
  await bench.install(plugins, "v1");
  expect(blobs()).toContain(layer ?? "");
  kept[Symbol.dispose]();
  expect(blobs()).not.toContain(layer ?? "");
});

test("blobs of an installation stay while another one ends", async () => {
  const { id } = await bench.install(plugins, "v2", { name: "other" });
  bench.onDownload = async () => {
    await plugins.remove(id, { force: false }, operation());
  };
  await bench.install(plugins, "v1");
  expect(blobs()).toHaveLength(3);
});

test("an enabled plugin runs with its settings; a disabled one does not", async () => {
  const { id } = await bench.install(plugins);
  await plugins.set(id, ["DEBUG=1"], operation());
  await plugins.enable(id, operation());
  const request = bench.running.get(id);
  expect(request?.settings.env).toEqual(["DEBUG=1", "FIXED=1"]);
  expect(readFileSync(`${request?.rootfs}/version`, "utf8")).toBe("one");
  expect(request?.propagated).toBe(join(bench.directory, id, "propagated-mount"));
  expect(plugins.endpoints()).toMatchObject([
    {
      name: "vp:latest",
      state: "running",
      socketPath: `/run/${id}.sock`,
      propagated: { inside: "/mnt/volumes" },
    },
  ]);
  const again = "plugin already enabled: plugin vp:latest is enabled";
  await expect(plugins.enable(id, operation())).rejects.toThrow(coded("plugin.enabled", again));
  await plugins.disable(id, operation());
  expect(bench.running.size).toBe(0);
  expect(plugins.endpoints()).toMatchObject([{ state: "disabled", socketPath: "" }]);
  const twice = "plugin is already disabled: plugin vp:latest found but disabled";
  await expect(plugins.disable(id, operation())).rejects.toThrow(coded("plugin.disabled", twice));
});

test("Docker's refusals of an enabled plugin", async () => {
  const { id } = await bench.install(plugins);
  await plugins.enable(id, operation());
  const refusals: readonly (readonly [() => Promise<unknown>, string])[] = [
    [
      () => plugins.set(id, ["DEBUG=1"], operation()),
      "cannot set on an active plugin, disable plugin before setting",
    ],
    [() => plugins.remove(id, { force: false }, operation()), "plugin vp:latest is enabled"],
    [
      () => plugins.upgrade(id, bench.request("v2"), operation()),
      "plugin must be disabled before upgrading: plugin vp:latest is enabled",
    ],
  ];
  for (const [refusal, message] of refusals) {
    await expect(refusal()).rejects.toThrow(coded("plugin.enabled", message));
  }
  await plugins.remove(id, { force: true }, operation());
  expect(bench.running.size).toBe(0);
  expect(bench.forgotten).toEqual([id]);
  expect(entries()).toEqual(["blobs"]);
  expect(blobs()).toEqual([]);
});

test("what did not start is disabled as before", async () => {
  const { id } = await bench.install(plugins, "broken");
  await expect(plugins.enable(id, operation())).rejects.toThrow(coded("plugin.start_failed"));
  expect(plugins.find(id).isEnabled).toBe(false);
});

test("an upgrade keeps settings and data, and the version before until it has run", async () => {
  const { id } = await bench.install(plugins);
  writeFileSync(join(bench.directory, id, "propagated-mount/data"), "kept");
  await plugins.set(id, ["DEBUG=1", "state.source=/tmp"], operation());
  await upgrade(id, "v2");
  expect(plugins.find(id)).toMatchObject({
    reference: "registry.test/vp:v2",
    previous: { reference: "registry.test/vp:v1" },
    config: { description: "v2", mounts: [{ source: "/srv/plug/state" }] },
    settings: { env: ["DEBUG=1", "FIXED=1"], mounts: [{ source: "/tmp" }] },
  });
  await plugins.enable(id, operation());
  expect(readFileSync(`${bench.running.get(id)?.rootfs}/version`, "utf8")).toBe("two");
  expect(plugins.find(id).previous).toBeNull();
  const left = readdirSync(join(bench.directory, id)).sort();
  expect(left).toEqual(["plugin.json", "propagated-mount", "rootfs-2"]);
  expect(blobs()).toHaveLength(3);
  expect(readFileSync(join(bench.directory, id, "propagated-mount/data"), "utf8")).toBe("kept");
});

test("a new version that does not start is taken back, and the message says so", async () => {
  const { id } = await bench.install(plugins);
  await plugins.set(id, ["DEBUG=1"], operation());
  const before = plugins.find(id);
  await upgrade(id, "broken");
  await expect(plugins.enable(id, operation())).rejects.toThrow(
    coded(
      "plugin.start_failed",
      "dial unix: no such file or directory; vp:latest has not been upgraded to " +
        "registry.test/vp:broken: the version before, registry.test/vp:v1, is back",
    ),
  );
  expect(plugins.find(id)).toEqual(before);
  expect(blobs()).toHaveLength(3);
  await plugins.enable(id, operation());
  expect(readFileSync(`${bench.running.get(id)?.rootfs}/version`, "utf8")).toBe("one");
});

test("an upgrade that asks for more must be granted more", async () => {
  const { id } = await bench.install(plugins);
  await expect(upgrade(id, "greedy")).rejects.toThrow(coded("plugin.privileges"));
  expect(plugins.find(id).reference).toBe("registry.test/vp:v1");
  const more = await plugins.privileges(
    "registry.test/vp:greedy",
    bench.request("v1"),
    operation(),
  );
  const request = { ...bench.request("greedy"), granted: more };
  const pull = await plugins.upgrade(id, request, operation());
  await pull.run(() => undefined, operation());
  // As Docker shows them after it has compared privileges.
  const sorted = ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"];
  expect(plugins.find(id).config.linux.capabilities).toEqual(sorted);
});

test("a start runs what is enabled, ends what is not, and shows the same", async () => {
  const { id } = await bench.install(plugins);
  await bench.install(plugins, "v2", { name: "other" });
  await plugins.enable(id, operation());
  const stray = bench.running.get(id);
  if (stray !== undefined) bench.running.set("stray", stray);
  const before = plugins.list();
  const next = await bench.open();
  expect(next.list()).toEqual(before);
  await next.start(operation());
  expect([...bench.running.keys()]).toEqual([id]);
});

test("what is told of endpoints: installs, changes, ends of processes", async () => {
  let toldCount = 0;
  const stop = plugins.followEndpoints(() => {
    toldCount += 1;
  });
  const { id } = await bench.install(plugins);
  expect(toldCount).toBe(1);
  await plugins.enable(id, operation());
  const before = toldCount;
  bench.crash(id);
  expect(toldCount).toBe(before + 1);
  expect(plugins.endpoints()).toMatchObject([{ state: "restarting" }]);
  stop();
  await plugins.disable(id, operation());
  expect(toldCount).toBe(before + 1);
});

test("a damaged plugin is put aside with all that it has, and the others start", async () => {
  const { id } = await bench.install(plugins);
  await bench.install(plugins, "v2", { name: "sound" });
  writeFileSync(join(bench.directory, id, "propagated-mount/data"), "kept");
  writeFileSync(join(bench.directory, id, "plugin.json"), '{"format": 1');
  const next = await bench.open();
  await next.start(operation());
  expect(next.list().map(({ name }) => name)).toEqual(["sound:latest"]);
  const aside = entries().find((name) => name.startsWith(`damaged-${id}`)) ?? "";
  const data = join(bench.directory, aside, "propagated-mount/data");
  expect(readFileSync(data, "utf8")).toBe("kept");
  expect(bench.told.join("\n")).toContain("a damaged plugin was put aside");
  // Its name is free again, and stays so over the next start.
  await bench.install(next);
  expect((await bench.open()).list()).toHaveLength(2);
});

test("a plugin of a newer Holdfast is left alone, with its blobs", async () => {
  const { id } = await bench.install(plugins);
  const file = join(bench.directory, id, "plugin.json");
  const newer = readFileSync(file, "utf8").replace('"format": 1', '"format": 2');
  writeFileSync(file, newer);
  const next = await bench.open();
  await next.start(operation());
  expect(next.list()).toEqual([]);
  expect(readFileSync(file, "utf8")).toBe(newer);
  expect(blobs()).toHaveLength(3);
});

test("what is not of plugins stays where it is", async () => {
  mkdirSync(join(bench.directory, "mounts"));
  mkdirSync(join(bench.directory, "somebody's"));
  const next = await bench.open();
  await next.start(operation());
  expect(entries()).toEqual(["blobs", "mounts", "somebody's"]);
});

test("calls of one plugin wait for each other", async () => {
  const { id } = await bench.install(plugins);
  const results = await Promise.allSettled([
    plugins.enable(id, operation()),
    plugins.disable(id, operation()),
    plugins.set(id, ["DEBUG=5"], operation()),
    plugins.remove(id, { force: false }, operation()),
    plugins.enable(id, operation()),
  ]);
  const kinds = results.map(({ status }) => status === "fulfilled");
  expect(kinds).toEqual([true, true, true, true, false]);
  expect(results[4]).toMatchObject({ reason: { code: "plugin.not_found" } });
});

test("after the stop nothing is begun", async () => {
  const { id } = await bench.install(plugins);
  await plugins.enable(id, operation());
  await plugins.stop(new Set([id]));
  expect([...bench.running.keys()]).toEqual([id]);
  const stopping = coded("engine.stopping");
  await expect(plugins.disable(id, operation())).rejects.toThrow(stopping);
  await expect(plugins.pull(bench.request("v2"), operation())).rejects.toThrow(stopping);
});

whenPossible(["root", "mount"], "nothing is deleted through a mount", async () => {
  const { id } = await bench.install(plugins);
  const outside = join(root, "outside");
  const inside = join(bench.directory, id, "propagated-mount/volume");
  for (const folder of [outside, inside]) mkdirSync(folder);
  writeFileSync(join(outside, "data"), "kept");
  await bench.host.bind({ source: outside, target: inside, mayHang: false }, operation());
  const busy = Bun.spawn(["sleep", "60"], { cwd: inside });
  try {
    await plugins.remove(id, { force: false }, operation());
    expect(plugins.list()).toEqual([]);
    expect(bench.told.join("\n")).toContain("what a plugin has left stays for now");
    expect(readFileSync(join(inside, "data"), "utf8")).toBe("kept");
  } finally {
    busy.kill("SIGKILL");
    await busy.exited;
  }
  await eventually(() => (entries().length === 1 ? true : undefined), {
    timeoutMs: 10_000,
    otherwise: () => `what was left is still there: ${entries()}`,
  });
  expect(readFileSync(join(outside, "data"), "utf8")).toBe("kept");
});

test("the directory of a version that went does not come again", async () => {
  const { id } = await bench.install(plugins, "v1");
  await upgrade(id, "broken");
  await expect(plugins.enable(id, operation())).rejects.toThrow("is back");
  await upgrade(id, "v2");
  const names = readdirSync(join(bench.directory, id)).filter((name) => name.startsWith("rootfs"));
  expect(names.sort()).toEqual(["rootfs", "rootfs-3"]);
});

test("a plugin whose record could not be read again is refused", async () => {
  const { id } = await bench.install(plugins, "v1");
  // Little in the image, much when what Go leaves empty has been filled in.
  const pull = await plugins.upgrade(id, bench.request("vast"), operation());
  const refused = coded("plugin.config_invalid");
  await expect(pull.run(() => undefined, operation())).rejects.toThrow(refused);
  const again = await bench.open();
  expect(again.list()).toMatchObject([{ id, reference: "registry.test/vp:v1" }]);
});
