// NFS and SMB for as long as it takes: every promise, a cut cable, a server that moves, a host that
// boots before its NAS, a daemon that dies while somebody writes, and a hundred rounds.
import { afterAll, afterEach, beforeAll, describe, expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sourceRoot } from "../../tools/source-root.ts";
import { eventually, runToEnd } from "../support/child.ts";
import { temporaryDirectory } from "../support/daemon.ts";
import { runConformance } from "../support/labs/conformance.ts";
import { type Lab, type LabDaemon, labRequirements, startLab } from "../support/labs/lab.ts";
import { type Nas, nasKinds } from "../support/labs/nas.ts";
import { OTHER_SERVER_ADDRESS } from "../support/labs/private-network.ts";
import { SMB_PASSWORD } from "../support/labs/samba-server.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";

const holdfast = process.env["HOLDFAST_UNDER_TEST"] ?? join(sourceRoot, "dist/holdfast");
const requirements: readonly Requirement[] = [...labRequirements, "iptables", "ext4"];

const promptMs = 3_000;
const noticedMs = 60_000;
/** From when the server is there again: the next look is at most two seconds away. */
const backMs = 10_000;
const roundCount = 100;
const conformanceMs = 900_000;
const testMs = 1_200_000;

let lab: Lab;
let daemon: LabDaemon;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  const image = join(temporaryDirectory(), "disk");
  await runToEnd("truncate", ["--size=256M", image], { timeoutMs: promptMs });
  const made = await runToEnd("mkfs.ext4", ["-q", "-F", image], { timeoutMs: noticedMs });
  expect(made).toMatchObject({ exit: 0 });
  lab = await startLab([{ image, target: "/mnt/disk" }]);
  await startDaemon();
  const command = `${holdfast} --host unix://${daemon.socket} secret create nas`;
  const line = `printf %s ${SMB_PASSWORD} | ${command}`;
  expect(await lab.run("sh", "-c", line)).toMatchObject({ code: 0 });
}, testMs);
afterAll(async () => await lab?.[Symbol.asyncDispose]());

/** Whatever a test has done to them. */
afterEach(async () => {
  if (lab === undefined) return;
  for (const nas of nasKinds) {
    const server = nas.server(lab);
    if (server.address === OTHER_SERVER_ADDRESS) await server.move();
    await server.kill();
    await server.start();
  }
}, testMs);

/** On the disk, with the key beside it: both outlive the machine's power. */
async function startDaemon(): Promise<void> {
  const secretKey = "/mnt/disk/secret.key";
  daemon = await lab.startDaemon({ command: [holdfast], root: "disk/root", secretKey });
}

function whenLab(name: string, run: () => Promise<void>): void {
  whenPossible(requirements, name, run, testMs);
}

async function create(name: string, nas: Nas): Promise<void> {
  const body = { Name: name, Driver: nas.driver, DriverOpts: { ...nas.options, subpath: name } };
  expect(await daemon.send("POST", "/volumes/create", body)).toMatchObject({ code: 201 });
}

async function hold(name: string): Promise<string> {
  const held = await daemon.send("PUT", `/holdfast/v1/volumes/${name}/holders/one`);
  expect(held).toMatchObject({ code: 200 });
  return String(JSON.parse(held.text).path);
}

async function release(name: string): Promise<void> {
  const released = await daemon.send("DELETE", `/holdfast/v1/volumes/${name}/holders/one`);
  expect(released).toMatchObject({ code: 204 });
}

async function remove(name: string): Promise<void> {
  await release(name);
  expect(await daemon.send("DELETE", `/volumes/${name}`)).toMatchObject({ code: 204 });
}

async function stateOf(name: string): Promise<string> {
  const answer = await daemon.send("GET", `/holdfast/v1/volumes/${name}`);
  expect(answer.tookMs, "a look at the volume").toBeLessThan(promptMs);
  return String(JSON.parse(answer.text).state);
}

