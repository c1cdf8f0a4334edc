// A daemon, a dockerd and a real sshd that is frozen under a running container: it is seen, said,
// and over seconds after the server goes on.
import { expect } from "bun:test";
import { whenPossible } from "../support/needs.ts";
import { SshVolume, sshVolumeRequirements } from "../support/ssh-volume.ts";

const testMs = 120_000;

/** A held volume is asked every 15 s, and silence is believed at the second answer. */
const seenMs = 40_000;

whenPossible(
  sshVolumeRequirements,
  "a frozen server is seen and said, and its volume is back within 5 s of its return",
  async () => {
    await using volume = await SshVolume.start();
    const { bench, server } = volume;
    expect(await volume.read()).toBe("theirs");
    await server.freeze();
    await volume.becomes("unreachable", seenMs);
    const listed = await bench.holdfast("volume", "inspect", "files");
    expect(listed.stdout).toContain("unreachable");
    await server.thaw();
    await volume.becomes("in use", 5_000);
    expect(await volume.read()).toBe("theirs");
  },
  testMs,
);
