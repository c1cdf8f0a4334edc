// NFS and SMB for as long as it takes: every promise, a cut cable, a server that moves, a host that
// boots before its NAS, a daemon that dies while somebody writes, and a hundred rounds.
import { afterAll, afterEach, beforeAll, describe, expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sourceRoot } from "../../tools/source-root.ts";
import { eventually, runToEnd } from "../support/child.ts";
import { temporaryDirectory } from "../support/daemon.ts";
import { runConformance } from "../support/labs/conformance.ts";
import { type Lab, labRequirements, startLab } from "../support/labs/lab.ts";
import { nasKinds } from "../support/labs/nas.ts";
import { NasClient, promptMs } from "../support/labs/nas-client.ts";
import { OTHER_SERVER_ADDRESS } from "../support/labs/private-network.ts";
import { SMB_PASSWORD } from "../support/labs/samba-server.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";

const holdfast = process.env["HOLDFAST_UNDER_TEST"] ?? join(sourceRoot, "dist/holdfast");
const requirements: readonly Requirement[] = [...labRequirements, "iptables", "ext4"];

const noticedMs = 60_000;
/** From when the server is there again: the next look is at most two seconds away. */
const backMs = 10_000;
const roundCount = 100;
const conformanceMs = 1_800_000;
const testMs = 2_000_000;

let lab: Lab;
let client: NasClient;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  const image = join(temporaryDirectory(), "disk");
  await runToEnd("truncate", ["--size=256M", image], { timeoutMs: promptMs });
  const made = await runToEnd("mkfs.ext4", ["-q", "-F", image], { timeoutMs: noticedMs });
  expect(made).toMatchObject({ exit: 0 });
  lab = await startLab([{ image, target: "/mnt/disk" }]);
  await startDaemon();
  await client.putSecret(SMB_PASSWORD);
}, testMs);
afterAll(async () => await lab?.[Symbol.asyncDispose]());

/** Whatever a test has done to them. */
afterEach(async () => {
  if (lab === undefined) return;
  const servers = nasKinds.map((nas) => nas.server(lab));
  // The machine's own address moves with the server: no other one starts without it.
  for (const server of servers) {
    if (server.address === OTHER_SERVER_ADDRESS) await server.move();
  }
  for (const server of servers) {
    await server.kill();
    await server.start();
  }
}, testMs);

/** On the disk, with the key beside it: both outlive the machine's power. */
async function startDaemon(): Promise<void> {
  const secretKey = "/mnt/disk/secret.key";
  client = new NasClient(
    await lab.startDaemon({ command: [holdfast], root: "disk/root", secretKey }),
  );
}

function whenLab(name: string, run: () => Promise<void>): void {
  whenPossible(requirements, name, run, testMs);
}

async function update(name: string, options: Readonly<Record<string, string>>): Promise<void> {
  const words = Object.entries(options).map(([key, value]) => `-o=${key}=${value}`);
  const updated = await client.daemon.holdfast("volume", "update", ...words, name);
  expect(updated).toMatchObject({ code: 0 });
}

/** The lines of its mounts, as the machine has them. */
async function mountsOf(name: string): Promise<readonly string[]> {
  const { text } = await lab.run("cat", "/proc/self/mountinfo");
  return text.split("\n").filter((line) => / - (?:nfs4?|cifs) /.test(line) && line.includes(name));
}

/** Mounts, processes and the daemon's descriptors, but for what has ended and is not reaped. */
async function leavings(): Promise<readonly number[]> {
  const { text } = await lab.run(
    ...[
      "sh",
      "-c",
      `ls /proc/${client.daemon.pid}/fd | wc -l; ps -eo stat=,ppid= | grep -vc '^Z\\| 2$'`,
    ],
  );
  return [(await mountsOf("")).length, ...text.trim().split("\n").map(Number)];
}

