// Plugins that mean harm: paths that lead out, mounts over mounts and floods of them, endless logs,
// children that do not want to end. Nothing of the host is reached, and nothing is left of them.
import { afterAll, beforeAll, expect } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { readMountTable } from "../../src/host/mount-table.ts";
import { holderPath } from "../crash/client.ts";
import { eventually } from "../support/child.ts";
import { type FaultPlugin, startFaultPlugin } from "../support/fault-plugin.ts";
import { needs, whenPossible } from "../support/needs.ts";
import { PluginHouse } from "../support/plugin-house.ts";
import { callPlugin, makePluginRootfs } from "../support/plugin-rootfs.ts";

const needed = ["root", "mount", "docker-cli", "plugin-runtime"] as const;
const testTimeoutMs = 120_000;
const patienceMs = 60_000;
const mountCount = 400;
/** What is kept of a plugin's log, in bytes: two files of 1 MiB, and what is written meanwhile. */
const logBytesMax = 4 * 1024 * 1024;
const messageLengthMax = 8_192;

const house = new PluginHouse();
let socketPlugin: FaultPlugin;

beforeAll(async () => {
  if (needs(...needed).skip !== undefined) return;
  socketPlugin = await startFaultPlugin(
    join(house.sockets, "liar.sock"),
    join(house.folder, "volumes"),
  );
  await house.start();
  await add("vp");
});

afterAll(async () => {
  await socketPlugin?.[Symbol.asyncDispose]();
  await house[Symbol.asyncDispose]();
});

/** A plugin of this name that runs. */
async function add(
  name: string,
  changes: Parameters<typeof makePluginRootfs>[2] = {},
  ...settings: readonly string[]
): Promise<void> {
  const made = join(house.folder, name);
  rmSync(made, { recursive: true, force: true });
  const { rootfs } = await makePluginRootfs(made, "propagated", changes);
  mkdirSync(join(rootfs, "etc"), { recursive: true });
  writeFileSync(join(rootfs, "etc/whose"), "the plugin's");
  symlinkSync("/etc", join(rootfs, "to-etc"));
  symlinkSync("/proc/1/root/etc", join(rootfs, "to-host"));
  symlinkSync(`${"../".repeat(20)}etc`, join(rootfs, "up"));
  await house.docker("plugin", "create", name, made);
  if (settings.length > 0) await house.docker("plugin", "set", name, ...settings);
  await house.docker("plugin", "enable", name);
}

async function end(name: string): Promise<void> {
  await house.docker("plugin", "disable", "--force", name);
  await house.becomesWhole(`after ${name} was disabled`);
}

function idOf(name: string): string {
  const record = house.records().find((one) => one.name === `${name}:latest`);
  if (record === undefined) throw new Error(`${name} is not installed`);
  return record.id;
}

const call = (name: string, method: string, what: string) => {
  const socket = join(house.runDirectory, idOf(name).slice(0, 16), "plugin.sock");
  return callPlugin(socket, method, { Name: what });
};

const propagated = (name: string) => join(house.root, "plugins", idOf(name), "propagated-mount");

/** Where a holder has the volume; or what the mount was refused with. */
async function mounted(name: string): Promise<{ readonly path?: string; readonly why?: string }> {
  const { status, body } = await house.client.send("PUT", holderPath(name, "c1"));
  // Our own route's answer, or our own refusal.
  const { path, message } = body as { readonly path?: string; readonly message?: string };
  return status === 200 && path !== undefined ? { path } : { why: message ?? "" };
}

/** Nobody has it, and it can be removed. */
async function goes(name: string): Promise<void> {
  await house.client.expect(204, "DELETE", holderPath(name, "c1"));
  await house.client.expect(204, "DELETE", `/volumes/${name}`);
  expect(house.ownMounts()).toEqual([]);
}

