// kill -9 of the daemon, of a socket plugin and of both, before and after the plugin has done what
// it was asked for: at every call of every verb of a volume.
//
// The plugin serves from this process, so each moment is exact: the call has arrived, and its
// answer will never come. What both sides have then is compared with what was acknowledged.
import { afterAll, afterEach, beforeAll, expect } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { pluginMethods } from "../../src/plugins/protocol/methods.ts";
import { holderPath } from "../crash/client.ts";
import { eventually } from "../support/child.ts";
import { type FaultPlugin, type Misbehaviour, startFaultPlugin } from "../support/fault-plugin.ts";
import { needs, whenPossible } from "../support/needs.ts";
import { PluginHouse } from "../support/plugin-house.ts";

const needed = ["root", "mount"] as const;
const patienceMs = 20_000;
const testTimeoutMs = 240_000;

const house = new PluginHouse();
const volumes = join(house.folder, "volumes");
let plugin: FaultPlugin;

const startPlugin = async () => {
  plugin = await startFaultPlugin(join(house.sockets, "bad.sock"), volumes);
};

beforeAll(async () => {
  if (needs(...needed).skip !== undefined) return;
  await startPlugin();
  await house.start();
  await untilReady();
});

afterEach(() => {
  for (const call of Object.keys(pluginMethods)) plugin.misbehave(call, undefined);
});

afterAll(async () => {
  await plugin?.[Symbol.asyncDispose]();
  await house[Symbol.asyncDispose]();
});

type Victim = "daemon" | "plugin" | "both";

/** What one side or the other knows of the volume. */
interface Known {
  readonly isThere: boolean;
  readonly holders: readonly string[];
}

const absent: Known = { isThere: false, holders: [] };
const present: Known = { isThere: true, holders: [] };
const held: Known = { isThere: true, holders: ["c1"] };

interface Verb {
  readonly verb: string;
  /** The plugin's calls at which death comes. */
  readonly calls: readonly string[];
  readonly before: Known;
  readonly after: Known;
  readonly act: (name: string) => Promise<unknown>;
}

const verbs: readonly Verb[] = [
  { verb: "create", calls: ["Get", "Create"], before: absent, after: present, act: create },
  { verb: "mount", calls: ["Mount"], before: present, after: held, act: mount },
  { verb: "unmount", calls: ["Unmount"], before: held, after: present, act: unmount },
  { verb: "remove", calls: ["Remove"], before: present, after: absent, act: remove },
  { verb: "inspect", calls: ["Get"], before: held, after: held, act: inspect },
  { verb: "list", calls: ["List"], before: held, after: held, act: list },
];

function create(name: string) {
  return house.client.expect(201, "POST", "/volumes/create", { Name: name, Driver: "bad" });
}

function mount(name: string) {
  return house.client.expect(200, "PUT", holderPath(name, "c1"));
}

function unmount(name: string) {
  return house.client.expect(204, "DELETE", holderPath(name, "c1"));
}

function remove(name: string) {
  return house.client.expect(204, "DELETE", `/volumes/${name}`);
}

/** Plugins are asked at most once a second for what only tells of them. */
async function untilAsked(call: string, ask: () => Promise<unknown>): Promise<void> {
  const asked = plugin;
  const count = asked.calls.length;
  await eventually(
    async () => {
      await ask();
      return asked.calls.slice(count).some((one) => one.startsWith(call)) ? true : undefined;
    },
    { timeoutMs: patienceMs, otherwise: () => `the plugin is never asked: ${call}` },
  );
}

function inspect(name: string) {
  const ask = () => house.client.expect(200, "GET", `/volumes/${name}`);
  return untilAsked(`VolumeDriver.Get ${name}`, ask);
}

function list() {
  return untilAsked("VolumeDriver.List", () => house.client.volumes());
}

async function untilReady(): Promise<void> {
  const isReady = async () => ((await house.drivers()).includes("bad") ? true : undefined);
  const otherwise = () => `the plugin is never ready:\n${house.daemon.output().slice(-2_000)}`;
  await eventually(isReady, { timeoutMs: patienceMs, otherwise });
}

async function ofDaemon(name: string): Promise<Known> {
  const volume = (await house.client.own()).get(name);
  const holders = volume?.holders.map(({ id }) => id).sort() ?? [];
  return { isThere: volume !== undefined, holders };
}

