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
const backgroundMs = 20_000;
const mebibyte = 1024 * 1024;
/** What is never evicted, so that a disk that is full does not empty the trash meanwhile. */
const retained = { reclaim: "retain" };

/** One client on a small disk, with what it knows. */
class Bench {
  readonly disk: string;
  readonly root: string;
  readonly model = new ClientModel("disk", 12);
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
  async ask(verb: Verb): Promise<number> {
    fill(this.ballast);
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
      const { model } = bench;
      for (let index = 0; index < 8; index++) await bench.create(bench.name(index));
      const trashId = await removeFirst(bench);

      const [zero, one, two, three, four] = [0, 1, 2, 3, 4].map((index) => bench.name(index));
      const ask = (what: string, method: string, path: string, after: World, body?: unknown) =>
        bench.ask({ what, method, path, after, body });
      // Removal has room in reserve, and takes no more than it finds.
      const gone = removed(model.world, one ?? "");
      expect(await ask("remove", "DELETE", `/volumes/${one}`, gone)).toBe(204);
      const entry = model.world.trash.find(({ volume }) => volume.Name === zero);
      if (entry === undefined) throw new Error("the trash of the model is empty");
      const path = `/holdfast/v1/trash/${trashId}/restore`;
      const back = restored(model.world, entry, zero ?? "");
      expect(await ask("restore", "POST", path, back, {})).toBe(200);

      for (let round = 0; round < 3; round++) {
        const to = bench.name(9 + round);
        const moved = renamed(model.world, two ?? "", to, true);
        const renaming = { to, keepAlias: true };
        const status = await ask("rename", "POST", ownPath(two ?? "", "/rename"), moved, renaming);
        if (status === 200) break;
      }
      const update = { labelsSet: { long: "x".repeat(60_000) }, labelsRemoved: [], note: "full" };
      for (let round = 0; round < 5; round++) {
        const changed = updated(model.world, three ?? "", update);
        await ask("update", "PATCH", ownPath(three ?? ""), changed, update);
        const reason = "y".repeat(1_000);
        const kept = protectedBy(model.world, four ?? "", reason);
        await ask("protect", "PUT", ownPath(four ?? "", "/protection"), kept, { reason });
      }
      for (const how of ["stop", "kill"] as const) {
        fill(bench.ballast);
        await bench.end(how);
        await bench.start();
        await bench.mustMatch(`after a ${how} on the full disk`);
      }
      rmSync(bench.ballast);
      await bench.create(bench.name(1));
      await bench.mustMatch("with room again");
      await bench.end("stop");
    }),
);

/** The first volume goes into the trash while there is room; answers its id. */
async function removeFirst(bench: Bench): Promise<string> {
  const { client, model, root } = bench;
  const after = removed(model.world, bench.name(0));
  await client.expect(204, "DELETE", `/volumes/${bench.name(0)}`);
  model.learns(after);
  const [found] = await keptEntries(client, root);
  if (found === undefined) throw new Error("the trash is empty");
  return found.id;
}

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
