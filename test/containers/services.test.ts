// A real dockerd as a Swarm of one node: its services name volumes while they have no container.
import { expect } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { findContainerEngines } from "../../src/containers/finder.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { eventually } from "../support/child.ts";
import { startDirectoryPlugin } from "../support/directory-plugin.ts";
import { startDockerd } from "../support/dockerd.ts";
import { whenPossible } from "../support/needs.ts";
import { testOperation } from "../support/operation.ts";
import { temporaryDirectory } from "../support/state-bench.ts";
import { loadTestImage, testImage } from "../support/test-image.ts";

whenPossible(
  ["root", "dockerd", "docker-cli", "unshare", "busybox", "ip"],
  "services are listed with their volumes, also those that are scaled to 0",
  async () => {
    using home = temporaryDirectory();
    const folder = home.path;
    const pluginFolder = join(folder, "plugins");
    mkdirSync(pluginFolder);
    const socket = join(pluginFolder, "holdfast.sock");
    await using _plugin = await startDirectoryPlugin(socket, join(folder, "volumes"));
    const dataRoot = join(folder, "docker");
    await using dockerd = await startDockerd({ dataRoot, pluginFolder, ownNetwork: true });
    await loadTestImage(dockerd.docker);
    const docker = async (...words: readonly string[]): Promise<string> => {
      const ended = await dockerd.docker(...words);
      if (ended.exit !== 0) throw new Error(`docker ${words.join(" ")}: ${ended.stderr}`);
      return ended.stdout.trim();
    };
    const finder = findContainerEngines({ host: linuxHost(), driver: "holdfast" });
    const caller = { kind: "process", uid: 0, gid: 0, pid: dockerd.pid } as const;
    const engine = finder.ofCaller(caller);
    expect(await engine?.services(testOperation())).toEqual([]);
    // A node offers a driver from the first time on that its dockerd has talked to it.
    await docker("volume", "ls");
    const loopback = ["--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377"];
    await docker("swarm", "init", ...loopback);
    const create = (name: string, ...more: readonly string[]) => {
      const place = ["--detach", "--quiet", "--network", "host", "--no-resolve-image"];
      return docker("service", "create", ...place, "--name", name, ...more, testImage, "true");
    };
    const ours = "type=volume,volume-driver=holdfast,target=/data";
    const off = ["--replicas", "0"];
    const wiki = ["--mount", `${ours},source=wiki`];
    const id = await create("web", ...off, ...wiki, "--mount", `${ours}2,source=s-{{.Task.Slot}}`);
    await create("plain", ...off, "--mount", "type=volume,volume-driver=local,source=x,target=/x");
    await create("whose", ...off, "--mount", "type=volume,source=blog,target=/x");
    await create("bare", ...off);
    const found = [...((await engine?.services(testOperation())) ?? [])];
    expect(found.sort((one, other) => (one.name < other.name ? -1 : 1))).toEqual([
      { id, name: "web", volumes: ["wiki", "s-*"] },
      { id: expect.any(String), name: "whose", volumes: ["blog"] },
    ]);
    expect(await engine?.containers(testOperation())).toEqual([]);
    await docker("swarm", "update", "--autolock");
    await dockerd.restart();
    await eventually(
      async () => {
        const info = await docker("info", "--format", "{{.Swarm.LocalNodeState}}");
        return info === "locked" ? true : undefined;
      },
      { timeoutMs: 30_000, otherwise: () => "the Swarm was not locked" },
    );
    await expect(engine?.services(testOperation())).rejects.toMatchObject({
      code: "containers.unreachable",
    });
    await docker("swarm", "leave", "--force");
    expect(await engine?.services(testOperation())).toEqual([]);
  },
  120_000,
);
