// Every verb on a full disk: it works, or says that the disk is full and nothing has changed.
import { expect } from "bun:test";
import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../support/child.ts";
import { type RunningDaemon, startDaemon } from "../support/daemon.ts";
import { whenPossible } from "../support/needs.ts";
import { Client, holderPath, ownPath, type Volume } from "./client.ts";
import { ClientModel } from "./model.ts";
import { compare, untilPurged } from "./reality.ts";
import { fill, onSmallDisk } from "./small-disk.ts";
import { keptEntries } from "./trash-entries.ts";
import { created, protectedBy, removed, renamed, restored, updated, type World } from "./world.ts";

const requirements = ["root", "mount", "loop", "ext4"] as const;
const limitMs = 30_000;
const backgroundMs = 20_000;
const mebibyte = 1024 * 1024;
const volumeCount = 12;
/** Of labels for each volume: together more than a state keeps in reserve. */
const growthBytes = 250_000;
/** What is never evicted, so that a disk that is full does not empty the trash meanwhile. */
const retained = { reclaim: "retain" };

/** One client on a small disk, with what it knows. */
class Bench {
  readonly disk: string;
  readonly root: string;
  readonly model = new ClientModel("disk", volumeCount + 3);
  #daemon: RunningDaemon | undefined;

  constructor(disk: string) {
    this.disk = disk;
    this.root = join(disk, "root");
  }

