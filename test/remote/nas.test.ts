// NFS and SMB by the kernel's own clients, against real servers: what becomes of data, failures and
// silence.
//
// The kernels that tests run on often have neither client: the daemon runs in user-mode Linux.
import { afterAll, beforeAll, describe, expect } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sourceRoot } from "../../tools/source-root.ts";
import { ShownIds } from "../e2e/shown-ids.ts";
import { readFiles, readTours } from "../e2e/tour.ts";
import { untruths } from "../e2e/untruths.ts";
import { eventually } from "../support/child.ts";
import { temporaryDirectory } from "../support/daemon.ts";
import { runConformance } from "../support/labs/conformance.ts";
import { type Lab, labRequirements, startLab } from "../support/labs/lab.ts";
import { nasKinds } from "../support/labs/nas.ts";
import { NasClient, promptMs } from "../support/labs/nas-client.ts";
import { FULL_EXPORT_PATH, READ_ONLY_EXPORT_PATH } from "../support/labs/nfs-server.ts";
import { SERVER_ADDRESS } from "../support/labs/private-network.ts";
import { FULL_SHARE, SMB_PASSWORD } from "../support/labs/samba-server.ts";
import { needs, whenPossible } from "../support/needs.ts";

const holdfast = process.env["HOLDFAST_UNDER_TEST"] ?? join(sourceRoot, "dist/holdfast");

/** Somebody inspects it all the time: two answers that do not come, and the pause between. */
const noticedMs = 40_000;
const backMs = 5_000;
const testMs = 120_000;

/** All of them take minutes on that machine: test/remote/nas.nightly.test.ts has them. */
const promises = [
  "What `create` found rather than made is left where it is",
  "What was written is there again at the next mount.",
  "Two holders see the same data.",
];

let lab: Lab;
let client: NasClient;
beforeAll(async () => {
  if (needs(...labRequirements).skip !== undefined) return;
  lab = await startLab();
  client = new NasClient(await lab.startDaemon({ command: [holdfast], root: "nas" }));
  await client.putSecret(SMB_PASSWORD);
  await client.putSecret("not-it", "wrong");
}, testMs);
afterAll(async () => await lab?.[Symbol.asyncDispose]());

function whenLab(name: string, run: () => Promise<void>): void {
  whenPossible(labRequirements, name, run, testMs);
}

/** NFS and SMB mounts of the machine. */
async function shares(): Promise<readonly string[]> {
  const { text } = await lab.run("cat", "/proc/self/mountinfo");
  return text.split("\n").filter((line) => / - (?:nfs4?|cifs) /.test(line));
}

/** Shortly after a create it may be mounted for a look at what is in it. */
async function untilNoShares(): Promise<void> {
  let left: readonly string[] = [];
  await eventually(
    async () => {
      left = await shares();
      return left.length === 0 ? true : undefined;
    },
    { timeoutMs: noticedMs, otherwise: () => left.join("\n") },
  );
}

// First: it shows the list of all volumes.
describe("the guide of NAS", () => {
  const document = "docs/guide/nas.md";
  const text = readFileSync(join(sourceRoot, document), "utf8");
  const folder = temporaryDirectory();
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, content] of readFiles(text)) writeFileSync(join(folder, name), content);
  const ids = new ShownIds();
  const player = {
    async run(words: readonly string[]) {
      const [program = "", ...own] = words.map((word) => word.replace("nas.lan", SERVER_ADDRESS));
      expect(program).toBe("holdfast");
      const command = [holdfast, "--host", `unix://${client.daemon.socket}`, ...own];
      const ran = await lab.run("sh", "-c", 'cd "$0" && exec "$@"', folder, ...command);
      return `${ran.text}${ran.errors}`.trimEnd().replaceAll(SERVER_ADDRESS, "nas.lan");
    },
  };
  for (const { blocks } of readTours(document, text, "nas")) {
    whenLab("prints what it shows", async () => {
      const steps = blocks.flatMap((block) => block.steps);
      expect((await untruths({ steps }, player, ids)).join("\n")).toBe("");
    });
  }
});

