// Every call × every way to misbehave, all at once, through a whole daemon: a plugin for each pair
// and one that is good, beside volumes of our own.
//
// Nobody else waits for them, nothing is forgotten, memory is bounded, and when they behave again
// that is noticed by itself.
import { afterAll, expect } from "bun:test";
import { join } from "node:path";
import { pluginMethods } from "../../src/plugins/protocol/methods.ts";
import { holderPath } from "../crash/client.ts";
import { eventually } from "../support/child.ts";
import { type FaultPlugin, misbehaviours, startFaultPlugin } from "../support/fault-plugin.ts";
import { whenPossible } from "../support/needs.ts";
import { PluginHouse } from "../support/plugin-house.ts";

const patienceMs = 60_000;
const testTimeoutMs = 240_000;
/** What a hundred plugins that misbehave may cost the daemon, in bytes: a List may be 64 MiB. */
const memoryBytesMax = 400 * 1024 * 1024;
/** The same of a request about something else; ours take some milliseconds. */
const neighbourMsMax = 5_000;
const rounds = 10;

const house = new PluginHouse();
afterAll(() => house[Symbol.asyncDispose]());

/** What nobody can tell from a true answer, where nothing but `Err` is read. */
const believed: readonly string[] = ["empty", "wrong_time", "other_name"];

type How = (typeof misbehaviours)[number];

/** One pair. Its plugin has a volume that nobody has, and one that somebody has. */
class Case {
  readonly method: string;
  readonly how: How;
  readonly plugin: FaultPlugin;
  readonly driver: string;

  constructor(method: string, how: How, plugin: FaultPlugin) {
    this.method = method;
    this.how = how;
    this.plugin = plugin;
    this.driver = driverOf(method, how);
  }

  get idle(): string {
    return `${this.driver}-idle`;
  }

  get held(): string {
    return `${this.driver}-held`;
  }

  /** It has said that it has unmounted, and has not: only force frees the name. */
  get isBusy(): boolean {
    return this.method === "VolumeDriver.Unmount" && believed.includes(this.how);
  }

  misbehave(): void {
    this.plugin.misbehave(this.method, this.how);
  }

  behave(): void {
    this.plugin.misbehave(this.method, undefined);
    this.plugin.hangUp();
  }

  /** Makes the plugin be called so. Resolves with the status, whatever it is. */
  async call(): Promise<number> {
    const { client } = house;
    const call = async (method: string, path: string, body?: unknown) =>
      (await client.send(method, path, body)).status;
    switch (this.method) {
      case "VolumeDriver.Create":
        return await call("POST", "/volumes/create", this.volume("fresh"));
      case "VolumeDriver.Remove":
        return await call("DELETE", `/volumes/${this.idle}`);
      case "VolumeDriver.Mount":
        return await call("PUT", holderPath(this.idle, "c2"));
      case "VolumeDriver.Unmount":
        return await call("DELETE", holderPath(this.held, "c1"));
      case "VolumeDriver.Get":
        return await call("GET", `/volumes/${this.idle}`);
      default:
        return await call("GET", "/volumes");
    }
  }

  volume(name: string) {
    return { Name: `${this.driver}-${name}`, Driver: this.driver };
  }
}

function driverOf(method: string, how: string): string {
  return `${method.replace(/.*\./, "").toLowerCase()}-${how.replaceAll("_", "-")}`;
}

async function startAll(stack: AsyncDisposableStack): Promise<readonly Case[]> {
  const start = async (name: string) =>
    stack.use(
      await startFaultPlugin(join(house.sockets, `${name}.sock`), join(house.folder, "of", name)),
    );
  await start("good");
  const cases: Case[] = [];
  for (const method of Object.keys(pluginMethods)) {
    for (const how of misbehaviours) {
      cases.push(new Case(method, how, await start(driverOf(method, how))));
    }
  }
  return cases;
}

