// What lies on a NAS, and who may reach it: data that was there before, daemons that die while they
// create, passwords that change, servers that take no writes, what such storage is fit for.
import { afterAll, beforeAll, describe, expect } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { knownOf } from "../../src/doctor/volume/known-storage.ts";
import { sourceRoot } from "../../tools/source-root.ts";
import { eventually } from "../support/child.ts";
import { type Lab, labRequirements, startLab } from "../support/labs/lab.ts";
import { NAS_SECRET, type Nas, nasKinds } from "../support/labs/nas.ts";
import { NasClient } from "../support/labs/nas-client.ts";
import { SMB_PASSWORD } from "../support/labs/samba-server.ts";
import { needs, whenPossible } from "../support/needs.ts";

const holdfast = process.env["HOLDFAST_UNDER_TEST"] ?? join(sourceRoot, "dist/holdfast");

const noticedMs = 60_000;
/** A server that takes no writes is asked about it once a minute, and looked at every 15 s. */
const refusalMs = 240_000;
const doctorMs = 180_000;
const testMs = 600_000;
const unknownMax = 3;
/** A create of this machine takes less than a second or two: from its beginning to its end. */
const deathsAfterMs = [0, 150, 300, 450, 600, 800, 1_000, 1_500];

let lab: Lab;
let client: NasClient;
beforeAll(async () => {
  if (needs(...labRequirements).skip !== undefined) return;
  lab = await startLab();
  await startDaemon();
  await client.putSecret(SMB_PASSWORD);
}, testMs);
afterAll(async () => await lab?.[Symbol.asyncDispose]());

async function startDaemon(): Promise<void> {
  client = new NasClient(await lab.startDaemon({ command: [holdfast], root: "nas" }));
}

function whenLab(name: string, run: () => Promise<void>): void {
  whenPossible(labRequirements, name, run, testMs);
}

async function untilNothingIsMounted(): Promise<void> {
  let left = "";
  await eventually(
    async () => {
      const { text } = await lab.run("cat", "/proc/self/mountinfo");
      left = text
        .split("\n")
        .filter((line) => / - (?:nfs4?|cifs) /.test(line))
        .join("\n");
      return left === "" ? true : undefined;
    },
    { timeoutMs: noticedMs, otherwise: () => left },
  );
}

/** Years of work, in a directory of this name. Returns what there is to be seen of it. */
function plant(nas: Nas, name: string): () => readonly string[] {
  const folder = join(nas.folder(lab), name);
  mkdirSync(join(folder, "deep/deeper"), { recursive: true });
  writeFileSync(join(folder, "first"), "years of work");
  writeFileSync(join(folder, "deep/deeper/last"), "and more of it");
  return () =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .toSorted()
      .map((each) => {
        const path = join(folder, each);
        return `${each} ${statSync(path).isFile() ? readFileSync(path, "utf8") : ""}`;
      });
}

for (const nas of nasKinds) {
  const { driver } = nas;
  describe(`${driver}: what was there`, () => {
    whenLab("survives creates that fail, and what comes after them", async () => {
      const seen = plant(nas, `failing-${driver}`);
      const before = seen();
      await client.putSecret("not-it", "wrong");
      for (const [, options] of nas.failures) {
        const more = { subpath: `failing-${driver}`, ...options };
        expect((await client.tryCreate("failing", nas, more)).code).toBeGreaterThanOrEqual(400);
        expect(await client.daemon.send("GET", "/volumes/failing")).toMatchObject({ code: 404 });
      }
      expect(seen()).toEqual(before);
      await client.create(`failing-${driver}`, nas);
      await client.purge(`failing-${driver}`);
      await untilNothingIsMounted();
      expect(seen()).toEqual(before);
    });

    whenLab("survives a daemon that is killed at any moment of a create", async () => {
      const seen = plant(nas, `dying-${driver}`);
      const before = seen();
      for (const [round, ms] of deathsAfterMs.entries()) {
        const own = `new-${driver}-${round}`;
        const adopting = client.tryCreate("dying", nas, { subpath: `dying-${driver}` });
        const making = client.tryCreate(own, nas, { subpath: own });
        await lab.run("sleep", String(ms / 1_000));
        await client.daemon.end("SIGKILL");
        await Promise.all([adopting, making]);
        await startDaemon();
        expect(await client.daemon.send("GET", "/volumes")).toMatchObject({ code: 200 });
        // Whatever it came to, both can be had now, and are what they are.
        await client.create("dying", nas, { subpath: `dying-${driver}` });
        await client.create(own, nas);
        await lab.run("cp", "/etc/debian_version", `${await client.hold(own)}/written`);
        await client.release(own);
        await client.purge("dying");
        await client.purge(own);
        await untilNothingIsMounted();
        expect(seen()).toEqual(before);
      }
    });
  });

  describe(`${driver}: a server`, () => {
    whenLab("that takes no writes any more is read-only, until it does again", async () => {
      const name = `refusing-${driver}`;
      await client.create(name, nas);
      const path = await client.hold(name);
      expect(await lab.run("cp", "/etc/debian_version", `${path}/before`)).toMatchObject({
        code: 0,
      });
      await nas.server(lab).setReadOnly(true);
      await client.untilState(name, "read-only", refusalMs);
      expect((await lab.run("cat", `${path}/before`)).code).toBe(0);
      await nas.server(lab).setReadOnly(false);
      await client.untilState(name, "in use", refusalMs);
      expect(await lab.run("cp", "/etc/debian_version", `${path}/after`)).toMatchObject({
        code: 0,
      });
      await client.remove(name);
    });

    whenLab("is measured by two clients, and is what the pages say", async () => {
      const name = `measured-${driver}`;
      await client.create(name, nas);
      const words = ["env", `HOLDFAST_HOST=unix://${client.daemon.socket}`, holdfast, "doctor"];
      const command = [...words, "--json", name];
      const ran = await lab.machine.ask({ does: "run", command, timeoutMs: doctorMs });
      expect(ran).toMatchObject({ code: 0 });
      // Our own report.
      const report = JSON.parse(ran.text) as {
        readonly secondMount: boolean;
        readonly measurements: readonly { readonly ability: string; readonly answer: string }[];
      };
      expect(report.secondMount).toBeTrue();
      const answers = Object.fromEntries(
        report.measurements.map(({ ability, answer }) => [ability, answer]),
      );
      // A busy machine that is emulated comes to no end of some tries: those are unknown.
      const differing = Object.entries(nas.abilities).filter(
        ([ability, answer]) => answers[ability] !== answer,
      );
      const isUnknown = ([ability]: readonly [string, unknown]) => answers[ability] === "unknown";
      expect(differing.filter((each) => !isUnknown(each))).toEqual([]);
      expect(differing.length).toBeLessThan(unknownMax);
      const facts = { fileSystem: nas.fileSystem, source: "", options: ["hard"] };
      for (const { ability, answer } of knownOf({ ...facts, isWrittenLater: false })) {
        expect([ability, answers[ability]]).toEqual([ability, answer]);
      }
      // Its own hold ends in the background where its run was cut short.
      await client.untilState(name, "idle", noticedMs);
      await client.purge(name);
      await untilNothingIsMounted();
    });
  });
}