function ofPlugin(name: string): Known {
  return { isThere: readdirSync(volumes).includes(name), holders: plugin.mountsOf(name) };
}

/** Both sides agree, on something that may be: as far as the plugin can know what it did. */
async function untilAgreed(
  name: string,
  { allowed, victim }: { readonly allowed: readonly Known[]; readonly victim: Victim },
  when: string,
): Promise<Known> {
  let seen: readonly Known[] = [];
  const agreed = async () => {
    const [own, other] = [await ofDaemon(name), ofPlugin(name)];
    seen = [own, other];
    // A plugin that was killed counts none of the mounts that we have, and it has given.
    const isForgetful = victim !== "daemon" && other.holders.length === 0;
    const holders = isForgetful ? own.holders : other.holders;
    const isSame = isDeepStrictEqual(own, { ...other, holders });
    // Whoever asked for the removal was told that it failed: the row is theirs to take away.
    const isGoneBehindUs = victim === "plugin" && own.isThere && allowed.includes(absent);
    if (!isSame && !(isGoneBehindUs && !other.isThere)) return undefined;
    return allowed.some((one) => isDeepStrictEqual(one, own)) ? own : undefined;
  };
  const otherwise = () => {
    const log = house.daemon.output().slice(-2_000);
    return `${when}: daemon, plugin: ${JSON.stringify(seen)}; ${house.ownMounts()}\n${log}`;
  };
  return await eventually(agreed, { timeoutMs: patienceMs, otherwise });
}

async function prepare(name: string, { isThere, holders }: Known): Promise<void> {
  if (isThere) await create(name);
  if (holders.length > 0) await mount(name);
}

/** Ends the victim while the call is not answered; everything runs again when it resolves. */
async function die(victim: Victim): Promise<void> {
  if (victim !== "daemon") await plugin.die();
  if (victim !== "plugin") await house.daemon.kill();
  if (victim !== "daemon") await startPlugin();
  if (victim !== "plugin") await house.start();
  await untilReady();
}

/** True: the client was told that it is done. */
async function dieAt(
  verb: Verb,
  death: { readonly call: string; readonly how: Misbehaviour; readonly victim: Victim },
  name: string,
): Promise<boolean> {
  const call = `VolumeDriver.${death.call}`;
  const first = plugin.calls.length;
  plugin.misbehave(call, death.how);
  const done = verb.act(name).then(
    () => true,
    () => false,
  );
  await eventually(
    () => (plugin.calls.slice(first).some((one) => one.startsWith(call)) ? true : undefined),
    { timeoutMs: patienceMs, otherwise: () => `${call} is never called` },
  );
  plugin.misbehave(call, undefined);
  await die(death.victim);
  return await done;
}

/** Nothing is in the way: it can be used, removed, and made again. */
async function isUsable(name: string, now: Known): Promise<void> {
  if (!now.isThere) await create(name);
  const body = await mount(name);
  // What a PUT of a holder answers.
  const { path } = body as { readonly path: string };
  writeFileSync(join(path, "data"), name);
  expect(existsSync(join(volumes, name, "data"))).toBe(true);
  await unmount(name);
  await remove(name);
  await create(name);
  await remove(name);
  expect([ofPlugin(name), house.ownMounts()]).toEqual([absent, []]);
}

let count = 0;
for (const verb of verbs) {
  for (const call of verb.calls) {
    for (const victim of ["daemon", "plugin", "both"] as const) {
      const title = `${victim} killed at ${call} of ${verb.verb}`;
      whenPossible(
        needed,
        title,
        async () => {
          // What only tells is the same before and after.
          const hows =
            verb.before === verb.after ? (["mute"] as const) : (["hang", "mute"] as const);
          for (const how of hows) {
            const name = `v${count++}`;
            await prepare(name, verb.before);
            const isDone = await dieAt(verb, { call, how, victim }, name);
            const allowed = isDone ? [verb.after] : [verb.before, verb.after];
            const now = await untilAgreed(name, { allowed, victim }, `${title}, ${how}`);
            // By turns what is there is used, or is removed at once.
            if (now.isThere && now.holders.length === 0 && how === "mute") await remove(name);
            await isUsable(name, ofPlugin(name));
          }
        },
        testTimeoutMs,
      );
    }
  }
}
