// `local` volumes on a real NFS server, by the kernel's own client: what they do when it dies.
//
// The kernels that tests run on often have no NFS client: the daemon runs in user-mode Linux.
import { afterAll, afterEach, beforeAll, describe, expect } from "bun:test";
import { resolve } from "node:path";
import { eventually } from "../support/child.ts";
import type { AgentAnswer } from "../support/labs/agent-protocol.ts";
import { type Lab, type LabDaemon, onServer, startLab } from "../support/labs/lab.ts";
import { EXPORT_PATH } from "../support/labs/nfs-server.ts";
import { SERVER_ADDRESS } from "../support/labs/private-network.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { SHORT_DEADLINES_MS } from "../support/short-deadlines.ts";

const repository = resolve(import.meta.dir, "../..");
const built = [process.env["HOLDFAST_UNDER_TEST"] ?? `${repository}/dist/holdfast`];
const impatient = [process.execPath, `${repository}/test/support/short-deadlines.ts`];

/** What must not wait for storage answers within this, on a machine that is emulated. */
const promptMs = 3_000;
/** From a deadline to the answer: the driver's moment for giving up, and a slow machine's. */
const slackMs = 2_500;
/** The daemon's own patience with requests in progress, and a slow machine's. */
const drainMs = 10_000 + slackMs;
const comeBackMs = 60_000;
const testMs = 180_000;

const requirements: readonly Requirement[] = [
  ...(["root", "unshare", "tap", "nfs-server", "nfs-client", "user-mode-linux"] as const),
  "docker-cli",
];

const options = { type: "nfs", device: `:${EXPORT_PATH}`, o: `addr=${SERVER_ADDRESS},rw,vers=4.2` };

/** Nothing is remembered of the server: whoever looks at the mount asks it, and hangs with it. */
const asking = { ...options, o: `${options.o},actimeo=0` };

let lab: Lab;
beforeAll(async () => {
  if (needs(...requirements).skip === undefined) lab = await startLab();
}, testMs);
afterAll(async () => await lab?.[Symbol.asyncDispose]());

/** The daemon of the test, ended after it whatever became of it. */
let daemon: LabDaemon;
afterEach(async () => {
  if (lab === undefined) return;
  await lab.server.thaw();
  await lab.server.kill();
  await daemon?.end("SIGKILL").catch(() => undefined);
  for (const target of await shares()) await lab.run("umount", "--force", "--lazy", target);
  await lab.server.start();
});

async function start(command: readonly string[], root: string): Promise<void> {
  daemon = await lab.startDaemon({ command, root });
}

function whenLab(name: string, run: () => Promise<void>): void {
  whenPossible(requirements, name, run, testMs);
}

/** Where NFS is mounted on the client machine. */
async function shares(): Promise<readonly string[]> {
  const { text } = await lab.run("cat", "/proc/self/mountinfo");
  const lines = text.split("\n").filter((line) => line.includes(" - nfs"));
  return lines.map((line) => line.split(" ")[4] ?? "");
}

async function create(name: string, more: Readonly<Record<string, string>> = {}): Promise<void> {
  const body = { Name: name, Driver: "local", DriverOpts: { ...asking, ...more } };
  expect((await daemon.send("POST", "/volumes/create", body)).code).toBe(201);
}

function hold(name: string, holder: string): Promise<AgentAnswer> {
  return daemon.send("PUT", `/holdfast/v1/volumes/${name}/holders/${holder}`);
}

function release(name: string, holder: string): Promise<AgentAnswer> {
  return daemon.send("DELETE", `/holdfast/v1/volumes/${name}/holders/${holder}`);
}

/** cp(1) on the client machine: into a volume, as a container would write. */
function write(name: string, file: string): Promise<AgentAnswer> {
  return lab.run("cp", "/etc/debian_version", `${daemon.data(name)}/${file}`);
}

/**
 * Everything that must not notice: each answers in time, and says what it should. `shown` is the
 * dead volume, unless its removal is under way: then nobody shows it.
 */
async function expectOthersUnharmed(shown?: string): Promise<void> {
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const other = `other-${crypto.randomUUID().slice(0, 8)}`;
  const asked: readonly (readonly [method: string, path: string, code: number, body?: unknown])[] =
    [
      ["GET", "/volumes", 200],
      ["GET", `/volumes/${shown}`, shown === undefined ? 404 : 200],
      ["GET", `/holdfast/v1/volumes/${shown}`, shown === undefined ? 404 : 200],
      ["GET", "/holdfast/v1/volumes", 200],
      ["GET", "/info", 200],
      ["GET", "/system/df", 200],
      ["GET", `/events?since=0&until=${nowSeconds}`, 200],
      ["POST", "/volumes/create", 201, { Name: other }],
      ["PUT", `/holdfast/v1/volumes/${other}/holders/one`, 200],
      ["DELETE", `/holdfast/v1/volumes/${other}/holders/one`, 204],
      ["DELETE", `/volumes/${other}`, 204],
    ];
  for (const [method, path, code, body] of asked) {
    const answer = await daemon.send(method, path, body);
    expect({ path, code: answer.code, text: answer.errors }).toEqual({ path, code, text: "" });
    expect(answer.tookMs, `${method} ${path}`).toBeLessThan(promptMs);
  }
  const commands = [["ls"], ...(shown === undefined ? [] : [["inspect", shown]])];
  for (const words of commands) {
    const answer = await daemon.docker("volume", ...words);
    expect(answer).toMatchObject({ code: 0, errors: "" });
    expect(answer.text).toInclude(shown ?? "");
    expect(answer.tookMs, `docker volume ${words.join(" ")}`).toBeLessThan(promptMs);
  }
}