/** The path that the plugin answers; what must be there then: nothing, or of the plugin's own. */
const paths: readonly (readonly [path: string, there: "nothing" | "the plugin's etc"])[] = [
  ["/etc", "the plugin's etc"],
  ["/../../../../etc", "the plugin's etc"],
  ["/mnt/volumes/../../../etc", "the plugin's etc"],
  ["/to-etc", "the plugin's etc"],
  ["/up", "the plugin's etc"],
  // What is at /proc of its root file system is an empty directory, seen from outside.
  ["/to-host", "nothing"],
  ["/proc/1/root", "nothing"],
  ["/proc/1/root/etc", "nothing"],
  ["/proc/self/cwd", "nothing"],
  ["/bin/plugin", "nothing"],
  ["/nowhere", "nothing"],
  ["@/etc", "nothing"],
  ["@../../../../../etc", "nothing"],
  ["@/proc/1/root/etc", "nothing"],
  ["@/dev", "nothing"],
];

for (const [path, there] of paths) {
  whenPossible(needed, `a volume at ${path}`, async () => {
    const DriverOpts = { path };
    const wanted = { Name: "wiki", Driver: "vp", DriverOpts };
    await house.client.expect(201, "POST", "/volumes/create", wanted);
    const { path: place, why } = await mounted("wiki");
    if (there === "nothing") {
      expect([place, why]).toEqual([undefined, expect.stringContaining("plugin vp:latest says")]);
    } else {
      expect(why).toBeUndefined();
      expect(place?.startsWith(`${house.root}/plugins/mounts/`)).toBe(true);
      expect(readdirSync(place ?? "")).toEqual(["whose"]);
    }
    await goes("wiki");
    expect((await call("vp", "Test.Read", "/proc/self/mounts"))["Err"]).toBe("");
  });
}

whenPossible(
  needed,
  "a path that is too long, relative, a file, and one that changes",
  async () => {
    const { client } = house;
    await client.expect(201, "POST", "/volumes/create", { Name: "wiki", Driver: "liar" });
    const file = join(house.folder, "a-file");
    writeFileSync(file, "");
    const wrong = [`/${"a".repeat(1024 * 1024)}`, "relative/path", "../../etc", file, "/a\0b", ""];
    for (const Mountpoint of wrong) {
      socketPlugin.misbehave("VolumeDriver.Mount", { answer: { Mountpoint } });
      const { path, why } = await mounted("wiki");
      expect([Mountpoint.slice(0, 20), path]).toEqual([Mountpoint.slice(0, 20), undefined]);
      expect(why?.length).toBeLessThan(messageLengthMax);
      expect(house.ownMounts()).toEqual([]);
    }
    const folders = ["one", "two"].map((name) => join(house.folder, name));
    for (const folder of folders) {
      mkdirSync(folder);
      writeFileSync(join(folder, "whose"), folder);
    }
    const places: (string | undefined)[] = [];
    for (const Mountpoint of [...folders, ...folders]) {
      socketPlugin.misbehave("VolumeDriver.Mount", { answer: { Mountpoint } });
      socketPlugin.misbehave("VolumeDriver.Get", {
        answer: { Volume: { Name: "wiki", Mountpoint: `${Mountpoint}/x` } },
      });
      places.push((await mounted("wiki")).path);
      expect(readMountTable().filter(({ target }) => target === places[0]).length).toBe(1);
    }
    // Who has it has it where it was: the first answer counts until the last one has let go.
    expect(new Set(places).size).toBe(1);
    expect(await Bun.file(join(places[0] ?? "", "whose")).text()).toBe(folders[0] ?? "");
    for (const method of ["Mount", "Get"]) {
      socketPlugin.misbehave(`VolumeDriver.${method}`, undefined);
    }
    await goes("wiki");
  },
);