for (const nas of nasKinds) {
  whenLab(`${nas.driver}: is as fast as what is mounted by hand`, async () => {
    const name = `fast-${nas.driver}`;
    await client.create(name, nas);
    await client.hold(name);
    const byHand = `/mnt/${name}`;
    expect(await lab.run("mkdir", byHand)).toMatchObject({ code: 0 });
    expect(await lab.run(...nas.byHand(name, byHand))).toMatchObject({ code: 0 });
    const { text } = await lab.run("cat", "/proc/self/mountinfo");
    const lines = text.split("\n").filter((line) => line.includes(`/${name}`));
    const devices = lines.map((line) => line.split(" ")[2]);
    // No figures of an emulated machine: both are one file system of the kernel's, by its number.
    expect(devices).toHaveLength(2);
    expect(devices[0]).toBe(devices[1]);
    expect(await lab.run("umount", byHand)).toMatchObject({ code: 0 });
    await client.remove(name);
  });
}

describe("smb: a password", () => {
  whenLab("that was changed on the server is refused, and works once it is rotated", async () => {
    const [, smb] = nasKinds;
    if (smb === undefined) throw new Error("there is no smb");
    await client.create("rotated", smb);
    expect(await client.hold("rotated")).not.toBe("");
    await client.release("rotated");
    await lab.samba.setPassword("another-one-8");
    try {
      const refused = await client.tryHold("rotated");
      expect(refused.code).toBeGreaterThanOrEqual(400);
      expect(JSON.parse(refused.text)).toMatchObject({ code: "remote.denied" });
      expect(refused.text).not.toInclude(SMB_PASSWORD);
      await untilNothingIsMounted();
      const wrong = await client.tryPutSecret("not-this-one-9");
      expect(JSON.parse(wrong.text).refreshed).toContainEqual({
        ...{ volume: "rotated", outcome: "failed" },
        reason: expect.stringMatching(/denied/i),
      });
      expect(wrong.text).not.toInclude("not-this-one-9");
      await client.putSecret("another-one-8");
      const path = await client.hold("rotated");
      expect(await lab.run("cp", "/etc/debian_version", `${path}/file`)).toMatchObject({ code: 0 });
      // Whoever is logged in stays so.
      await lab.samba.setPassword(SMB_PASSWORD);
      expect(await lab.run("cp", "/etc/debian_version", `${path}/late`)).toMatchObject({ code: 0 });
      const waits = await client.tryPutSecret(SMB_PASSWORD);
      expect(JSON.parse(waits.text).refreshed).toContainEqual({
        ...{ volume: "rotated", outcome: "next mount", reason: null },
      });
      // Until the kernel has to log in anew, and is refused with what it was given.
      await lab.samba.kill();
      await lab.samba.start();
      const copied = await eventually(
        async () => {
          const { code } = await lab.run("cp", "/etc/debian_version", `${path}/mended`);
          return code === 0 ? true : undefined;
        },
        { timeoutMs: noticedMs, otherwise: () => "what is mounted keeps its old password" },
      );
      expect(copied).toBe(true);
      await client.untilState("rotated", "in use", noticedMs);
      await client.release("rotated");
      const log = (await lab.run("cat", client.daemon.log)).text;
      for (const each of ["another-one-8", "not-this-one-9"]) expect(log).not.toInclude(each);
    } finally {
      await lab.samba.setPassword(SMB_PASSWORD);
      await client.putSecret(SMB_PASSWORD, NAS_SECRET);
    }
  });
});
