// The engine dies at each step of an update of a driver's options: afterwards the row is the truth,
// what is mounted is what it says, and nothing else is left.
import { describe, expect } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseHolderId } from "../../src/core/names.ts";
import { type BindServer, bindServer } from "../support/bind-kind.ts";
import { EngineBench, named } from "../support/engine-bench.ts";
import { whenPossible } from "../support/needs.ts";
import { Mortal } from "./mortal.ts";

/** More steps than an update has. */
const stepsMax = 100;
const testMs = 60_000;

const hostCalls = ["mount", "unmount", "detach", "assist", "askStorage", "seal"] as const;

/** A server with two addresses, each with a file that says which it is. */
class MovingServer implements AsyncDisposable {
  readonly mortal = new Mortal();
  readonly server: BindServer = bindServer();
  readonly bench: EngineBench;

  constructor() {
    for (const address of ["old", "new"]) {
      mkdirSync(join(this.server.share, address));
      writeFileSync(join(this.server.share, address, "address"), address);
    }
    this.mortal.watchCalls(this.server.host, hostCalls);
    this.mortal.watch(this.server.root);
    this.bench = new EngineBench({
      drivers: () => [this.server.open()],
      state: (state) => this.mortal.state(state),
      // Nobody looks for databases in it: the driver has a host of its own, and would find it busy.
      host: (host) => ({ ...host, assist: () => Promise.reject(new Error("not here")) }),
    });
  }

  async move(): Promise<void> {
    const { engine } = this.bench;
    const change = { labelsSet: {}, labelsRemoved: [], optionsRemoved: [] };
    const optionsSet = { path: "new" };
    await engine.upkeep.update("wiki", { ...change, optionsSet }, this.bench.operation());
  }

  /** What a client who comes now sees. */
  async seenBy(client: string): Promise<string> {
    const { volumes } = this.bench.engine;
    const holder = parseHolderId(client);
    const path = await volumes.mount("wiki", holder, this.bench.operation());
    return readFileSync(join(path, "address"), "utf8");
  }

  async release(client: string): Promise<void> {
    const { volumes } = this.bench.engine;
    await volumes.unmount("wiki", parseHolderId(client), this.bench.operation());
  }

  address(): string {
    return this.bench.engine.volumes.inspect("wiki").options?.["path"] ?? "";
  }

  mounts(): readonly string[] {
    const targets = this.server.host.mounts().map(({ target }) => target);
    return targets.filter((target) => target.startsWith(`${this.server.root}/`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.mortal.dieAfter(undefined);
    this.mortal[Symbol.dispose]();
    await this.bench[Symbol.asyncDispose]();
    await this.server.release();
  }
}

/** Answers the steps up to that at which it died. */
async function dieAt(step: number, isHeld: boolean): Promise<readonly string[]> {
  await using moving = new MovingServer();
  const { bench, mortal, server } = moving;
  await bench.start();
  const options = { path: "old" };
  await bench.engine.volumes.create(named("wiki", { driver: "bound", options }), bench.operation());
  if (isHeld) expect(await moving.seenBy("c1")).toBe("old");
  mortal.dieAfter(step);
  const isAcknowledged = await moving.move().then(
    () => true,
    (error: unknown) => {
      if (!mortal.isDead) throw error;
      return false;
    },
  );
  const steps = [...mortal.steps];
  await bench.restart(() => mortal.dieAfter(undefined));
  const address = moving.address();
  expect(["old", "new"]).toContain(address);
  if (isAcknowledged) expect(address).toBe("new");
  expect(await moving.seenBy("c2")).toBe(address);
  expect(moving.mounts()).toHaveLength(1);
  // Once more, to its end.
  await moving.release("c2");
  if (isHeld) await moving.release("c1");
  await moving.move();
  expect(moving.address()).toBe("new");
  expect(await moving.seenBy("c3")).toBe("new");
  await moving.release("c3");
  expect(moving.mounts()).toEqual([]);
  const folder = join(server.root, "data/remote/bound");
  expect(readdirSync(folder).filter((entry) => entry.startsWith(".new-"))).toEqual([]);
  for (const each of ["old", "new"]) {
    // The file of a test that died with its daemon may lie beside the data.
    const left = readdirSync(join(server.share, each)).filter(isNoProbe);
    expect(left).toEqual(["address"]);
  }
  return steps;
}

function isNoProbe(entry: string): boolean {
  return !/^\.holdfast-probe-[0-9a-f]{16}$/.test(entry);
}

async function dieAtEachStep(isHeld: boolean): Promise<void> {
  for (let step = 0; step < stepsMax; step += 1) {
    const steps = await dieAt(step, isHeld).catch((error: unknown) => {
      throw new Error(`dead before step ${step}: ${String(error)}`, { cause: error });
    });
    if (steps.length > step) continue;
    // The driver first, then the row.
    expect(steps.findLastIndex((each) => each.includes("volume.json"))).toBeLessThan(
      steps.lastIndexOf("commit"),
    );
    return;
  }
  throw new Error("an update does not end");
}

describe("dying at each step of an update of", () => {
  const needed = ["root", "mount"] as const;
  whenPossible([...needed], "a volume that nobody has", () => dieAtEachStep(false), testMs);
  whenPossible([...needed], "a volume that somebody has", () => dieAtEachStep(true), testMs);
});