whenPossible(
  needed,
  "mounts over its propagated mount, over our mount of it, over its sockets",
  async () => {
    await house.client.expect(201, "POST", "/volumes/create", { Name: "wiki", Driver: "vp" });
    const { path = "" } = await mounted("wiki");
    writeFileSync(join(path, "kept"), "as it was");
    for (const place of ["/mnt/volumes/wiki", "/mnt/volumes", "/mnt/volumes", "/mnt"]) {
      expect((await call("vp", "Test.Mount", place))["Err"]).toBe("");
    }
    // Whoever has the volume has its data.
    expect(await Bun.file(join(path, "kept")).text()).toBe("as it was");
    expect((await call("vp", "Test.Mount", "/run/docker/plugins"))["Err"]).toBe("");
    const host = ["/etc", "/mnt", "/run/docker/plugins", "/"];
    const tmpfs = readMountTable().filter(
      ({ target, fileSystem }) => host.includes(target) && fileSystem === "tmpfs",
    );
    expect(tmpfs).toEqual([]);
    await house.client.expect(204, "DELETE", holderPath("wiki", "c1"));
    await end("vp");
    await house.docker("plugin", "enable", "vp");
    await house.becomesWhole("after it was enabled again");
    const again = await mounted("wiki");
    expect(await Bun.file(join(again.path ?? "", "kept")).text()).toBe("as it was");
    await goes("wiki");
  },
  testTimeoutMs,
);

whenPossible(
  needed,
  `${mountCount} mounts at once`,
  async () => {
    await call("vp", "Test.Mounts", String(mountCount));
    const arrived = () =>
      readMountTable().filter(({ target }) => target.startsWith(`${propagated("vp")}/many-`));
    expect(arrived().length).toBe(mountCount);
    const ending = end("vp");
    // Others are served meanwhile.
    let isOver = false;
    const over = ending.finally(() => {
      isOver = true;
    });
    let rounds = 0;
    while (!isOver) {
      await house.client.expect(201, "POST", "/volumes/create", { Name: "other" });
      await house.client.expect(204, "DELETE", "/volumes/other");
      rounds += 1;
    }
    await over;
    expect(rounds).toBeGreaterThan(3);
    expect(arrived()).toEqual([]);
    await house.docker("plugin", "enable", "vp");
  },
  testTimeoutMs,
);

function logBytes(name: string): number {
  const directory = join(house.root, "plugins/logs", idOf(name));
  if (!existsSync(directory)) return 0;
  return readdirSync(directory)
    .map((file) => statSync(join(directory, file)).size)
    .reduce((sum, size) => sum + size, 0);
}

whenPossible(
  needed,
  "a log without end",
  async () => {
    // Some 40 MB at its start, and then a line of 200 kB again and again.
    await add("chatty", {}, "LOG_LINES=3000000");
    expect(logBytes("chatty")).toBeLessThan(logBytesMax);
    for (let line = 0; line < 30; line++) await call("chatty", "Test.Log", "x".repeat(4_000));
    await eventually(() => (logBytes("chatty") < logBytesMax ? true : undefined), {
      timeoutMs: patienceMs,
      otherwise: () => `its log takes ${logBytes("chatty")} bytes`,
    });
    await house.docker("plugin", "rm", "--force", "chatty");
    await house.becomesWhole("after chatty was removed");
    expect(readdirSync(join(house.root, "plugins/logs"))).toEqual([idOf("vp")]);
  },
  testTimeoutMs,
);

for (const pidHost of [false, true]) {
  const where = pidHost ? "among the host's processes" : "in a namespace of its own";
  whenPossible(
    needed,
    `children that do not want to end, ${where}`,
    async () => {
      for (const setting of ["FORK_AT_TERM=60", "CHILD=1"]) {
        await add("parent", { pidHost }, setting);
        const id = idOf("parent");
        const before = house.processesOf(id).length;
        expect(before).toBeGreaterThan(0);
        await house.docker("plugin", "disable", "parent");
        expect([setting, house.processesOf(id)]).toEqual([setting, []]);
        await house.becomesWhole(`after ${setting}`);
        await house.docker("plugin", "rm", "parent");
      }
    },
    testTimeoutMs,
  );
}