for (const nas of nasKinds) {
  describe(`a volume of ${nas.driver}`, () => {
    const { driver } = nas;

    whenLab("is what is there already, and no removal takes it away", async () => {
      const folder = nas.folder(lab);
      writeFileSync(join(folder, "theirs"), "years of work");
      expect(await client.tryCreate(`adopted-${driver}`, nas)).toMatchObject({ code: 201 });
      const path = await client.hold(`adopted-${driver}`);
      expect((await lab.run("cat", `${path}/theirs`)).text).toBe("years of work");
      expect(await lab.run("cp", "/etc/debian_version", `${path}/ours`)).toMatchObject({ code: 0 });
      await client.release(`adopted-${driver}`);
      await untilNoShares();
      expect(existsSync(join(folder, "ours"))).toBeTrue();
      await client.purge(`adopted-${driver}`);
      expect(readFileSync(join(folder, "theirs"), "utf8")).toBe("years of work");
      expect(existsSync(join(folder, "ours"))).toBeTrue();
    });

    whenLab("in a directory that it made is gone from the server when it is purged", async () => {
      const folder = nas.folder(lab);
      const before = readdirSync(folder).toSorted();
      const name = `made-${driver}`;
      await client.create(name, nas, { subpath: "made" });
      expect(existsSync(join(folder, "made"))).toBeTrue();
      await client.purge(name);
      // With its mark, which goes last.
      const left = () => readdirSync(folder).toSorted();
      await eventually(() => (Bun.deepEquals(left(), before) ? true : undefined), {
        timeoutMs: noticedMs,
        otherwise: () => `still on the server: ${left().join(", ")}`,
      });
    });

    whenLab("is not purged while a container has its data that nobody tells of", async () => {
      const folder = nas.folder(lab);
      const name = `shown-${driver}`;
      expect(await client.tryCreate(name, nas, { subpath: "shown" })).toMatchObject({ code: 201 });
      await client.hold(name);
      const log = `/tmp/shown-${driver}`;
      const elsewhere = ["unshare", "--mount", "--propagation", "private", "sleep", "300"];
      const started = await lab.machine.ask({ does: "start", command: elsewhere, log });
      await eventually(
        async () => {
          const { text } = await lab.run("cat", `/proc/${started.code}/comm`);
          return text.startsWith("sleep") || undefined;
        },
        { timeoutMs: noticedMs, otherwise: () => "the namespace has not come about" },
      );
      await client.release(name);
      const refused = await client.daemon.holdfast("volume", "rm", "--purge", "--yes", name);
      expect(refused.code).not.toBe(0);
      expect(refused.errors).toInclude("still has");
      expect(existsSync(join(folder, "shown"))).toBeTrue();
      await lab.machine.ask({ does: "signal", pid: started.code, signal: "SIGKILL" });
      await lab.machine.ask({ does: "await", pid: started.code });
      await client.purge(name);
      await eventually(() => (existsSync(join(folder, "shown")) ? undefined : true), {
        timeoutMs: noticedMs,
        otherwise: () => "the directory is still on the server",
      });
    });

    whenLab("keeps the promises of a driver that are about data", async () => {
      const { outcomes, leftBehind } = await runConformance(lab, nas, promises, testMs);
      expect(outcomes.map(({ outcome, error }) => error ?? outcome)).toEqual(
        promises.map(() => "kept"),
      );
      expect(leftBehind).toEqual([]);
    });

    for (const [what, options, words] of nas.failures) {
      whenLab(`is refused with ${what}, and nothing is left behind`, async () => {
        const before = readdirSync(nas.folder(lab)).toSorted();
        const refused = await client.tryCreate(`refused-${driver}`, nas, options);
        expect(refused.code).toBeGreaterThanOrEqual(400);
        expect(JSON.parse(refused.text).message).toMatch(words);
        expect(refused.text).not.toInclude("not-it");
        expect(await client.daemon.send("GET", `/volumes/refused-${driver}`)).toMatchObject({
          code: 404,
        });
        await untilNoShares();
        expect(readdirSync(nas.folder(lab)).toSorted()).toEqual(before);
      });
    }
  });
}

whenLab(
  "servers that are full, or take no writes, are said to be so while it is held",
  async () => {
    const [nfs, smb] = nasKinds;
    if (nfs === undefined || smb === undefined) throw new Error("there are two kinds");
    const troubled = [
      ["nfs-full", nfs, { path: FULL_EXPORT_PATH }, "degraded"],
      ["nfs-ro", nfs, { path: READ_ONLY_EXPORT_PATH }, "read-only"],
      ["smb-full", smb, { share: `//${SERVER_ADDRESS}/${FULL_SHARE}` }, "degraded"],
    ] as const;
    for (const [name, nas, options] of troubled) {
      const untested = { ...options, test: "off" };
      expect(await client.tryCreate(name, nas, untested)).toMatchObject({ code: 201 });
      await client.hold(name);
    }
    for (const [name, , , state] of troubled) {
      let last = "";
      await eventually(
        async () => {
          last = (await client.daemon.send("GET", `/holdfast/v1/volumes/${name}`)).text;
          return JSON.parse(last).state === state ? true : undefined;
        },
        { timeoutMs: noticedMs, otherwise: () => last },
      );
      const { stateReason } = JSON.parse(last);
      const words = state === "degraded" ? "the server is full (0 bytes left)" : "takes no writes";
      expect(stateReason).toInclude(words);
      await client.release(name);
    }
    await untilNoShares();
  },
);

describe("with servers that fall silent", () => {
  whenLab("lists answer, states tell, and both are back in five seconds", async () => {
    for (const nas of nasKinds) {
      mkdirSync(join(nas.folder(lab), "silent"));
      await client.create(`silent-${nas.driver}`, nas, { subpath: "silent" });
      await client.hold(`silent-${nas.driver}`);
    }
    for (const nas of nasKinds) await nas.server(lab).freeze();
    const states = async () =>
      await Promise.all(nasKinds.map(({ driver }) => client.stateOf(`silent-${driver}`)));
    await eventually(
      async () => {
        // Without docker's own start, which says more of the machine than of the daemon.
        const list = await client.daemon.send("GET", "/volumes");
        expect(list.tookMs, "the list of volumes").toBeLessThan(promptMs);
        return (await states()).every((state) => state === "unreachable") ? true : undefined;
      },
      { timeoutMs: noticedMs, otherwise: () => "nobody notices that the servers are silent" },
    );
    const inspected = await client.daemon.docker("volume", "inspect", "silent-nfs", "silent-smb");
    expect(inspected.text).toInclude("unreachable");
    expect(inspected.tookMs).toBeLessThan(2 * promptMs);
    const thawedMs = performance.now();
    for (const nas of nasKinds) await nas.server(lab).thaw();
    await eventually(
      async () => ((await states()).every((state) => state === "in use") ? true : undefined),
      { timeoutMs: noticedMs, otherwise: () => "they do not come back" },
    );
    expect(performance.now() - thawedMs).toBeLessThan(backMs);
    for (const { driver } of nasKinds) await client.release(`silent-${driver}`);
    for (const nas of nasKinds) rmSync(join(nas.folder(lab), "silent"), { recursive: true });
  });
});
