// A lost state loses no trash: what lies beside the data is enough to bring everything back.
import { expect, test } from "bun:test";
import {
  closeSync,
  copyFileSync,
  cpSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { eventually } from "../support/child.ts";
import { type RunningDaemon, startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { whenPossible } from "../support/needs.ts";
import { Client, holderPath, ownPath, type TrashItem, type Volume } from "./client.ts";
import { makeImage, mountImage, unmountBelow, unmountImage } from "./loop-image.ts";
import { filesBelow, keptEntries } from "./trash-entries.ts";

const entryCount = 100;
const nameCount = 90;
const limitMs = 120_000;
const backgroundMs = 20_000;

async function withRoot(run: (root: string) => Promise<void>): Promise<void> {
  const folder = temporaryDirectory();
  try {
    await run(join(folder, "root"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The state, its log and, unless they are to stay, its copies. */
function loseState(root: string, withCopies = true): void {
  for (const file of readdirSync(root)) {
    const isLost = file.startsWith("state.db") || (withCopies && file.startsWith("state.copy"));
    if (isLost) rmSync(join(root, file), { recursive: true });
  }
}

async function created(client: Client, name: string, more: object = {}): Promise<Volume> {
  const answer = await client.expect(201, "POST", "/volumes/create", { Name: name, ...more });
  return answer as Volume; // Docker's contract: a create answers the volume.
}

/** Writes a file into a volume as a container does: while it is held. */
async function fill(client: Client, root: string, name: string, content: string): Promise<void> {
  await client.expect(200, "PUT", holderPath(name, "writer"));
  writeFileSync(join(root, "volumes", name, "_data/file"), content);
  await client.expect(204, "DELETE", holderPath(name, "writer"));
}

/** Labels, options and notes of all sorts, each entry different from the others. */
function describedAs(index: number): { readonly Labels?: object; readonly DriverOpts?: object } {
  const labels = [
    {},
    { Labels: {} },
    { Labels: { of: String(index), "ключ.€": "\u2028 \n \\ \" '" } },
    { Labels: { "com.docker.volume.anonymous": "" } },
  ][index % 4];
  const options = [{}, { DriverOpts: { trash: "30d" } }, { DriverOpts: { reclaim: "retain" } }];
  return { ...labels, ...options[index % 3] };
}

async function fillTrash(daemon: RunningDaemon): Promise<void> {
  const { root } = daemon;
  const client = new Client(daemon.socketPath);
  await Promise.all(
    Array.from({ length: nameCount }, async (_, index) => {
      const name = `volume-${index}`;
      await created(client, name, describedAs(index));
      await fill(client, root, name, `content ${index}`);
      if (index % 5 === 0) await client.expect(200, "PATCH", ownPath(name), { note: `n ${index}` });
      await client.expect(204, "DELETE", `/volumes/${name}`);
    }),
  );
  // Some names are used twice: what was removed later does not hide what was removed before.
  for (let index = nameCount; index < entryCount; index++) {
    const name = `volume-${index - nameCount}`;
    await created(client, name, describedAs(index));
    await fill(client, root, name, `content ${index}`);
    await client.expect(204, "DELETE", `/volumes/${name}`);
  }
}

/** Everything that the list says of an entry, without what is measured in the background. */
function byId(items: readonly TrashItem[]): ReadonlyMap<string, unknown> {
  return new Map(items.map((item) => [item.id, { ...item, sizeBytes: null }]));
}

test(
  `all of ${entryCount} entries come back, with names, labels, options, notes and contents`,
  () =>
    withRoot(async (root) => {
      const daemon = await startDaemon({ root });
      await fillTrash(daemon);
      const client = new Client(daemon.socketPath);
      const before = byId(await client.trash());
      const contents = new Map((await keptEntries(client, root)).map((each) => [each.id, each]));
      expect(before.size).toBe(entryCount);
      await daemon.kill();
      loseState(root);

      await using again = await startDaemon({ root });
      const next = new Client(again.socketPath);
      expect(byId(await next.trash())).toEqual(before);
      for (const [id, { entry }] of contents) {
        const as = `back-${id}`;
        await next.expect(200, "POST", `/holdfast/v1/trash/${id}/restore`, { as });
        expect(await next.volume(as)).toEqual({
          ...entry.volume,
          Name: as,
          Mountpoint: join(root, "volumes", as, "_data"),
        });
        expect(filesBelow(join(root, "volumes", as, "_data"))).toEqual(entry.files);
        expect(readdirSync(join(root, "volumes", as))).not.toContain("retired.json");
      }
      const own = await next.own();
      expect([...own.values()].filter(({ note }) => note !== null)).toHaveLength(nameCount / 5);
      expect(await next.trash()).toEqual([]);
    }),
  limitMs,
);

test("what was being destroyed when the state was lost is never offered again", () =>
  withRoot(async (root) => {
    let id = "";
    {
      await using daemon = await startDaemon({ root });
      const client = new Client(daemon.socketPath);
      for (const name of ["half", "whole"]) {
        await created(client, name);
        await fill(client, root, name, `data of ${name}`);
        await client.expect(204, "DELETE", `/volumes/${name}`);
      }
      id = (await client.trash()).find(({ name }) => name === "half")?.id ?? "";
    }
    // The purge has renamed it and deleted the first file when the machine stops.
    const purging = join(root, "trash", `${id}.purging`);
    renameSync(join(root, "trash", id), purging);
    rmSync(join(purging, "_data/file"));
    loseState(root);

    await using again = await startDaemon({ root });
    const client = new Client(again.socketPath);
    const kept = (await client.trash()).filter(({ phase }) => phase === "kept");
    expect(kept.map(({ name }) => name)).toEqual(["whole"]);
    await client.expect(404, "GET", "/volumes/half");
    await eventually(() => (existsSync(purging) ? undefined : true), {
      timeoutMs: backgroundMs,
      otherwise: () => "what was half destroyed stays on the disk",
    });
  }));

test("a restore that was cut short before the state was lost: still whole, still there", () =>
  withRoot(async (root) => {
    {
      await using daemon = await startDaemon({ root });
      const client = new Client(daemon.socketPath);
      await created(client, "wiki", { Labels: { a: "1" } });
      await fill(client, root, "wiki", "data");
      await client.expect(204, "DELETE", "/volumes/wiki");
      const id = (await client.trash())[0]?.id ?? "";
      // The row says that it is a volume again; the crash comes before the rename.
      cpSync(join(root, "trash", id), join(root, "aside"), { recursive: true });
      await client.expect(200, "POST", `/holdfast/v1/trash/${id}/restore`, {});
      await daemon.kill();
      rmSync(join(root, "volumes/wiki"), { recursive: true });
      renameSync(join(root, "aside"), join(root, "trash", id));
    }
    loseState(root);
    await using again = await startDaemon({ root });
    const client = new Client(again.socketPath);
    const entries = await client.trash();
    expect(entries).toMatchObject([{ name: "wiki", phase: "kept", labels: { a: "1" } }]);
    await client.expect(200, "POST", "/holdfast/v1/trash/wiki/restore", {});
    const file = join(root, "volumes/wiki/_data");
    expect(filesBelow(file)).toEqual(new Map([["file", "data"]]));
  }));

test("the same with the description still beside the data that has been renamed", () =>
  withRoot(async (root) => {
    {
      await using daemon = await startDaemon({ root });
      const client = new Client(daemon.socketPath);
      await created(client, "wiki", { Labels: { a: "1" } });
      await fill(client, root, "wiki", "data");
      await client.expect(204, "DELETE", "/volumes/wiki");
      const id = (await client.trash())[0]?.id ?? "";
      await daemon.kill();
      renameSync(join(root, "trash", id), join(root, "volumes/wiki"));
    }
    loseState(root);
    await using again = await startDaemon({ root });
    const client = new Client(again.socketPath);
    expect((await client.volumes()).map(({ Name }) => Name)).toEqual(["wiki"]);
    expect(await client.trash()).toEqual([]);
    expect(filesBelow(join(root, "volumes/wiki/_data"))).toEqual(new Map([["file", "data"]]));
  }));

test("an older copy that has as a volume what was removed since: an entry, and not lost", () =>
  withRoot(async (root) => {
    {
      await using daemon = await startDaemon({ root });
      const client = new Client(daemon.socketPath);
      for (const name of ["wiki", "kept", "again"]) {
        await created(client, name, { Labels: { of: name } });
        await fill(client, root, name, `data of ${name}`);
      }
    }
    const copies = join(`${root}.copies`);
    mkdirSync(copies);
    cpSync(join(root, "state.copy"), join(copies, "state.copy"));
    {
      await using daemon = await startDaemon({ root });
      const client = new Client(daemon.socketPath);
      await client.expect(200, "PATCH", ownPath("wiki"), { labelsSet: { later: "1" } });
      for (const name of ["wiki", "again"]) await client.expect(204, "DELETE", `/volumes/${name}`);
      // A removed name is used again: the older copy must not mix the two.
      await created(client, "again", { Labels: { of: "the next" } });
      await daemon.kill();
    }
    loseState(root);
    cpSync(join(copies, "state.copy"), join(root, "state.copy"));

    await using again = await startDaemon({ root });
    const client = new Client(again.socketPath);
    expect((await client.volumes()).map(({ Name }) => Name).sort()).toEqual(["again", "kept"]);
    expect(filesBelow(join(root, "volumes/again/_data")).size).toBe(0);
    expect(await client.volume("again")).toMatchObject({ Labels: null });
    const entries = await keptEntries(client, root);
    const told = entries.map(({ entry: { volume, files } }) => [
      volume.Name,
      volume.Labels,
      files.get("file"),
    ]);
    expect(told.sort()).toEqual([
      ["again", { of: "again" }, "data of again"],
      ["wiki", { of: "wiki", later: "1" }, "data of wiki"],
    ]);
  }));

test("a description that cannot be read: nothing of it is believed, and nothing is deleted", () =>
  withRoot(async (root) => {
    let id = "";
    {
      await using daemon = await startDaemon({ root });
      const client = new Client(daemon.socketPath);
      await created(client, "wiki");
      await fill(client, root, "wiki", "data");
      await client.expect(204, "DELETE", "/volumes/wiki");
      id = (await client.trash())[0]?.id ?? "";
    }
    writeFileSync(join(root, "trash", id, "retired.json"), '{"format":"holdfast-retired"');
    loseState(root);
    await using again = await startDaemon({ root });
    const client = new Client(again.socketPath);
    expect(await client.trash()).toEqual([]);
    expect(filesBelow(join(root, "trash", id, "_data"))).toEqual(new Map([["file", "data"]]));
  }));

whenPossible(
  ["root", "mount", "loop", "ext4"],
  "a power cut that takes the state as well: what was described in the background comes back",
  async () => {
    const folder = temporaryDirectory();
    try {
      const [image, copy] = [join(folder, "image"), join(folder, "copy")];
      const [disk, next] = [join(folder, "disk"), join(folder, "next")];
      await makeImage({ image, type: "ext4" });
      await mountImage(image, disk, "ext4");
      let before: ReadonlyMap<string, unknown> = new Map();
      {
        await using daemon = await startDaemon({ root: join(disk, "root") });
        before = await describedTrash(daemon);
        // What the file system has not sent to its device is not in the copy.
        copyFileSync(image, copy);
      }
      await mountImage(copy, next, "ext4");
      const root = join(next, "root");
      loseState(root);
      {
        await using daemon = await startDaemon({ root });
        const client = new Client(daemon.socketPath);
        expect(byId(await client.trash())).toEqual(before);
        for (const { entry } of await keptEntries(client, root)) {
          expect([...entry.files.values()]).toEqual([`data of ${entry.volume.Name}`]);
        }
      }
      for (const target of [disk, next]) await unmountImage(target);
    } finally {
      await unmountBelow(folder);
      rmSync(folder, { recursive: true, force: true });
    }
  },
  limitMs,
);

/** Removed volumes of which the list says how large they are: they are described by then. */
async function describedTrash(daemon: RunningDaemon): Promise<ReadonlyMap<string, unknown>> {
  const { root } = daemon;
  const client = new Client(daemon.socketPath);
  for (let index = 0; index < 10; index++) {
    const name = `volume-${index}`;
    await created(client, name, describedAs(index));
    await fill(client, root, name, `data of ${name}`);
    // As a database would have its file: this is about what Holdfast writes.
    const file = openSync(join(root, "volumes", name, "_data/file"), "r");
    fsyncSync(file);
    closeSync(file);
    await client.expect(204, "DELETE", `/volumes/${name}`);
  }
  const items = await eventually(
    async () => {
      const all = await client.trash();
      return all.every(({ sizeBytes }) => sizeBytes !== null) ? all : undefined;
    },
    { timeoutMs: backgroundMs, otherwise: () => "the trash is not measured" },
  );
  return byId(items);
}
