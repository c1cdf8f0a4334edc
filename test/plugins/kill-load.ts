// kill -9 at random moments under the load of clients with volumes of our own, of a socket plugin
// and of a managed one: what was acknowledged is there, on both sides, and nothing by half.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { holderPath } from "../crash/client.ts";
import { eventually } from "../support/child.ts";
import { type FaultPlugin, startFaultPlugin } from "../support/fault-plugin.ts";
import { PluginHouse } from "../support/plugin-house.ts";
import { makePluginRootfs } from "../support/plugin-rootfs.ts";
import { printedSeed, Random } from "../support/random.ts";

const patienceMs = 30_000;
const namesPerClient = 3;
const loadMsMax = 300;
const answerDelayMs = 10;
const drivers = ["local", "bad", "vp"] as const;
const victims = ["daemon", "daemon", "daemon", "plugin", "socket", "conmon", "all"] as const;
type Driver = (typeof drivers)[number];

/** What a volume is; undefined: there is none. */
type Known = "idle" | "held" | undefined;

/** A name of one client, and what it may be: one of several after an answer that did not come. */
class Name {
  readonly name: string;
  readonly driver: Driver;
  allowed: readonly Known[] = [undefined];

  constructor(name: string, driver: Driver) {
    this.name = name;
    this.driver = driver;
  }
}

export interface LoadReport {
  readonly rounds: number;
  readonly acknowledgedCount: number;
  readonly unansweredCount: number;
}