async function untilReady(cases: readonly Case[]): Promise<void> {
  let missing: readonly string[] = [];
  await eventually(
    async () => {
      const names = await house.drivers();
      missing = ["good", ...cases.map(({ driver }) => driver)].filter(
        (name) => !names.includes(name),
      );
      return missing.length === 0 ? true : undefined;
    },
    { timeoutMs: patienceMs, otherwise: () => `not ready: ${missing}` },
  );
}

/** What is listed, with its driver, by name. */
async function rows(): Promise<ReadonlyMap<string, string>> {
  return new Map((await house.client.volumes()).map(({ Name, Driver }) => [Name, Driver]));
}

/** One round of those who have nothing to do with it; answers how long the slowest took. */
async function neighbours(known: readonly string[], round: number): Promise<number> {
  const { client } = house;
  let slowestMs = 0;
  const timed = async <T>(work: Promise<T>): Promise<T> => {
    const startedAtMs = performance.now();
    const result = await work;
    slowestMs = Math.max(slowestMs, performance.now() - startedAtMs);
    return result;
  };
  const listed = await timed(client.volumes());
  expect(known.filter((name) => !listed.some(({ Name }) => Name === name))).toEqual([]);
  await timed(client.expect(200, "GET", `/volumes/${known[round % known.length]}`));
  for (const driver of ["local", "good"]) {
    const name = `${driver}-${round}`;
    await timed(client.expect(201, "POST", "/volumes/create", { Name: name, Driver: driver }));
    await timed(client.expect(200, "PUT", holderPath(name, "c1")));
    await timed(client.expect(204, "DELETE", holderPath(name, "c1")));
    await timed(client.expect(204, "DELETE", `/volumes/${name}`));
  }
  return slowestMs;
}

/** Calls that hang until the plugin hangs up. */
const endless = ["Create", "Mount", "Remove", "Unmount"].map((name) => `VolumeDriver.${name}`);

whenPossible(
  ["root", "mount", "docker-cli"],
  "all of them at once",
  async () => {
    await using stack = new AsyncDisposableStack();
    const cases = await startAll(stack);
    await house.start();
    await untilReady(cases);
    await Promise.all(
      cases.map(async (one) => {
        await house.client.expect(201, "POST", "/volumes/create", one.volume("idle"));
        await house.client.expect(201, "POST", "/volumes/create", one.volume("held"));
        await house.client.expect(200, "PUT", holderPath(one.held, "c1"));
      }),
    );
    const before = await rows();
    const memoryBefore = house.memoryBytes();
    for (const one of cases) one.misbehave();
    const pending = new Set<Case>();
    const outcomes = new Map<Case, number>();
    const calls = cases.map(async (one) => {
      pending.add(one);
      outcomes.set(one, await one.call().catch(() => 0));
      pending.delete(one);
    });

    const kept = [...before.keys()].filter((name) => !/^remove-.*idle$/.test(name));
    let memoryMax = 0;
    for (let round = 0; round < rounds; round++) {
      expect(await neighbours(kept, round)).toBeLessThan(neighbourMsMax);
      memoryMax = Math.max(memoryMax, house.memoryBytes());
    }
    expect((await house.docker("volume", "ls", "--quiet")).split("\n")).toContain(kept[0] ?? "");
    expect(memoryMax - memoryBefore).toBeLessThan(memoryBytesMax);
    // They were all served while these are served nothing.
    for (const one of cases) {
      if (one.how === "hang" && endless.includes(one.method)) expect(pending.has(one)).toBe(true);
    }

    await goneSilent(cases);
    for (const one of cases) one.behave();
    await Promise.all(calls);
    await untilReady(cases);
    await nothingForgotten(cases, before, outcomes);
    await allUsable(cases);
  },
  testTimeoutMs,
);

