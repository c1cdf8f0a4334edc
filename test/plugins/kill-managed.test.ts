// kill -9 of the daemon, of the process of a managed plugin and of conmon, while the plugin is at a
// call of a volume: what was acknowledged is there, the plugin runs again, and the name is usable.
import { afterAll, beforeAll, expect } from "bun:test";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { holderPath } from "../crash/client.ts";
import { eventually } from "../support/child.ts";
import { needs, whenPossible } from "../support/needs.ts";
import { PluginHouse } from "../support/plugin-house.ts";
import { makePluginRootfs } from "../support/plugin-rootfs.ts";

const needed = ["root", "mount", "docker-cli", "plugin-runtime"] as const;
const patienceMs = 20_000;
const testTimeoutMs = 120_000;

const house = new PluginHouse();
let id = "";

beforeAll(async () => {
  if (needs(...needed).skip !== undefined) return;
  await makePluginRootfs(join(house.folder, "made"), "propagated");
  await house.start();
  await house.docker("plugin", "create", "vp", join(house.folder, "made"));
  await house.docker("plugin", "enable", "vp");
  ({ id } = house.record());
});

afterAll(() => house[Symbol.asyncDispose]());

const propagated = (name: string) => join(house.root, "plugins", id, "propagated-mount", name);

const create = (name: string, DriverOpts: Readonly<Record<string, string>>) =>
  house.client.expect(201, "POST", "/volumes/create", { Name: name, Driver: "vp", DriverOpts });
const mount = async (name: string) => {
  const body = await house.client.expect(200, "PUT", holderPath(name, "c1"));
  return (body as { readonly path: string }).path; // Our own contract.
};
const unmount = (name: string) => house.client.expect(204, "DELETE", holderPath(name, "c1"));
const remove = (name: string) => house.client.expect(204, "DELETE", `/volumes/${name}`);

type Call = "Create" | "Mount" | "Unmount" | "Remove";

/** The request, which never gets its answer; the plugin is at the call when it resolves. */
async function hanging(
  call: Call,
  { name, how }: { readonly name: string; readonly how: "hang" | "mute" },
): Promise<{ readonly answered: Promise<boolean> }> {
  const opts = { [call === "Create" ? "hang" : how]: call };
  if (call !== "Create") await create(name, opts);
  if (call === "Unmount") await mount(name);
  const work = {
    Create: () => create(name, opts),
    Mount: () => mount(name),
    Unmount: () => unmount(name),
    Remove: () => remove(name),
  }[call];
  const answered = work().then(
    () => true,
    () => false,
  );
  await eventually(() => (existsSync(propagated(`.hangs-${name}`)) ? true : undefined), {
    timeoutMs: patienceMs,
    otherwise: () => `the plugin is never at ${call}`,
  });
  return { answered };
}

async function die(victim: "daemon" | "plugin" | "conmon"): Promise<void> {
  if (victim === "daemon") return await house.killAndStart();
  const pid = victim === "plugin" ? house.pidOf(id) : house.pidsOf("conmon")[0];
  if (pid === undefined) throw new Error(`there is no ${victim}`);
  process.kill(pid, "SIGKILL");
  await eventually(() => (existsSync(`/proc/${pid}/exe`) ? undefined : true), {
    timeoutMs: patienceMs,
    otherwise: () => `${victim} does not end`,
  });
}

interface Known {
  readonly isThere: boolean;
  readonly holders: readonly string[];
}

/** What there is before and after the call. */
const known: Readonly<Record<Call, readonly [before: Known, after: Known]>> = {
  Create: [
    { isThere: false, holders: [] },
    { isThere: true, holders: [] },
  ],
  Mount: [
    { isThere: true, holders: [] },
    { isThere: true, holders: ["c1"] },
  ],
  Unmount: [
    { isThere: true, holders: ["c1"] },
    { isThere: true, holders: [] },
  ],
  Remove: [
    { isThere: true, holders: [] },
    { isThere: false, holders: [] },
  ],
};

