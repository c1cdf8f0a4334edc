// A dockerd that starts while the server of its containers' volume is down: what Docker does with
// them, and that the guide's way to start them works.
import { expect } from "bun:test";
import { eventually } from "../support/child.ts";
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
    // The loop of docs/guide/remote-storage.md.
    const started = eventually(
      async () => ((await bench.dockerd.docker("start", "web")).exit === 0 ? true : undefined),
      { timeoutMs: loopMs, otherwise: () => bench.daemon.output() },
    );
    await server.restart();
    await started;
    expect(await volume.read()).toBe("theirs");
  },
  testMs,
);
