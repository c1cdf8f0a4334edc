// A Swarm service on one node: its volume stays through updates and while it has no task at all.
import { afterAll, beforeAll, expect } from "bun:test";
import { eventually } from "../support/child.ts";
import { HoldsBench } from "../support/holds-bench.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { testImage } from "../support/test-image.ts";

const requirements: readonly Requirement[] = [
  ...(["root", "dockerd", "docker-cli", "mount", "unshare", "busybox", "ip"] as const),
];
const timeoutMs = 120_000;
const taskTimeoutMs = 40_000;
const volume = "counter";

let bench: HoldsBench;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  bench = new HoldsBench({ dockerd: { ownNetwork: true } });
  await bench.start();
  // A node offers a driver from the first time on that its dockerd has talked to it.
  await bench.docker("volume", "ls");
  const loopback = ["--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377"];
  await bench.docker("swarm", "init", ...loopback);
}, timeoutMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), timeoutMs);

/** The container of the service's only running task, once this many have been started. */
async function task(starts: number): Promise<string> {
  let tasks = "";
  return await eventually(
    async () => {
      const format = "{{.CurrentState}} {{.Error}}";
      tasks = await bench.docker("service", "ps", "--no-trunc", "--format", format, "app");
      const [id, ...others] = (await bench.docker("ps", "-q", "--no-trunc")).split("\n");
      if (id === undefined || id === "" || others.length > 0) return undefined;
      const lines = await bench.docker("exec", id, "cat", "/data/starts").catch(() => "");
      return lines.split("\n").length === starts ? id : undefined;
    },
    { timeoutMs: taskTimeoutMs, otherwise: () => `start ${starts} of the service: ${tasks}` },
  );
}

/** Waits until exactly this container has the volume, and nothing else of it is mounted. */
async function heldBy(id: string | undefined): Promise<void> {
  let seen = "";
  await eventually(
    async () => {
      const { holders } = await bench.volume(volume);
      const running = holders.filter(({ state }) => state === "running");
      seen = JSON.stringify({ holders, mounts: bench.holdMounts() });
      const isRight = running.length === (id === undefined ? 0 : 1) && running[0]?.id === id;
      return isRight && bench.holdMounts().length === running.length ? true : undefined;
    },
    { timeoutMs: taskTimeoutMs, otherwise: () => `${volume}: ${seen}\n${bench.daemon.output()}` },
  );
}

whenPossible(
  requirements,
  "a service keeps its data and leaks no hold when it is updated and scaled to 0 and back",
  async () => {
    const mount = `type=volume,source=${volume},target=/data,volume-driver=holdfast`;
    const script = "echo $RELEASE >> /data/starts; exec sleep 1000";
    await bench.docker(
      ...["service", "create", "--detach", "--quiet", "--name", "app", "--network", "host"],
      ...["--mount", `${mount},volume-opt=owner=0:0,volume-opt=sharing=none`],
      ...["--stop-signal", "KILL", "--update-order", "stop-first", "--no-resolve-image"],
      ...["--env", "RELEASE=1", testImage, "sh", "-c", script],
    );
    const first = await task(1);
    await heldBy(first);
    await bench.docker("service", "update", "--detach", "--env-add", "RELEASE=2", "app");
    const second = await task(2);
    expect(second).not.toBe(first);
    await heldBy(second);
    await bench.docker("service", "scale", "--detach", "app=0");
    await heldBy(undefined);
    expect((await bench.volume(volume)).holders.length).toBeGreaterThan(0);
    await bench.docker("service", "scale", "--detach", "app=1");
    const third = await task(3);
    await heldBy(third);
    expect(await bench.docker("exec", third, "cat", "/data/starts")).toBe("1\n2\n2");
    await bench.docker("service", "rm", "app");
    await heldBy(undefined);
  },
  timeoutMs,
);

whenPossible(
  requirements,
  "a prune leaves the volume of a service that is scaled to 0, until the service is removed",
  async () => {
    for (const name of ["idle", "unused"]) await bench.createVolume(name);
    await bench.docker(
      ...["service", "create", "--detach", "--quiet", "--name", "idle", "--replicas", "0"],
      ...["--network", "host", "--no-resolve-image"],
      ...["--mount", "type=volume,source=idle,target=/data,volume-driver=holdfast"],
      ...[testImage, "true"],
    );
    const prune = async (): Promise<readonly string[]> => {
      const { exit, stdout, stderr } = await bench.holdfast("volume", "prune", "--all", "--force");
      if (exit !== 0) throw new Error(stderr);
      return stdout.split("\n").filter((line) => /^[a-z]+$/.test(line));
    };
    expect(await prune()).toEqual(["unused"]);
    await bench.docker("service", "rm", "idle");
    expect(await prune()).toEqual(["idle"]);
  },
  timeoutMs,
);
