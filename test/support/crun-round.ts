// One round of a plugin with crun, for a test: in a mount namespace that has no cgroup version 2.
//
// Debian's crun refuses machines with control groups of both versions, as this one may be.
import { readFileSync } from "node:fs";
import { linuxHost } from "../../src/host/linux.ts";
import { testOperation } from "./operation.ts";
import { callPlugin } from "./plugin-rootfs.ts";
import { makePluginRuntimeBench, tracesOf } from "./plugin-runtime-bench.ts";

const operation = testOperation();
const host = linuxHost();
const unified = "/sys/fs/cgroup/unified";
if (host.isMountPoint(unified)) {
  const request = { type: "tmpfs", device: "tmpfs", target: unified, options: "" };
  await host.mount(request, operation);
}

await using bench = makePluginRuntimeBench();
const findProgram = (name: string) => (name === "runc" ? undefined : host.findProgram(name));
const runtime = bench.another({ ...host, findProgram });
const request = await bench.plugin();
await runtime.start(request, operation);
const { socketPath, life } = runtime.state(request.id);
await callPlugin(socketPath, "VolumeDriver.Create", { Name: "v", Opts: { type: "tmpfs" } });
const mounted = await callPlugin(socketPath, "VolumeDriver.Mount", { Name: "v", ID: "x" });
const status = readFileSync(`/proc/${Number.parseInt(life, 10)}/status`, "utf8");
const mounts = bench.host.mounts().filter(({ target }) => target.endsWith("mount/v"));
await runtime.stop(request.id, operation);
const traces = tracesOf(bench, request.id);
const config = { ...request.config, entrypoint: ["/bin/nothere"] };
const refusal = await runtime.start({ ...request, config }, operation).catch(String);
console.log(
  JSON.stringify({
    mounted,
    seccomp: /^Seccomp:\t(\d)$/m.exec(status)?.[1],
    mountCount: mounts.length,
    traces,
    refusal,
  }),
);
