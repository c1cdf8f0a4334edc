// One round of a plugin, for tests that give it a mount namespace of its own: `crun` or `shared`.
//
// "crun": without runc, and without cgroup version 2: Debian's crun refuses machines that have both
// versions, as this one may. "shared": with `/` shared, as systemd makes it.
import { readFileSync } from "node:fs";
import { linuxHost } from "../../src/host/linux.ts";
import { testOperation } from "./operation.ts";
import { callPlugin } from "./plugin-rootfs.ts";
import { makePluginRuntimeBench, tracesOf } from "./plugin-runtime-bench.ts";

const operation = testOperation();
const host = linuxHost();
const unified = "/sys/fs/cgroup/unified";
const [, , way] = process.argv;
if (way === "shared") await host.run("mount", ["--make-rshared", "/"], operation);
if (way === "crun" && host.isMountPoint(unified)) {
  const request = { type: "tmpfs", device: "tmpfs", target: unified, options: "" };
  await host.unmount(unified, operation);
  // crun writes into the directory all the same, and it is everybody's.
  await host.mount(request, operation);
}

await using bench = makePluginRuntimeBench();
const findProgram = (name: string) =>
  name === "runc" && way === "crun" ? undefined : host.findProgram(name);
const runtime = bench.another({ ...host, findProgram });
const request = await bench.plugin();
await runtime.start(request, operation);
const { socketPath, life } = runtime.state(request.id);
await callPlugin(socketPath, "VolumeDriver.Create", { Name: "v", Opts: { type: "tmpfs" } });
const mounted = await callPlugin(socketPath, "VolumeDriver.Mount", { Name: "v", ID: "x" });
const status = readFileSync(`/proc/${Number.parseInt(life, 10)}/status`, "utf8");
const below = `${bench.folder}/`;
const targets = host.mounts().map(({ target }) => target);
const mounts = targets.filter((target) => target.startsWith(below));
await runtime.stop(request.id, operation);
const traces = tracesOf(bench, request.id);
const config = { ...request.config, entrypoint: ["/bin/nothere"] };
const refusal = await runtime.start({ ...request, config }, operation).catch(String);
console.log(
  JSON.stringify({
    mounted,
    seccomp: /^Seccomp:\t(\d)$/m.exec(status)?.[1],
    mounts: mounts.map((target) => target.slice(below.length)),
    traces,
    refusal,
  }),
);
