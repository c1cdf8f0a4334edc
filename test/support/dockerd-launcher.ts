// Runs inside a mount namespace of its own: hides /run/docker behind a tmpfs, then runs dockerd.
//
// Started by test/support/dockerd.ts as `unshare -m --propagation slave bun dockerd-launcher.ts …`.
// It ends dockerd when its standard input closes, so nothing outlives a test run that was killed.
import { spawn, spawnSync } from "node:child_process";
import { openSync } from "node:fs";

const [logPath, ...parameters] = process.argv.slice(2);
if (logPath === undefined) throw new Error("usage: dockerd-launcher LOG DOCKERD-ARGUMENT…");

const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "mode=0700", "tmpfs", "/run/docker"]);
if (mounted.status !== 0) throw new Error(`mounting /run/docker: ${mounted.stderr}`);

const log = openSync(logPath, "a");
const dockerd = spawn("dockerd", parameters, { stdio: ["ignore", log, log] });
console.log(`dockerd ${dockerd.pid}`);

function end(): void {
  dockerd.kill("SIGTERM");
}

process.on("SIGTERM", end);
process.on("SIGINT", end);
process.stdin.on("end", end);
process.stdin.on("close", end);
process.stdin.resume();
dockerd.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
dockerd.on("exit", (code, signal) => process.exit(signal === null ? (code ?? 1) : 1));