for (const nas of nasKinds) {
  const { driver } = nas;
  describe(`${driver} in the lab`, () => {
    whenLab("keeps every promise of a driver that applies to it", async () => {
      const { outcomes, leftBehind } = await runConformance(lab, nas, [], conformanceMs);
      const broken = outcomes.filter(({ outcome }) => outcome === "broken");
      expect(broken).toEqual([]);
      expect(leftBehind).toEqual([]);
      expect(outcomes.filter(({ outcome }) => outcome === "kept").length).toBeGreaterThan(30);
    });

    whenLab("survives a cable that is out", async () => {
      await client.create(`cut-${driver}`, nas);
      const path = await client.hold(`cut-${driver}`);
      await lab.network.cut();
      const writing = lab.run("sh", "-c", `echo kept > ${path}/late && sync ${path}/late`);
      await client.untilState(`cut-${driver}`, "unreachable", noticedMs);
      await lab.network.mend();
      await client.untilState(`cut-${driver}`, "in use", noticedMs);
      await writing;
      expect((await lab.run("sh", "-c", `echo again > ${path}/after`)).code).toBe(0);
      await client.remove(`cut-${driver}`);
    });

    whenLab("survives a server that is killed and started again", async () => {
      await client.create(`killed-${driver}`, nas);
      const path = await client.hold(`killed-${driver}`);
      await nas.server(lab).kill();
      await client.untilState(`killed-${driver}`, "unreachable", noticedMs);
      expect((await client.daemon.docker("volume", "ls")).tookMs).toBeLessThan(promptMs);
      await nas.server(lab).start();
      await client.untilState(`killed-${driver}`, "in use", backMs);
      expect((await lab.run("sh", "-c", `echo again > ${path}/after`)).code).toBe(0);
      await client.remove(`killed-${driver}`);
    });

    whenLab("finds a server that has moved by `holdfast volume update`", async () => {
      const name = `moved-${driver}`;
      await client.create(name, nas);
      await lab.run("sh", "-c", `echo moved > ${await client.hold(name)}/file`);
      await client.release(name);
      await nas.server(lab).move();
      await update(name, nas.optionsAt(OTHER_SERVER_ADDRESS));
      expect((await lab.run("cat", `${await client.hold(name)}/file`)).text).toBe("moved\n");
      await client.remove(name);
    });

    whenLab(
      "is mounted at a server's new address for who has it, once the old one is gone",
      async () => {
        const name = `left-${driver}`;
        await client.create(name, nas);
        const path = await client.hold(name);
        await lab.run("sh", "-c", `echo moved > ${path}/file && sync ${path}/file`);
        await nas.server(lab).move();
        // Whoever waits for the old address goes on waiting: until it is killed.
        const writing = lab.run("sh", "-c", `echo late > ${path}/late && sync ${path}/late`);
        await client.untilState(name, "unreachable", noticedMs);
        await update(name, nas.optionsAt(OTHER_SERVER_ADDRESS));
        expect((await lab.run("cat", `${path}/file`)).text).toBe("moved\n");
        expect(await lab.run("cp", `${path}/file`, `${path}/copy`)).toMatchObject({ code: 0 });
        await client.untilState(name, "in use", noticedMs);
        expect(await mountsOf(name)).toHaveLength(1);
        await writing;
        await client.remove(name);
        expect(readFileSync(join(nas.folder(lab), name, "copy"), "utf8")).toBe("moved\n");
      },
    );

    whenLab("has other options after its last holder, while its server answers", async () => {
      const name = `changed-${driver}`;
      await client.create(name, nas);
      await client.hold(name);
      await update(name, { "on-timeout": "fail" });
      expect((await mountsOf(name)).join()).toMatch(/[ ,]hard[, ]/);
      await client.release(name);
      await client.hold(name);
      expect((await mountsOf(name)).join()).toMatch(/[ ,]soft(?:err)?[, ]/);
      await client.remove(name);
    });

    whenLab("has what was synced when the daemon is killed while somebody writes", async () => {
      const name = `written-${driver}`;
      await client.create(name, nas);
      const path = await client.hold(name);
      const script = 'for i in $(seq 40); do echo $i > "$0/$i"; sync "$0/$i"; done';
      const writing = lab.run("sh", "-c", script, path);
      await client.daemon.end("SIGKILL");
      await startDaemon();
      expect(await writing).toMatchObject({ code: 0 });
      expect(readFileSync(join(nas.folder(lab), name, "40"), "utf8")).toBe("40\n");
      await client.remove(name);
    });

    whenLab("is mounted again when its server is up later than the host", async () => {
      const name = `late-${driver}`;
      await client.create(name, nas);
      const path = await client.hold(name);
      await lab.run("sh", "-c", `echo before > ${path}/file && sync ${path}/file`);
      await nas.server(lab).kill();
      await lab.reboot();
      await startDaemon();
      expect((await client.daemon.docker("volume", "ls")).text).toInclude(name);
      await nas.server(lab).start();
      await client.untilState(name, "in use", noticedMs);
      expect((await lab.run("cat", `${path}/file`)).text).toBe("before\n");
      await client.remove(name);
    });

    whenLab(`leaves nothing after ${roundCount} rounds`, async () => {
      const round = async () => {
        await client.create(`round-${driver}`, nas);
        await client.hold(`round-${driver}`);
        await client.remove(`round-${driver}`);
      };
      await round();
      const before = await leavings();
      for (let count = 0; count < roundCount; count += 1) await round();
      await eventually(
        async () => {
          const now = await leavings();
          return now.every((count, index) => count <= (before[index] ?? 0)) ? true : undefined;
        },
        { timeoutMs: noticedMs, otherwise: () => `there were ${before}` },
      );
    });
  });
}
