// Plugins at the beginning and the end of a daemon: those that are there are known when it says
// that it is ready, and its end waits for no registry.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { exchange } from "../docker/wire.ts";
import { eventually } from "../support/child.ts";
import { type RunningDaemon, startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { startFaultPlugin } from "../support/fault-plugin.ts";
import { startFaultRegistry } from "../support/fault-registry.ts";

const testTimeoutMs = 60_000;
/** Far below what requests in progress are waited for, and registries. */
const endMsMax = 5_000;

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

test(
  "its end waits for no download, and leaves nothing of it",
  async () => {
    await using registry = await startFaultRegistry();
    registry.add({ path: "some/plug", tag: "v1" }, [Buffer.alloc(100_000, "x")]);
    await using daemon = await startDaemon({ root: join(folder, "root") });
    const pull = async (which: RegExp) => {
      const { length } = registry.seen;
      registry.misbehave(which, { do: "stall", afterBytes: 0 }, 1);
      const path = `/plugins/pull?remote=${registry.host}/some/plug:v1`;
      const headers = { "Content-Type": "application/json" };
      const answer = exchange(daemon.socketPath, { method: "POST", path, headers, body: "[]" });
      const isAsked = () => registry.seen.slice(length).some((one) => which.test(one.path));
      await eventually(() => isAsked() || undefined, {
        timeoutMs: endMsMax,
        otherwise: () => "the registry is not asked",
      });
      return answer;
    };
    const answers = [pull(/manifests/), pull(/blobs/)].map((one) =>
      one.then(({ body }) => body).catch((error: unknown) => String(error)),
    );
    await eventually(() => registry.seen.length >= 3 || undefined, {
      timeoutMs: endMsMax,
      otherwise: () => "no layer is asked for",
    });
    const begunMs = performance.now();
    await daemon.stop();
    expect(performance.now() - begunMs).toBeLessThan(endMsMax);
    for (const answer of await Promise.all(answers)) {
      expect(answer).toContain("the daemon is shutting down");
    }
    const left = readdirSync(join(daemon.root, "plugins"));
    expect(left.filter((name) => name !== "blobs" && name !== "logs")).toEqual([]);
    expect(readdirSync(join(daemon.root, "plugins/blobs/sha256"))).toEqual([]);
  },
  testTimeoutMs,
);