class Load {
  readonly #house = new PluginHouse();
  readonly #random: Random;
  readonly #names: readonly Name[];
  readonly #volumes: string;
  #plugin: FaultPlugin | undefined;
  #id = "";
  acknowledgedCount = 0;
  unansweredCount = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#volumes = join(this.#house.folder, "volumes");
    this.#names = drivers.flatMap((driver) =>
      ["a", "b"].flatMap((client) =>
        Array.from(
          { length: namesPerClient },
          (_, index) => new Name(`${driver}-${client}-${index}`, driver),
        ),
      ),
    );
  }

  async begin(): Promise<void> {
    await this.#startPlugin();
    const made = join(this.#house.folder, "made");
    await makePluginRootfs(made, "propagated");
    await this.#house.start();
    await this.#house.docker("plugin", "create", "vp", made);
    await this.#house.docker("plugin", "enable", "vp");
    this.#id = this.#house.record().id;
  }

  async end(): Promise<void> {
    await this.#plugin?.[Symbol.asyncDispose]();
    await this.#house[Symbol.asyncDispose]();
  }

  async round(round: number): Promise<void> {
    const random = this.#random;
    let isOver = false;
    const clients = drivers.flatMap((driver) =>
      ["a", "b"].map(async (client) => {
        const names = this.#names.filter(({ name }) => name.startsWith(`${driver}-${client}-`));
        const own = random.fork();
        while (!isOver) await this.#step(own.pick(names), own);
      }),
    );
    await delay(random.fraction() * loadMsMax);
    const victim = random.pick(victims);
    isOver = victim !== "plugin" && victim !== "conmon" && victim !== "socket";
    await this.#die(victim);
    isOver = true;
    await Promise.all(clients);
    if (victim === "daemon" || victim === "all") await this.#house.start();
    await this.#house.becomesWhole(`round ${round}, ${victim} killed`);
    await this.#compare(`round ${round}, ${victim} killed`);
    // Otherwise the pauses between its restarts become longer and longer.
    if (victim !== "daemon" && victim !== "socket") await this.#restartPlugin();
  }

  /** All can be removed, and then nothing is left. */
  async removeAll(): Promise<void> {
    const { client } = this.#house;
    for (const { name, driver, allowed } of this.#names) {
      if (allowed.includes("held")) await client.send("DELETE", holderPath(name, "c1"));
      await client.expect(201, "POST", "/volumes/create", { Name: name, Driver: driver });
      await client.expect(204, "DELETE", `/volumes/${name}`);
    }
    const left = [...(await client.volumes()), ...this.#house.ownMounts()];
    if (left.length > 0) throw new Error(`left: ${JSON.stringify(left)}`);
    const data = [...readdirSync(this.#volumes), ...readdirSync(this.#propagated)];
    const volumes = data.filter((name) => !name.startsWith("."));
    if (volumes.length > 0) throw new Error(`plugins have left: ${volumes}`);
  }

  get #propagated(): string {
    return join(this.#house.root, "plugins", this.#id, "propagated-mount");
  }

  async #startPlugin(): Promise<void> {
    const plugin = await startFaultPlugin(join(this.#house.sockets, "bad.sock"), this.#volumes);
    // Done at once, and said a little later: that is when most deaths come.
    for (const call of ["Create", "Mount", "Unmount", "Remove"]) {
      plugin.misbehave(`VolumeDriver.${call}`, { delayMs: answerDelayMs });
    }
    this.#plugin = plugin;
  }

  async #restartPlugin(): Promise<void> {
    await this.#house.docker("plugin", "disable", "--force", "vp");
    await this.#house.docker("plugin", "enable", "vp");
  }

  async #die(victim: (typeof victims)[number]): Promise<void> {
    const house = this.#house;
    if (victim === "daemon" || victim === "all") await house.daemon.kill();
    const isPlugin = victim === "plugin" || victim === "all";
    const pid = isPlugin ? house.pidOf(this.#id) : house.pidsOf("conmon")[0];
    if (victim !== "daemon" && victim !== "socket" && pid !== undefined) {
      process.kill(pid, "SIGKILL");
      await eventually(() => (existsSync(`/proc/${pid}/exe`) ? undefined : true), {
        timeoutMs: patienceMs,
        otherwise: () => `${victim} does not end`,
      });
    }
    if (victim === "socket" || victim === "all") {
      await this.#plugin?.die();
      await this.#startPlugin();
    }
  }

  /** One request; what it may have made when there was no answer, or none that is sure. */
  async #step(one: Name, random: Random): Promise<void> {
    const { name, driver, allowed } = one;
    // What is not known for sure is left alone until it has been looked at.
    if (allowed.length > 1) return await delay(5);
    const [known] = allowed;
    const { client } = this.#house;
    const may = (to: Known, status: number, request: Promise<{ readonly status: number }>) =>
      this.#learn(one, { to, status }, request);
    if (known === undefined) {
      const body = { Name: name, Driver: driver };
      return await may("idle", 201, client.send("POST", "/volumes/create", body));
    }
    if (known === "held")
      return await may("idle", 204, client.send("DELETE", holderPath(name, "c1")));
    return random.chance(0.5)
      ? await may("held", 200, client.send("PUT", holderPath(name, "c1")))
      : await may(undefined, 204, client.send("DELETE", `/volumes/${name}`));
  }

  async #learn(
    one: Name,
    wanted: { readonly to: Known; readonly status: number },
    request: Promise<{ readonly status: number }>,
  ): Promise<void> {
    const before = one.allowed;
    one.allowed = [...before, wanted.to];
    const { status } = await request.catch(() => ({ status: 0 }));
    if (status === wanted.status) {
      this.acknowledgedCount += 1;
      one.allowed = [wanted.to];
      return;
    }
    this.unansweredCount += 1;
    // The daemon is gone, or says that the plugin is.
    if (status !== 0 && status < 500) throw new Error(`${one.name} was answered ${status}`);
  }

  /** Both sides are asked until they agree on what may be. */
  async #compare(when: string): Promise<void> {
    let complaints: readonly string[] = [];
    const look = async () => {
      const own = await this.#house.client.own();
      complaints = this.#names.flatMap((one) => {
        const volume = own.get(one.name);
        const found: Known =
          volume === undefined ? undefined : volume.holders.length > 0 ? "held" : "idle";
        const isMade = this.#isMade(one);
        const isAgreed = isMade === (found !== undefined) || volume?.state === "not listed";
        const isReady = ["idle", "in use", "not listed", undefined].includes(volume?.state);
        if (isAgreed && isReady && one.allowed.includes(found)) return [];
        return `${one.name} may be ${one.allowed}, is ${found} ${volume?.state}, made ${isMade}`;
      });
      if (complaints.length > 0) return undefined;
      for (const one of this.#names) {
        const holders = own.get(one.name)?.holders;
        one.allowed = [holders === undefined ? undefined : holders.length > 0 ? "held" : "idle"];
      }
      return true;
    };
    const otherwise = () =>
      `${when}:\n${complaints.join("\n")}\n${this.#house.daemon.output().slice(-6_000)}`;
    await eventually(look, { timeoutMs: patienceMs, otherwise });
  }

  #isMade({ name, driver }: Name): boolean {
    const places: Readonly<Record<Driver, string>> = {
      local: join(this.#house.root, "volumes", name),
      bad: join(this.#volumes, name),
      vp: join(this.#propagated, name),
    };
    return existsSync(places[driver]);
  }
}

/** Throws with everything that was wrong after the first kill after which anything was. */
export async function killUnderLoad(rounds: number): Promise<LoadReport> {
  const load = new Load(printedSeed("kill with plugins"));
  try {
    await load.begin();
    for (let round = 0; round < rounds; round++) await load.round(round);
    await load.removeAll();
    const { acknowledgedCount, unansweredCount } = load;
    console.log(JSON.stringify({ rounds, acknowledgedCount, unansweredCount }));
    return { rounds, acknowledgedCount, unansweredCount };
  } finally {
    await load.end();
  }
}
