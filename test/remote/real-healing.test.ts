// A daemon, a dockerd and a real sshd: the sshfs under a running container is killed, and the
// container goes on. test/remote/frozen-server.nightly.test.ts has what takes longer.
import { expect } from "bun:test";
import { whenPossible } from "../support/needs.ts";
import { SshVolume, sshVolumeRequirements } from "../support/ssh-volume.ts";

const testMs = 60_000;

/** A process that has died is noticed and replaced so soon, on a machine that does other things. */
const soonMs = 10_000;

whenPossible(
  sshVolumeRequirements,
  "a dead sshfs is replaced under a running container within seconds",
  async () => {
    await using volume = await SshVolume.start();
    const { bench } = volume;
    expect(await volume.read()).toBe("theirs");
    const killed = volume.sshfs();
    process.kill(killed, "SIGKILL");
    await volume.untilRead(soonMs);
    expect(volume.sshfs()).not.toBe(killed);
    await bench.docker("rm", "-f", "web");
    await bench.holders("files");
    expect(bench.holdMounts()).toEqual([]);
    await bench.docker("volume", "rm", "files");
  },
  testMs,
);
