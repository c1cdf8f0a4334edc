// A daemon that has just said that it is ready knows the plugins that are there.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { exchange } from "../docker/wire.ts";
import { type RunningDaemon, startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { startFaultPlugin } from "../support/fault-plugin.ts";

const testTimeoutMs = 60_000;

let folder: string;

beforeEach(() => {
  folder = temporaryDirectory();
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function create({ socketPath }: RunningDaemon, name: string): Promise<number> {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ Name: name, Driver: "disks" });
  const request = { method: "POST", path: "/volumes/create", headers, body };
  return (await exchange(socketPath, request)).status;
}

test(
  "it makes volumes of them at once, and raises no alarm",
  async () => {
    const pluginSockets = join(folder, "sockets");
    mkdirSync(pluginSockets);
    const plugin = [join(pluginSockets, "disks.sock"), join(folder, "data")] as const;
    await using _disks = await startFaultPlugin(...plugin);
    for (const name of ["one", "two", "three"]) {
      await using daemon = await startDaemon({ root: join(folder, "root"), pluginSockets });
      expect(await create(daemon, name)).toBe(201);
      await daemon.stop();
      expect(daemon.output()).not.toContain('"level":"warn"');
      expect(daemon.output()).not.toContain("is gone");
    }
  },
  testTimeoutMs,
);

test(
  "it tells of one that is not there, and has volumes",
  async () => {
    const pluginSockets = join(folder, "sockets");
    mkdirSync(pluginSockets);
    const socketPath = join(pluginSockets, "disks.sock");
    {
      await using _disks = await startFaultPlugin(socketPath, join(folder, "data"));
      await using daemon = await startDaemon({ root: join(folder, "root"), pluginSockets });
      expect(await create(daemon, "one")).toBe(201);
    }
    rmSync(socketPath, { force: true });
    await using daemon = await startDaemon({ root: join(folder, "root"), pluginSockets });
    expect(daemon.output()).toContain("Plugin disks, which has a volume, is gone");
  },
  testTimeoutMs,
);
