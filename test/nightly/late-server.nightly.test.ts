// A dockerd that starts while the server of its containers' volume is down: what Docker does with
// them, and that the guide's way to start them works.
import { expect } from "bun:test";
import { runToEnd } from "../support/child.ts";
import { whenPossible } from "../support/needs.ts";
import { SshVolume, sshVolumeRequirements } from "../support/ssh-volume.ts";

const testMs = 180_000;
const loopMs = 60_000;

whenPossible(
  sshVolumeRequirements,
  "a container that its server was too late for is left, says why, and is started by a loop",
  async () => {
    await using volume = await SshVolume.start("--restart", "always");
    const { bench, server } = volume;
    await bench.dockerd.stop();
    await server.kill();
    await bench.startDockerd();
    // Docker tries once, whatever its restart policy says.
    const format = "{{.State.Status}} {{.RestartCount}} {{.State.Error}}";
    const seen = await bench.docker("inspect", "--format", format, "web");
    expect(seen).toMatch(/^exited 0 error while mounting volume .*Connection refused/);
    expect(seen).toContain("See that the server runs");
    // As in docs/guide/remote-storage.md.
    const socket = { DOCKER_HOST: `unix://${bench.dockerd.socketPath}` };
    const loop = "until docker start web > /dev/null 2>&1; do sleep 1; done";
    const started = runToEnd("sh", ["-c", loop], { environment: socket, timeoutMs: loopMs });
    await server.restart();
    expect((await started).exit).toBe(0);
    expect(await volume.read()).toBe("theirs");
  },
  testMs,
);