/** All of them fall silent: their volumes stay, and each says so, and since when. */
async function goneSilent(cases: readonly Case[]): Promise<void> {
  const silentAtMs = Date.now();
  const silent = cases.filter(({ method }) => method === "Plugin.Activate");
  for (const { plugin } of silent) {
    plugin.misbehave("*", "crash");
    plugin.misbehave("Plugin.Activate", "crash");
  }
  for (const { driver } of silent) {
    await house.client.send("POST", "/volumes/create", { Name: `${driver}-x`, Driver: driver });
  }
  let others: readonly string[] = [];
  const areTold = async () => {
    const own = await house.client.own();
    others = silent
      .flatMap(({ idle, held }) => [idle, held])
      .filter((name) => {
        const { state, stateSince, stateReason } = own.get(name) ?? {};
        const isSince = Date.parse(stateSince ?? "") >= silentAtMs;
        return !(state === "unreachable" && isSince && typeof stateReason === "string");
      });
    return others.length === 0 ? true : undefined;
  };
  const otherwise = () => `not told to be unreachable: ${others}`;
  await eventually(areTold, { timeoutMs: patienceMs, otherwise });
  for (const { plugin } of silent) plugin.misbehave("*", undefined);
}

async function nothingForgotten(
  cases: readonly Case[],
  before: ReadonlyMap<string, string>,
  outcomes: ReadonlyMap<Case, number>,
): Promise<void> {
  const done = (method: string, status: number) =>
    cases.filter((one) => one.method === `VolumeDriver.${method}` && outcomes.get(one) === status);
  const removed = done("Remove", 204).map(({ idle }) => idle);
  const made = done("Create", 201);
  const rowsMade = made.map(({ driver }): [string, string] => [`${driver}-fresh`, driver]);
  const wanted = [...before, ...rowsMade].filter(([name]) => !removed.includes(name));
  // A Remove that only looked like one: the plugin has it still, and lists it.
  // If a List has made one up by now, it stays until somebody removes it.
  const { status: madeUp } = await house.client.send("DELETE", "/volumes/wiki");
  expect([204, 404]).toContain(madeUp);
  const back = (await rows()).entries().filter(([name]) => !removed.includes(name));
  expect([...back].sort()).toEqual(wanted.sort());
  // Whoever told us nothing, or nonsense, was not believed.
  for (const one of cases) {
    if (believed.includes(one.how) || !endless.includes(one.method)) continue;
    const status = outcomes.get(one) ?? 0;
    // A client that lets go is let go, whatever the plugin has to say.
    const isRefused = status >= 500 || one.method === "VolumeDriver.Unmount";
    expect([one.driver, status, isRefused]).toEqual([one.driver, status, true]);
  }
}

async function isUsable(one: Case): Promise<void> {
  const { client } = house;
  for (const holder of ["c1", "c2"]) {
    await client.send("DELETE", holderPath(one.held, holder));
    await client.send("DELETE", holderPath(one.idle, holder));
  }
  const fresh = `${one.driver}-fresh`;
  // A plugin may have said that it has made it, and has not.
  await client.send("DELETE", `/volumes/${fresh}`);
  for (const name of one.isBusy ? [one.idle, fresh] : [one.idle, one.held, fresh]) {
    await client.expect(201, "POST", "/volumes/create", { Name: name, Driver: one.driver });
    await client.expect(200, "PUT", holderPath(name, "c3"));
    await client.expect(204, "DELETE", holderPath(name, "c3"));
    await client.expect(204, "DELETE", `/volumes/${name}`);
  }
}

async function allUsable(cases: readonly Case[]): Promise<void> {
  const { client } = house;
  await Promise.all(cases.map(isUsable));
  const busy = cases.filter(({ isBusy }) => isBusy).map(({ held }) => held);
  for (const name of busy) {
    await client.expect(500, "DELETE", `/volumes/${name}`);
    await client.expect(204, "DELETE", `/volumes/${name}?force=1`);
  }
  // What the plugin still has is listed again.
  const left = [...(await rows()).keys()].filter((name) => !busy.includes(name));
  expect([left, house.ownMounts()]).toEqual([[], []]);
}