/** Programs that still try to mount. The machine's first process does not reap: zombies stay. */
async function mountHelperCount(): Promise<number> {
  const { text } = await lab.run("ps", "-eo", "stat=,comm=");
  return text.split("\n").filter((line) => /^[^Z]\S* +mount/.test(line)).length;
}

/** An error that came in time: after the deadline, and not much after. */
function expectTimeout(answer: AgentAnswer, deadlineMs: number): void {
  expect(JSON.parse(answer.text)).toMatchObject({ code: "driver.timed_out", kind: "unavailable" });
  expect(answer.code).toBe(503);
  expect(answer.tookMs).toBeGreaterThanOrEqual(deadlineMs - 50);
  expect(answer.tookMs).toBeLessThan(deadlineMs + slackMs);
}

describe("with the server there", () => {
  whenLab("data is on the server, holders share a mount, the last one ends it", async () => {
    await start(built, "there");
    const words = Object.entries(options).map(([key, value]) => `--opt=${key}=${value}`);
    const created = await daemon.docker("volume", "create", "--driver=local", ...words, "share");
    expect(created).toMatchObject({ code: 0, text: "share\n" });
    expect(await shares()).toEqual([]);

    const path = daemon.data("share");
    expect(JSON.parse((await hold("share", "one")).text)).toEqual({ path });
    expect(JSON.parse((await hold("share", "two")).text)).toEqual({ path });
    expect(await shares()).toEqual([path]);
    expect((await write("share", "written")).code).toBe(0);
    const here = await lab.run("cat", "/etc/debian_version");
    expect(onServer(lab.server, "written")).toBe(here.text);

    expect((await release("share", "one")).code).toBe(204);
    expect(await shares()).toEqual([path]);
    expect((await release("share", "two")).code).toBe(204);
    expect(await shares()).toEqual([]);
    expect((await lab.run("ls", path)).text).toBe("");

    expect(await daemon.docker("volume", "rm", "share")).toMatchObject({ code: 0 });
    expect(onServer(lab.server, "written")).toBe(here.text);
    expect(await daemon.end("SIGTERM")).toMatchObject({ code: 0 });
  });

  whenLab("a daemon that was killed takes its mounts over", async () => {
    await start(built, "taken-over");
    await create("share");
    await hold("share", "one");
    await daemon.end("SIGKILL");
    await start(built, "taken-over");
    await hold("share", "two");
    expect(await shares()).toEqual([daemon.data("share")]);
    await release("share", "one");
    expect((await write("share", "after-restart")).code).toBe(0);
    await release("share", "two");
    expect(await shares()).toEqual([]);
  });
});