  get client(): Client {
    return new Client(this.#daemon?.socketPath ?? "");
  }

  get ballast(): string {
    return join(this.disk, "ballast");
  }

  name(index: number): string {
    return `disk-volume-${index}`;
  }

  async start(): Promise<void> {
    this.#daemon = await startDaemon({ root: this.root });
  }

  async end(how: "stop" | "kill"): Promise<void> {
    await this.#daemon?.[how]();
  }

  async create(name: string): Promise<void> {
    const body = { Name: name, Labels: { of: name }, DriverOpts: retained };
    const answer = await this.client.expect(201, "POST", "/volumes/create", body);
    this.model.learns(created(this.model.world, answer as Volume)); // Docker's contract.
    await this.client.expect(200, "PUT", holderPath(name, "writer"));
    writeFileSync(join(this.root, "volumes", name, "_data/file"), `data of ${name}`);
    await this.client.expect(204, "DELETE", holderPath(name, "writer"));
    const known = this.model.world.volumes.get(name);
    if (known === undefined) throw new Error(`${name} was not made`);
    const files = new Map([["file", `data of ${name}`]]);
    const volumes = new Map([...this.model.world.volumes, [name, { ...known, files }]]);
    this.model.world = { ...this.model.world, volumes };
  }

  /** Fills the disk, then asks: done as a whole, or refused for want of room and not at all. */
  async ask(verb: Verb, when = "on a full disk"): Promise<number> {
    if (when !== "with room") fill(this.ballast);
    this.model.asks(verb.what, verb.after);
    const { status, body } = await this.client.send(verb.method, verb.path, verb.body);
    if (status < 300) this.model.learns(verb.after);
    else {
      this.model.unanswered = undefined;
      expect({ what: verb.what, body }).toEqual({
        what: verb.what,
        body: expect.objectContaining({
          message: expect.stringMatching(/no space left on device|is full/i),
        }),
      });
    }
    await this.mustMatch(verb.what);
    return status;
  }

  async remove(index: number, when: "on a full disk" | "with room" = "on a full disk") {
    if (when === "with room") rmSync(this.ballast, { force: true });
    const name = this.name(index);
    const after = removed(this.model.world, name);
    const verb = { what: `remove ${name}`, method: "DELETE", path: `/volumes/${name}`, after };
    return await this.ask(verb, when);
  }

  async restore(index: number): Promise<number> {
    const name = this.name(index);
    const [found] = await keptEntries(this.client, this.root, new Set([name]));
    if (found === undefined) throw new Error(`${name} is not in the trash`);
    const after = restored(this.model.world, found.entry, name);
    const path = `/holdfast/v1/trash/${found.id}/restore`;
    return await this.ask({ what: `restore ${name}`, method: "POST", path, body: {}, after });
  }

  async rename(from: number, to: number): Promise<number> {
    const [name, next] = [this.name(from), this.name(to)];
    const after = renamed(this.model.world, name, next, true);
    const body = { to: next, keepAlias: true };
    const path = ownPath(name, "/rename");
    return await this.ask({ what: `rename ${name}`, method: "POST", path, body, after });
  }

  async update(index: number, text: string): Promise<number> {
    const name = this.name(index);
    const body = { labelsSet: { long: text }, labelsRemoved: [], note: text.slice(0, 9) };
    const after = updated(this.model.world, name, body);
    const path = ownPath(name);
    return await this.ask({ what: `update ${name}`, method: "PATCH", path, body, after });
  }

  async protect(index: number, reason: string): Promise<number> {
    const name = this.name(index);
    const after = protectedBy(this.model.world, name, reason);
    const path = ownPath(name, "/protection");
    return await this.ask({
      what: `protect ${name}`,
      method: "PUT",
      path,
      body: { reason },
      after,
    });
  }

  async mustMatch(when: string): Promise<void> {
    const { client, root, model } = this;
    const complaints = await compare({ client, root }, [model]);
    expect({ when, complaints }).toEqual({ when, complaints: [] });
  }
}

interface Verb {
  readonly what: string;
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly after: World;
}

whenPossible(
  requirements,
  "each verb on a full disk happens as a whole, or is refused and has not happened",
  () =>
    onSmallDisk([], async (disk) => {
      const bench = new Bench(disk);
      await bench.start();
      for (let index = 0; index < volumeCount; index++) await bench.create(bench.name(index));
      await bench.remove(0, "with room");
      // What grows is refused in the end.
      const grown: number[] = [];
      for (let index = 1; index < volumeCount; index++) {
        grown.push(await bench.update(index, `${index}`.padEnd(growthBytes, "x")));
      }
      expect(grown).toContain(507);
      await bench.protect(4, "y".repeat(1_000));
      await bench.rename(2, volumeCount);
      // Removal has room in reserve, and takes no more than it finds; so has a restore.
      expect(await bench.remove(1)).toBe(204);
      expect(await bench.restore(0)).toBe(200);
      expect(await bench.remove(5)).toBe(204);
      expect(await bench.remove(0)).toBe(204);
      expect(await bench.restore(1)).toBe(200);
      await bench.update(3, "y".repeat(60_000));
      await bench.rename(6, volumeCount + 1);
      await bench.protect(7, "z".repeat(1_000));
      for (const how of ["stop", "kill"] as const) {
        fill(bench.ballast);
        await bench.end(how);
        await bench.start();
        await bench.mustMatch(`after a ${how} on the full disk`);
      }
      rmSync(bench.ballast);
      await bench.create(bench.name(volumeCount + 2));
      await bench.mustMatch("with room again");
      await bench.end("stop");
    }),
  limitMs,
);

function freeBytes(disk: string): number {
  const { bavail, bsize } = statfsSync(disk);
  return bavail * bsize;
}

async function untilFree(disk: string, bytes: number): Promise<void> {
  await eventually(() => (freeBytes(disk) >= bytes ? true : undefined), {
    timeoutMs: backgroundMs,
    otherwise: () => `only ${freeBytes(disk)} bytes are free`,
  });
}

/** A volume with so many bytes in it. */
async function large(client: Client, root: string, name: string, bytes: number): Promise<void> {
  await client.expect(201, "POST", "/volumes/create", { Name: name, Labels: { of: name } });
  await client.expect(200, "PUT", holderPath(name, "writer"));
  writeFileSync(join(root, "volumes", name, "_data/file"), Buffer.alloc(bytes, 1));
  await client.expect(204, "DELETE", holderPath(name, "writer"));
}

whenPossible(requirements, "rm --purge, and the purge of an entry, free a full disk", () =>
  onSmallDisk([], async (disk) => {
    const root = join(disk, "root");
    await using daemon = await startDaemon({ root });
    const client = new Client(daemon.socketPath);
    await large(client, root, "first", 4 * mebibyte);
    await large(client, root, "second", 4 * mebibyte);
    await client.expect(200, "PATCH", ownPath("second"), { optionsSet: { reclaim: "retain" } });
    fill(join(disk, "ballast"));
    await client.expect(204, "DELETE", ownPath("first", "?purge=true&confirm=first"));
    await untilFree(disk, 4 * mebibyte);
    fill(join(disk, "ballast"));
    await client.expect(204, "DELETE", "/volumes/second");
    expect(await client.trash()).toMatchObject([{ name: "second", phase: "kept" }]);
    await client.expect(204, "DELETE", "/holdfast/v1/trash/second?confirm=second");
    await untilFree(disk, 4 * mebibyte);
    await untilPurged({ client, root });
    expect(await client.trash()).toEqual([]);
  }),
);

whenPossible(
  requirements,
  "below its floor of free space the keeper evicts the oldest, and nothing that is protected",
  () =>
    onSmallDisk([], async (disk) => {
      const root = join(disk, "root");
      await using daemon = await startDaemon({ root, parameters: ["--trash-budget", "90%"] });
      const client = new Client(daemon.socketPath);
      for (const name of ["guarded", "oldest", "newest"]) {
        await large(client, root, name, 3 * mebibyte);
        await client.expect(204, "DELETE", `/volumes/${name}`);
      }
      await client.expect(200, "PUT", "/holdfast/v1/trash/guarded/protection", { reason: "keep" });
      expect(await client.trash()).toHaveLength(3);
      fill(join(disk, "ballast"));
      // A removal wakes the keeper, which has no room to keep anything.
      await client.expect(201, "POST", "/volumes/create", { Name: "waker" }).catch(() => undefined);
      await client.send("DELETE", "/volumes/waker");
      await untilFree(disk, 3 * mebibyte);
      await untilPurged({ client, root });
      const names = (await client.trash()).map(({ name }) => name);
      expect(names).toContain("guarded");
      expect(names).not.toContain("oldest");
      expect(names).toContain("newest");
    }),
);
