// Managed plugins that want more than they were granted, really run: what they reach, and what of
// the host is the same afterwards.
import { describe, expect } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PluginMount } from "../../src/core/plugin.ts";
import { endControlGroup } from "../../src/plugins/runtime/control-group.ts";
import type { RunRequest } from "../../src/plugins/runtime/run-request.ts";
import { hasEnded, runToEnd, startChild, stopChild } from "../support/child.ts";
import { whenPossible } from "../support/needs.ts";
import { testOperation } from "../support/operation.ts";
import { callPlugin } from "../support/plugin-rootfs.ts";
import {
  makePluginRuntimeBench,
  type PluginRuntimeBench,
  type PluginWish,
  tracesOf,
} from "../support/plugin-runtime-bench.ts";

const needed = ["root", "plugin-runtime", "busybox"] as const;
const operation = testOperation();
const commandTimeoutMs = 10_000;

function bindOf(source: string | null, options: readonly string[] = ["rbind"]): PluginMount {
  const about = { name: "", description: "", settable: null };
  return { ...about, destination: "/x", type: "bind", source, options };
}

/** The tests' plugin, with a shell that does something before it. */
async function scripted(
  bench: PluginRuntimeBench,
  script: string,
  { config, ...wish }: PluginWish = {},
): Promise<RunRequest> {
  const entrypoint = ["/bin/sh", "-c", `${script}; exec /bin/plugin`];
  const request = await bench.plugin({ ...wish, config: { ...config, entrypoint } });
  copyFileSync("/bin/busybox", join(request.rootfs, "bin/sh"));
  return request;
}

/** A run directory as on machines whose mounts are shared, which those of systemd are. */
async function shareRunDirectory({ runDirectory }: PluginRuntimeBench): Promise<AsyncDisposable> {
  mkdirSync(runDirectory, { recursive: true });
  for (const words of [
    ["mount", "-t", "tmpfs", "tmpfs", runDirectory],
    ["mount", "--make-shared", runDirectory],
  ]) {
    const [program = "", ...rest] = words;
    const ended = await runToEnd(program, rest, { timeoutMs: commandTimeoutMs });
    expect(ended).toMatchObject({ exit: 0 });
  }
  return {
    async [Symbol.asyncDispose]() {
      await runToEnd("umount", ["-l", runDirectory], { timeoutMs: commandTimeoutMs });
    },
  };
}

describe("a plugin", () => {
  whenPossible(needed, "gets nothing of the host for a mount without a source", async () => {
    await using bench = makePluginRuntimeBench();
    const request = await scripted(bench, "echo all > /x/life.json", {
      kind: "rootfs",
      config: { mounts: [bindOf(null)] },
    });
    const starting = bench.runtime.start(request, operation);
    await expect(starting).rejects.toThrow("mount source is not specified");
    expect(tracesOf(bench, request.id)).toEqual([]);
  });

  whenPossible(needed, "that mounts over its sockets has nothing removed behind them", async () => {
    await using bench = makePluginRuntimeBench();
    await using _shared = await shareRunDirectory(bench);
    const data = join(bench.folder, "data");
    mkdirSync(data);
    writeFileSync(join(data, "precious"), "yes");
    const script =
      "(sleep 0.2; mkdir /run/docker/plugins/y; mount --bind /x /run/docker/plugins/y; " +
      "mount --bind /x /run/docker/plugins; : > /x/done) & true";
    const request = await scripted(bench, script, { config: { mounts: [bindOf(data)] } });
    for (const name of ["mount", "mkdir", "sleep"]) {
      copyFileSync("/bin/busybox", join(request.rootfs, "bin", name));
    }
    await bench.runtime.start(request, operation);
    await bench.until(() => existsSync(join(data, "done")), "its mounts");
    await bench.runtime.stop(request.id, operation);
    expect(readFileSync(join(data, "precious"), "utf8")).toBe("yes");
    expect(tracesOf(bench, request.id)).toEqual([]);
  });

  whenPossible(needed, "that leaves much beside its socket keeps nobody waiting", async () => {
    await using bench = makePluginRuntimeBench();
    // Deeper than any path, and more than is removed in a moment.
    const deep =
      "cd /run/docker/plugins; i=0; while [ $i -lt 600 ]; do mkdir d23456789; " +
      "cd d23456789; i=$((i+1)); done; cd /run/docker/plugins; mkdir many; cd many; i=0; " +
      "while [ $i -lt 100000 ]; do : > $i; i=$((i+1)); done; cd /";
    const request = await scripted(bench, deep, { kind: "rootfs" });
    copyFileSync("/bin/busybox", join(request.rootfs, "bin/mkdir"));
    await bench.runtime.start(request, operation);
    let longestMs = 0;
    let lastMs = performance.now();
    const ticks = setInterval(() => {
      longestMs = Math.max(longestMs, performance.now() - lastMs);
      lastMs = performance.now();
    }, 1);
    await bench.runtime.stop(request.id, operation);
    clearInterval(ticks);
    expect(longestMs).toBeLessThan(300);
    expect(tracesOf(bench, request.id)).toEqual([]);
  });

  whenPossible(needed, "sees its own sockets alone, and no descriptor of ours", async () => {
    await using bench = makePluginRuntimeBench();
    const other = await bench.plugin({ digit: "b" });
    await bench.runtime.start(other, operation);
    const list = "ls /run/docker/plugins > /tmp/seen; (ls -1 /proc/self/fd) >> /tmp/seen";
    const request = await scripted(bench, list, { kind: "rootfs" });
    copyFileSync("/bin/busybox", join(request.rootfs, "bin/ls"));
    await bench.runtime.start(request, operation);
    const { socketPath } = bench.runtime.state(request.id);
    const { Text: seen } = await callPlugin(socketPath, "Test.Read", { Name: "/tmp/seen" });
    // The last one is that of the directory.
    expect(seen).toBe("0\n1\n2\n3\n");
  });
});

whenPossible(["root"], "whoever a plugin says is in its control group is not killed", async () => {
  await using bench = makePluginRuntimeBench();
  const child = startChild("sleep", ["60"]);
  const group = join(bench.folder, "cg/holdfast/0123456789ab-0123456789abcdef");
  mkdirSync(group, { recursive: true });
  writeFileSync(join(group, "cgroup.procs"), `${child.pid}\n`);
  const [own] = bench.host.mounts();
  if (own === undefined) throw new Error("no mount at all");
  const mounted = { ...own, target: join(bench.folder, "cg"), fileSystem: "cgroup", root: "/" };
  const { monotonicMs } = bench.host;
  const host = { monotonicMs, mounts: () => [mounted] };
  expect(await endControlGroup(host, "/holdfast/0123456789ab-0123456789abcdef")).toBe(true);
  expect(hasEnded(child)).toBe(false);
  expect(existsSync(group)).toBe(true);
  await stopChild(child);
});
