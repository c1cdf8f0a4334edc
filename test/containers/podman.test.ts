// A real Podman as a container engine: every question is a process, with the words of its user.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findContainerEngines } from "../../src/containers/finder.ts";
import { keyOf, wordsOf, wordsOfKey } from "../../src/containers/podman-words.ts";
import type { ContainerEngine } from "../../src/core/container-engine.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { type Ended, eventually, startChild, stopChild } from "../support/child.ts";
import { type DirectoryPlugin, startDirectoryPlugin } from "../support/directory-plugin.ts";
import { whenPossible } from "../support/needs.ts";
import { testOperation } from "../support/operation.ts";
import { makePodman, type Podman, podmanRunArguments } from "../support/podman.ts";
import { loadTestImage, testImage } from "../support/test-image.ts";

const requirements = ["root", "podman", "busybox"] as const;

interface Bench extends AsyncDisposable {
  readonly podman: Podman;
  readonly plugin: DirectoryPlugin;
}

async function startBench(): Promise<Bench> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-containers-"));
  const socket = join(folder, "holdfast.sock");
  const plugin = await startDirectoryPlugin(socket, join(folder, "volumes"));
  const podman = makePodman({ plugins: { holdfast: socket } });
  await loadTestImage(podman.run);
  return {
    podman,
    plugin,
    async [Symbol.asyncDispose]() {
      await podman[Symbol.asyncDispose]();
      await plugin[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function succeed(command: Promise<Ended>): Promise<string> {
  const ended = await command;
  if (ended.exit !== 0) throw new Error(ended.stderr);
  return ended.stdout.trim();
}

function finder(driver = "holdfast") {
  return findContainerEngines({ host: linuxHost(), driver });
}

/** The engine behind a podman that stays for a while: it waits for a container's end. */
async function engineOf(
  { podman }: Bench,
  container: string,
  { finds = finder(), flags = podman.flags } = {},
): Promise<ContainerEngine> {
  const waiting = startChild("podman", [...flags, "wait", container], podman.environment);
  try {
    const pid = waiting.pid ?? 0;
    return await eventually(() => finds.ofCaller({ kind: "process", uid: 0, gid: 0, pid }), {
      timeoutMs: 10_000,
      otherwise: () => "podman was not found",
    });
  } finally {
    await stopChild(waiting);
  }
}

whenPossible(requirements, "podman is found, asked and told to stop a container", async () => {
  await using bench = await startBench();
  const { podman, plugin } = bench;
  await succeed(podman.run("volume", "create", "--driver=holdfast", "wiki"));
  const label = "--label=com.docker.compose.project=shop";
  const mine = [...podmanRunArguments, "--volume=wiki:/data:ro", label];
  const id = await succeed(
    podman.run("run", "-d", "--name=c1", "--stop-signal=KILL", ...mine, testImage, "sleep", "600"),
  );
  const plain = [...podmanRunArguments, "--volume=plain:/data"];
  await succeed(podman.run("create", "--name=c2", ...plain, testImage, "true"));
  const both = [...podmanRunArguments, "--volume=wiki:/data", "--volume=plain:/plain"];
  await succeed(podman.run("create", "--name=c3", ...both, testImage, "true"));

  const engine = await engineOf(bench, "c1");
  expect(engine).toMatchObject({
    kind: "podman",
    isAskableInCalls: false,
    mountsOnceForAll: true,
  });
  expect(engine.key).toStartWith(`podman:${podman.root} CONTAINERS_CONF=/`);
  const found = [...(await engine.containers(testOperation()))];
  expect(found.sort((one, other) => (one.name < other.name ? -1 : 1))).toEqual([
    {
      id,
      name: "c1",
      project: "shop",
      isRunning: true,
      volumes: [{ volume: "wiki", destination: "/data", isReadOnly: true }],
    },
    {
      id: expect.stringMatching(/^[0-9a-f]{64}$/),
      name: "c3",
      project: null,
      isRunning: false,
      volumes: [{ volume: "wiki", destination: "/data", isReadOnly: false }],
    },
  ]);
  expect(await finder("another").ofKey(engine.key)?.containers(testOperation())).toEqual([]);
  // Holdfast's own podmans, and those of conmon, which say more, are the same engine.
  const flags = wordsOfKey(engine.key)?.flags ?? [];
  expect((await engineOf(bench, "c1", { flags })).key).toBe(engine.key);
  const finds = finder();
  const first = finds.ofKey(engine.key);
  const more = ["--log-level=error", "--cgroup-manager=cgroupfs", ...flags];
  expect(await engineOf(bench, "c1", { finds, flags: more })).toBe(first ?? engine);
  await engine.restart(id, testOperation());
  await engine.restart("nonesuch", testOperation());
  await engine.stop(id, testOperation());
  await engine.stop("nonesuch", testOperation());
  const later = finder().ofKey(engine.key);
  expect(later?.key).toBe(engine.key);
  const again = await later?.containers(testOperation());
  expect(again?.find(({ name }) => name === "c1")?.isRunning).toBe(false);
  expect(plugin.calls).toContain("VolumeDriver.Mount wiki");
});

whenPossible(requirements, "more containers than fit in one output are all found", async () => {
  await using bench = await startBench();
  const { podman } = bench;
  await succeed(podman.run("volume", "create", "--driver=holdfast", "wiki"));
  // Each says some 30 KiB: two fit, three do not.
  const long = Array.from(
    { length: 120 },
    (_, index) => `--volume=wiki:/${"d".repeat(100)}/${index}`,
  );
  for (const name of ["c1", "c2", "c3"]) {
    const parameters = ["create", `--name=${name}`, ...podmanRunArguments, ...long];
    await succeed(podman.run(...parameters, testImage, "true"));
  }
  const engine = await engineOf(bench, "c1");
  const found = await engine.containers(testOperation());
  expect(found.map(({ volumes }) => volumes.length)).toEqual([120, 120, 120]);
});

whenPossible(["root", "podman"], "a podman that fails says why", async () => {
  const engine = finder().ofKey("podman:/nonesuch --storage-driver=nonesuch --root=/nonesuch");
  await expect(engine?.containers(testOperation())).rejects.toMatchObject({
    code: "containers.unreachable",
    message: expect.stringContaining("podman ps ended with 125"),
  });
  const stopped = AbortSignal.abort(new Error("stopped"));
  await expect(engine?.containers(testOperation(stopped))).rejects.toThrow("stopped");
});

describe("the words of a podman", () => {
  const name = "are those before its command, with its directories made absolute";
  whenPossible(["root", "podman"], name, async () => {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-podman-"));
    writeFileSync(join(folder, "c.conf"), "");
    const words = [
      ...["--log-level", "error", "--root", "some where", "--runroot=run", "--tmpdir", "tmp"],
      ...["--storage-driver", "vfs", "--storage-opt=vfs.ignore_chown_errors=true"],
      ...["--network-config-dir", "", "--runtime", "runc", "--syslog=false"],
    ];
    const service = ["system", "service", "--time=0", `unix://${folder}/api.sock`];
    const command = ["CONTAINERS_CONF=c.conf", "podman", ...words, ...service];
    const child = startChild("env", [`--chdir=${folder}`, ...command]);
    try {
      // env becomes podman.
      const caller = { kind: "process", uid: 0, gid: 0, pid: child.pid ?? 0 } as const;
      const engine = await eventually(() => finder().ofCaller(caller), {
        timeoutMs: 10_000,
        otherwise: () => "podman did not start",
      });
      expect(wordsOfKey(engine.key)).toEqual({
        root: `${folder}/some where`,
        variables: [`CONTAINERS_CONF=${folder}/c.conf`],
        flags: [
          `--root=${folder}/some where`,
          `--runroot=${folder}/run`,
          "--storage-driver=vfs",
          "--storage-opt=vfs.ignore_chown_errors=true",
          `--tmpdir=${folder}/tmp`,
          "--runtime=runc",
        ],
      });
      // A user's podman is not run as root, whatever its words are.
      expect(finder().ofCaller({ ...caller, uid: 1000 })).toBeUndefined();
    } finally {
      await stopChild(child);
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("can be read from the key again", () => {
    const words = {
      root: "/var/lib/my containers",
      variables: ["CONTAINERS_CONF=/etc/100%.conf"],
      flags: ["--root=/var/lib/my containers", "--storage-opt=a=b c", "--runtime=runc"],
    };
    expect(wordsOfKey(keyOf(words))).toEqual(words);
    expect(keyOf(words).split(" ")).toHaveLength(5);
    expect(wordsOfKey("podman:/x --privileged=y")).toBeUndefined();
    expect(wordsOfKey("docker:/x")).toBeUndefined();
    expect(wordsOf(0)).toBeUndefined();
  });
});