/** The plugin answers again, and we list what it has. */
async function untilSettled(name: string): Promise<Known> {
  let words = "";
  const look = async () => {
    const volume = (await house.client.own()).get(name);
    const isThere = existsSync(propagated(name));
    const holders = volume?.holders.map((holder) => holder.id) ?? [];
    words = JSON.stringify({ volume, isThere });
    const isReady = ["idle", "in use", "not listed", undefined].includes(volume?.state);
    // Of a removal that failed, as its client was told, the row is the client's to take away.
    const isAgreed = isThere === (volume !== undefined) || volume?.state === "not listed";
    if (volume?.state === "not listed") await remove(name);
    return isReady && isAgreed ? { isThere, holders } : undefined;
  };
  const otherwise = () => `never settled: ${words}\n${house.daemon.output().slice(-3_000)}`;
  return await eventually(look, { timeoutMs: patienceMs, otherwise });
}

async function isUsable(name: string, { isThere, holders }: Known): Promise<void> {
  if (!isThere) await create(name, {});
  if (holders.length > 0) await unmount(name);
  const path = await mount(name);
  writeFileSync(join(path, "data"), name);
  await unmount(name);
  await remove(name);
  expect(existsSync(propagated(name))).toBe(false);
  expect(house.ownMounts()).toEqual([]);
}

async function dieAt(
  victim: "daemon" | "plugin" | "conmon",
  call: Call,
  how: "hang" | "mute",
): Promise<void> {
  const name = `v${count++}`;
  // Otherwise the pauses between its restarts become longer and longer.
  await house.docker("plugin", "disable", "--force", "vp");
  await house.docker("plugin", "enable", "vp");
  const { answered } = await hanging(call, { name, how });
  // From the next call on it hangs no more.
  rmSync(propagated(`.options/${name}`), { force: true });
  rmSync(propagated(`.hangs-${name}`));
  await die(victim);
  expect(await answered).toBe(call === "Unmount" && victim !== "daemon");
  await house.becomesWhole(`${victim} killed at ${call}`);
  const now = await untilSettled(name);
  expect(known[call]).toContainEqual(now);
  // By turns what is there is used, or is removed at once.
  const isIdle = now.isThere && now.holders.length === 0;
  if (isIdle && how === "mute") {
    await remove(name);
    expect([existsSync(propagated(name)), house.ownMounts()]).toEqual([false, []]);
  } else {
    await isUsable(name, now);
  }
  await house.becomesWhole(`after ${name}`);
}

let count = 0;
for (const victim of ["daemon", "plugin", "conmon"] as const) {
  for (const call of ["Create", "Mount", "Unmount", "Remove"] as const) {
    whenPossible(
      needed,
      `${victim} killed at ${call}`,
      async () => {
        await dieAt(victim, call, "hang");
        if (victim !== "conmon") await dieAt(victim, call, "mute");
      },
      testTimeoutMs,
    );
  }
}

whenPossible(
  needed,
  "whoever has a volume keeps its data while the plugin, conmon and the daemon are killed",
  async () => {
    await create("kept", { type: "tmpfs" });
    const path = await mount("kept");
    writeFileSync(join(path, "data"), "as it was");
    for (const victim of ["plugin", "daemon", "conmon", "daemon", "plugin"] as const) {
      await die(victim);
      expect(await Bun.file(join(path, "data")).text()).toBe("as it was");
      await house.becomesWhole(`after ${victim}`);
      expect(await untilSettled("kept")).toEqual({ isThere: true, holders: ["c1"] });
      expect(await mount("kept")).toBe(path);
      expect(await Bun.file(join(path, "data")).text()).toBe("as it was");
    }
    await unmount("kept");
    // The daemon may be just about to start the plugin again, and says so.
    const removed = () =>
      remove("kept").then(
        () => true,
        () => undefined,
      );
    await eventually(removed, { timeoutMs: patienceMs, otherwise: () => "kept is not removed" });
    expect(house.ownMounts()).toEqual([]);
  },
  testTimeoutMs,
);