describe("with the server killed while mounted", () => {
  whenLab("others do not notice, the unmount fails in time, then all works again", async () => {
    await start(impatient, "killed");
    await create("share");
    await hold("share", "one");
    await write("share", "before");
    await lab.server.kill();
    const writing = write("share", "while-dead");

    await expectOthersUnharmed("share");
    const removal = await daemon.docker("volume", "rm", "share");
    expect(removal.errors).toInclude("volume is in use - [one]");
    expect(removal.tookMs).toBeLessThan(promptMs);
    // Mounted already: nobody has to be asked.
    expect(await hold("share", "two")).toMatchObject({ code: 200 });
    expect((await release("share", "two")).tookMs).toBeLessThan(promptMs);

    const unmounting = release("share", "one");
    await expectOthersUnharmed("share");
    const failed = await unmounting;
    // A write is under way: the kernel says so without asking the server.
    expect(JSON.parse(failed.text)).toMatchObject({ code: "volume.unmount_failed" });
    expect(failed.text).toInclude("busy");
    // It waits 8 s for looks of our own that may be in the way (host/mounts.ts).
    expect(failed.tookMs).toBeLessThan(SHORT_DEADLINES_MS.unmount);

    await lab.server.start();
    expect((await writing).code).toBe(0);
    expect((await hold("share", "one")).code).toBe(200);
    const again = await eventually(
      async () => ((await write("share", "after")).code === 0 ? true : undefined),
      { timeoutMs: comeBackMs, otherwise: () => "the volume does not come back" },
    );
    expect(again).toBeTrue();
    expect(onServer(lab.server, "after")).toBe(onServer(lab.server, "before"));
    expect((await release("share", "one")).code).toBe(204);
    expect(await shares()).toEqual([]);
  });

  whenLab("an unmount ends at its deadline, and the next mount is a fresh one", async () => {
    await start(impatient, "idle");
    await create("share");
    await hold("share", "one");
    await write("share", "before");
    await lab.server.kill();
    const unmounting = release("share", "one");
    await expectOthersUnharmed("share");
    expectTimeout(await unmounting, SHORT_DEADLINES_MS.unmount);
    await lab.server.start();
    expect((await hold("share", "one")).code).toBe(200);
    expect((await write("share", "after")).code).toBe(0);
    expect(onServer(lab.server, "after")).toBe(onServer(lab.server, "before"));
    expect((await release("share", "one")).code).toBe(204);
  });

  whenLab("a removal that has to unmount ends at its deadline", async () => {
    await start(impatient, "removed");
    await create("share");
    const target = daemon.data("share");
    // A mount that nobody holds: what a crash between the mount and its row leaves behind.
    const words = ["--types=nfs", `--options=${asking.o}`];
    await lab.run("mount", ...words, `${SERVER_ADDRESS}:${EXPORT_PATH}`, target);
    expect(await shares()).toEqual([target]);
    await lab.server.kill();
    const removing = daemon.send("DELETE", "/volumes/share");
    await expectOthersUnharmed();
    const removed = await removing;
    expect(removed.code).toBeGreaterThanOrEqual(500);
    expect(removed.text).toInclude(`did not end in ${SHORT_DEADLINES_MS.retire} ms`);
    expect(removed.tookMs).toBeLessThan(SHORT_DEADLINES_MS.retire + slackMs);
    await lab.server.start();
    expect((await daemon.send("DELETE", "/volumes/share")).code).toBe(204);
    expect(await shares()).toEqual([]);
  });

  whenLab("the daemon is stopped, killed and started as ever", async () => {
    await start(impatient, "stopped");
    await create("share");
    await hold("share", "one");
    await lab.server.kill();
    const idle = await daemon.end("SIGTERM");
    expect(idle.code).toBe(0);
    expect(idle.tookMs).toBeLessThan(slackMs);
    await start(impatient, "stopped");
    await expectOthersUnharmed("share");
    await daemon.end("SIGKILL");
    await start(impatient, "stopped");
    await expectOthersUnharmed("share");
    // With an unmount under way that does not end.
    const unmounting = release("share", "one");
    const ended = await daemon.end("SIGTERM");
    expect(ended.code).toBe(0);
    expect(ended.tookMs).toBeLessThan(drainMs);
    await unmounting;
  });
});

describe("with no server at the time of the mount", () => {
  whenLab("mount.nfs tells why, secrets are masked, nothing is left behind", async () => {
    await start(impatient, "refused");
    const o = `${options.o},retry=0,sloppy,password=geheim7`;
    await create("share", { o });
    await lab.server.kill();
    const failed = await hold("share", "one");
    expect(JSON.parse(failed.text)).toMatchObject({ code: "volume.mount_failed" });
    expect(failed.text).toInclude("mount.nfs: ");
    expect(failed.text).toInclude("Connection refused");
    expect(failed.text).toInclude("password=****");
    expect(failed.text).not.toInclude("geheim7");
    expect((await lab.run("cat", daemon.log)).text).not.toInclude("geheim7");
    expect(await shares()).toEqual([]);
    expect(JSON.parse((await daemon.send("GET", "/holdfast/v1/volumes/share")).text)).toMatchObject(
      { state: "idle", holders: [] },
    );
    await lab.server.start();
    expect((await hold("share", "one")).code).toBe(200);
    expect((await write("share", "late")).code).toBe(0);
    expect((await release("share", "one")).code).toBe(204);
  });

  for (const [how, stop] of [
    ["is dead", (one: Lab) => one.server.kill()],
    ["accepts and never answers", (one: Lab) => one.server.freeze()],
  ] as const) {
    whenLab(`a server that ${how} is given up on, again and again`, async () => {
      await start(impatient, how.replaceAll(" ", "-"));
      await create("share");
      await stop(lab);
      const mounting = hold("share", "one");
      await expectOthersUnharmed("share");
      expectTimeout(await mounting, SHORT_DEADLINES_MS.mount);
      expect(await shares()).toEqual([]);
      // At once, or in time: never two helpers, never for ever.
      const second = await hold("share", "two");
      expect(second.text).toInclude("driver.timed_out");
      expect(second.tookMs).toBeLessThan(SHORT_DEADLINES_MS.mount + slackMs);
      expect(await mountHelperCount()).toBe(0);

      await lab.server.thaw();
      await lab.server.kill();
      await lab.server.start();
      await eventually(async () => ((await hold("share", "one")).code === 200 ? true : undefined), {
        timeoutMs: comeBackMs,
        otherwise: () => "the volume does not come back",
      });
      expect(await shares()).toEqual([daemon.data("share")]);
      expect((await write("share", "late")).code).toBe(0);
      expect((await release("share", "one")).code).toBe(204);
    });
  }
});