async function untilState(name: string, wanted: string, timeoutMs = noticedMs): Promise<void> {
  let last = "";
  await eventually(
    async () => {
      last = await stateOf(name);
      return last === wanted ? true : undefined;
    },
    { timeoutMs, otherwise: () => `${name} is ${last}, and never ${wanted}` },
  );
}

async function shareCount(): Promise<number> {
  const { text } = await lab.run("cat", "/proc/self/mountinfo");
  return text.split("\n").filter((line) => / - (?:nfs4?|cifs) /.test(line)).length;
}

/** Mounts, processes and the daemon's descriptors, but for what has ended and is not reaped. */
async function leavings(): Promise<readonly number[]> {
  const { text } = await lab.run(
    ...["sh", "-c", `ls /proc/${daemon.pid}/fd | wc -l; ps -eo stat=,ppid= | grep -vc '^Z\\| 2$'`],
  );
  return [await shareCount(), ...text.trim().split("\n").map(Number)];
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
      await create(`cut-${driver}`, nas);
      const path = await hold(`cut-${driver}`);
      await lab.network.cut();
      const writing = lab.run("sh", "-c", `echo kept > ${path}/late && sync ${path}/late`);
      await untilState(`cut-${driver}`, "unreachable");
      await lab.network.mend();
      await untilState(`cut-${driver}`, "in use");
      await writing;
      expect((await lab.run("sh", "-c", `echo again > ${path}/after`)).code).toBe(0);
      await remove(`cut-${driver}`);
    });

    whenLab("survives a server that is killed and started again", async () => {
      await create(`killed-${driver}`, nas);
      const path = await hold(`killed-${driver}`);
      await nas.server(lab).kill();
      await untilState(`killed-${driver}`, "unreachable");
      expect((await daemon.docker("volume", "ls")).tookMs).toBeLessThan(promptMs);
      await nas.server(lab).start();
      await untilState(`killed-${driver}`, "in use", backMs);
      expect((await lab.run("sh", "-c", `echo again > ${path}/after`)).code).toBe(0);
      await remove(`killed-${driver}`);
    });

    whenLab("finds a server that has moved by `holdfast volume update`", async () => {
      const name = `moved-${driver}`;
      await create(name, nas);
      await lab.run("sh", "-c", `echo moved > ${await hold(name)}/file`);
      await release(name);
      await nas.server(lab).move();
      const place = Object.entries(nas.optionsAt(OTHER_SERVER_ADDRESS));
      const options = [...place, ["subpath", name]].map(([key, value]) => `-o=${key}=${value}`);
      const updated = await daemon.holdfast("volume", "update", ...options, name);
      expect(updated).toMatchObject({ code: 0 });
      expect((await lab.run("cat", `${await hold(name)}/file`)).text).toBe("moved\n");
      await remove(name);
    });

    whenLab("has what was synced when the daemon is killed while somebody writes", async () => {
      const name = `written-${driver}`;
      await create(name, nas);
      const path = await hold(name);
      const script = 'for i in $(seq 40); do echo $i > "$0/$i"; sync "$0/$i"; done';
      const writing = lab.run("sh", "-c", script, path);
      await daemon.end("SIGKILL");
      await startDaemon();
      expect(await writing).toMatchObject({ code: 0 });
      expect(readFileSync(join(nas.folder(lab), name, "40"), "utf8")).toBe("40\n");
      await remove(name);
    });

    whenLab("is mounted again when its server is up later than the host", async () => {
      const name = `late-${driver}`;
      await create(name, nas);
      const path = await hold(name);
      await lab.run("sh", "-c", `echo before > ${path}/file && sync ${path}/file`);
      await nas.server(lab).kill();
      await lab.reboot();
      await startDaemon();
      expect((await daemon.docker("volume", "ls")).text).toInclude(name);
      await nas.server(lab).start();
      await untilState(name, "in use");
      expect((await lab.run("cat", `${path}/file`)).text).toBe("before\n");
      await remove(name);
    });

    whenLab(`leaves nothing after ${roundCount} rounds`, async () => {
      const round = async () => {
        await create(`round-${driver}`, nas);
        await hold(`round-${driver}`);
        await remove(`round-${driver}`);
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
