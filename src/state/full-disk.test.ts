// A full disk refuses what needs room, in one clear error, and never what makes room.
import { describe, expect } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  openSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { type Requirement, whenPossible } from "../../test/support/needs.ts";
import { type Directory, openIn, temporaryDirectory } from "../../test/support/state-bench.ts";
import {
  contentOf,
  sampleAlias,
  sampleHistory,
  sampleHolder,
  sampleRetired,
  sampleVolume,
} from "../conformance/state-store.ts";
import { makeTrashId, parseHolderId, parseVolumeName, type TrashId } from "../core/names.ts";
import { DESCRIPTION_BYTES_MAX, type StateStore, type VolumeEntry } from "../core/state-store.ts";

interface SmallDisk extends Disposable {
  /** Where the state lies. */
  readonly root: string;
  fill(): void;
  free(): void;
}

interface Kind {
  readonly name: string;
  readonly needs: readonly Requirement[];
  mount(directory: Directory, target: string): void;
}

const kinds: readonly Kind[] = [
  {
    name: "tmpfs",
    needs: ["root", "mount"],
    mount: (_directory, target) => run("mount", ["-t", "tmpfs", "-o", "size=14m", "state", target]),
  },
  {
    name: "ext4",
    needs: ["root", "mount", "loop", "ext4"],
    mount(directory, target) {
      const image = join(directory.path, "image");
      writeFileSync(image, "");
      truncateSync(image, 20 * 1024 * 1024);
      run("mkfs.ext4", ["-q", "-m", "0", image]);
      run("mount", ["-o", "loop", image, target]);
    },
  },
];

function run(program: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${stderr}`);
}

function smallDisk(kind: Kind): SmallDisk {
  const directory = temporaryDirectory();
  const target = join(directory.path, "mount");
  mkdirSync(target);
  kind.mount(directory, target);
  const filler = join(target, "filler");
  return {
    root: join(target, "root"),
    fill: () => fillWith(filler),
    free: () => rmSync(filler, { force: true }),
    [Symbol.dispose]() {
      // Lazily: a test that fails leaves its state open, and is to leave no mount.
      run("umount", ["--lazy", target]);
      directory[Symbol.dispose]();
    },
  };
}

/** Writes until not one more byte goes in. */
function fillWith(path: string): void {
  const descriptor = openSync(path, "a");
  try {
    for (let bytes = 1024 * 1024; bytes >= 1; ) {
      try {
        if (writeSync(descriptor, new Uint8Array(bytes)) === 0) bytes >>= 1;
      } catch {
        bytes >>= 1;
      }
    }
  } finally {
    closeSync(descriptor);
  }
}

function create(store: StateStore, name: string): Promise<void> {
  return store.write((transaction) => {
    transaction.putVolume(sampleVolume(name, { labels: { padding: "x".repeat(400) } }));
    transaction.addHistory(sampleHistory(name, 1));
  });
}

function remove(store: StateStore, name: string): Promise<void> {
  return store.write((transaction) => {
    transaction.removeVolume(parseVolumeName(name));
    transaction.addHistory({ ...sampleHistory(name, 2), action: "remove" });
  });
}

/** What the engine's limits allow, and the rest of the row. */
function largest(name: string): VolumeEntry {
  const line = "\uffff".repeat(1_000);
  return sampleVolume(name, {
    labels: { padding: "x".repeat(DESCRIPTION_BYTES_MAX) },
    lastUse: { atMs: 1, holder: "c".repeat(255) },
    note: line,
    protection: { reason: line, sinceMs: 1, by: "dockerd" },
  });
}

function trashIdOf({ name }: VolumeEntry): TrashId {
  return makeTrashId(name.replace(/\D/g, "").padStart(16, "0"));
}

/** As the engine does: the row goes to the trash with all that it says. */
function retire(store: StateStore, entry: VolumeEntry): Promise<void> {
  return store.write((transaction) => {
    transaction.removeVolume(entry.name);
    transaction.putRetired(sampleRetired(entry.name, "0", { id: trashIdOf(entry), volume: entry }));
    transaction.addHistory({ ...sampleHistory(entry.name, 2), action: "remove" });
  });
}

/** Creates until it is refused; the names that are there then. */
async function createUntilFull(store: StateStore, prefix = "volume"): Promise<readonly string[]> {
  const names: string[] = [];
  for (let index = 0; index < 20_000; index++) {
    const name = `${prefix}-${index}`;
    const before = contentOf(store);
    try {
      await create(store, name);
      names.push(name);
    } catch (error) {
      expect(error).toMatchObject({ code: "storage.full" });
      expect(contentOf(store)).toEqual(before);
      return names;
    }
  }
  throw new Error("the disk never filled");
}

/** Every seventh, again and again: no page of the volumes becomes free for a long time. */
function worstOrder(name: string): number {
  const index = Number(name.replace(/\D/g, ""));
  return (index % 7) * 10_000 + index;
}

/** How many of them came into the trash before one was refused. */
async function retireUntilFull(store: StateStore, names: readonly string[]): Promise<number> {
  for (const [count, name] of names.entries()) {
    const entry = store.read((view) => view.volume(name));
    if (entry === undefined) throw new Error(`${name} is not there`);
    try {
      await retire(store, entry);
    } catch (error) {
      expect(error).toMatchObject({ code: "storage.full" });
      return count;
    }
  }
  return names.length;
}

/** So many of the oldest, one after another. */
async function purge(store: StateStore, count: number): Promise<void> {
  for (const { id, volume } of store.read((view) => [...view.retired()]).slice(0, count)) {
    await store.write((transaction) => {
      transaction.removeRetired(id);
      transaction.addHistory({ ...sampleHistory(volume.name, 3), action: "evict", subject: id });
    });
  }
}

for (const kind of kinds) {
  describe(`on a full ${kind.name}`, () => {
    whenPossible(
      kind.needs,
      "creating is refused, removing works to the last volume, and space brings all back",
      async () => {
        using disk = smallDisk(kind);
        let store = openIn(disk.root, { copyIntervalMs: 50 });
        for (let index = 0; index < 500; index++) await create(store, `before-${index}`);
        disk.fill();
        const names = await createUntilFull(store);
        await expect(create(store, "again")).rejects.toMatchObject({ code: "storage.full" });
        // Mounting still works when creating does not.
        await store.write((transaction) => transaction.putHolder(sampleHolder("before-1", "c1")));
        const logBytes = statSync(join(disk.root, "state.db-wal")).size;
        for (const name of names) await remove(store, name);
        for (let index = 0; index < 400; index++) await remove(store, `before-${index}`);
        expect(statSync(join(disk.root, "state.db-wal")).size).toBe(logBytes);
        const content = contentOf(store);
        await store.close();
        store = openIn(disk.root);
        expect(contentOf(store)).toEqual(content);
        for (let index = 400; index < 500; index++) await remove(store, `before-${index}`);
        expect(store.read((view) => view.volumeCount)).toBe(0);
        disk.free();
        await create(store, "afterwards");
        await store.close();
        store = openIn(disk.root);
        expect(store.read((view) => view.volumeCount)).toBe(1);
        await store.close();
      },
      120_000,
    );

    whenPossible(kind.needs, "a refused create works at once when space is back", async () => {
      using disk = smallDisk(kind);
      const store = openIn(disk.root);
      disk.fill();
      await createUntilFull(store);
      disk.free();
      for (let index = 0; index < 200; index++) await create(store, `after-${index}`);
      await store.close();
    });

    whenPossible(
      kind.needs,
      "removing works after a kill and a start on the full disk",
      async () => {
        using disk = smallDisk(kind);
        const first = openIn(disk.root);
        disk.fill();
        const names = await createUntilFull(first);
        await first.close();
        const second = openIn(disk.root);
        for (const name of names) await remove(second, name);
        await second.close();
        expect(names.length).toBeGreaterThan(100);
      },
    );

    whenPossible(
      kind.needs,
      "a volume with the largest labels can be mounted, removed and brought back",
      async () => {
        using disk = smallDisk(kind);
        const store = openIn(disk.root);
        const entries = ["large-0", "large-1", "large-2"].map((name) => largest(name));
        for (const entry of entries) await store.write((change) => change.putVolume(entry));
        disk.fill();
        await createUntilFull(store);
        for (const entry of entries) {
          await store.write((change) => {
            change.putVolume({ ...entry, usedAtMs: 7 });
            change.putHolder(sampleHolder(entry.name, "c1"));
          });
          await store.write((change) => change.removeHolder(entry.name, parseHolderId("c1")));
        }
        await Promise.all(entries.map((entry) => retire(store, entry)));
        // Measured, protected, and given up.
        for (const entry of entries) {
          const kept = sampleRetired(entry.name, "0", { id: trashIdOf(entry), volume: entry });
          await store.write((change) => change.putRetired({ ...kept, sizeBytes: 2 ** 40 }));
          await store.write((change) => change.putRetired({ ...kept, phase: "purging" }));
        }
        // As after a rename that failed, and then for good.
        for (const entry of entries) {
          await store.write((change) => {
            change.removeRetired(trashIdOf(entry));
            change.putVolume(entry);
          });
          await retire(store, entry);
          await store.write((change) => change.removeRetired(trashIdOf(entry)));
        }
        expect(store.read((view) => view.volume("large-0"))).toBeUndefined();
        await store.close();
      },
    );

    whenPossible(
      kind.needs,
      "a trash that keeps its rows fills what is in reserve, and purging makes room for all",
      async () => {
        using disk = smallDisk(kind);
        let store = openIn(disk.root);
        const names = Array.from({ length: 2_400 }, (_, index) => `volume-${index}`);
        for (let first = 0; first < names.length; first += 50) {
          const some = names.slice(first, first + 50);
          await Promise.all(some.map((name) => create(store, name)));
        }
        await store.write((change) => change.putAlias(sampleAlias("alias", "volume-3")));
        disk.fill();
        await createUntilFull(store, "more");
        const worst = names.toSorted((a, b) => worstOrder(a) - worstOrder(b));
        const count = await retireUntilFull(store, worst);
        expect(count).toBeGreaterThan(500);
        const content = contentOf(store);
        // It can still be started, and goes on.
        await store.close();
        store = openIn(disk.root);
        expect(contentOf(store)).toEqual(content);
        for (let done = count; done < names.length; ) {
          await purge(store, 50);
          const more = await retireUntilFull(store, worst.slice(done));
          expect(more).toBeGreaterThan(0);
          done += more;
        }
        expect(store.read((view) => [...view.aliases()])).toEqual([]);
        await store.close();
      },
      120_000,
    );

    whenPossible(kind.needs, "a turn of many large creates leaves what is in reserve", async () => {
      using disk = smallDisk(kind);
      const store = openIn(disk.root);
      disk.fill();
      const wanted = Array.from({ length: 8 }, (_, index) => largest(`large-${index}`));
      const done = await Promise.allSettled(
        wanted.map((entry) => store.write((change) => change.putVolume(entry))),
      );
      const made = wanted.filter((_, index) => done[index]?.status === "fulfilled");
      expect(made.length).toBeGreaterThan(0);
      expect(made.length).toBeLessThan(4);
      for (const entry of made) await retire(store, entry);
      await store.close();
    });

    whenPossible(kind.needs, "a first start on a full disk fails with a sentence", () => {
      using disk = smallDisk(kind);
      mkdirSync(disk.root);
      disk.fill();
      expect(() => openIn(disk.root)).toThrow(expect.objectContaining({ code: "storage.full" }));
      disk.free();
    });
  });
}

describe("on read-only storage", () => {
  whenPossible(["root", "mount"], "opening says so, and changes nothing", async () => {
    using directory = temporaryDirectory();
    const mounted = join(directory.path, "mount");
    mkdirSync(mounted);
    run("mount", ["-t", "tmpfs", "-o", "size=14m", "state", mounted]);
    try {
      const root = join(mounted, "root");
      const store = openIn(root);
      await create(store, "aa");
      await store.close();
      run("mount", ["-o", "remount,ro", mounted]);
      const readOnly = expect.objectContaining({ code: "storage.read_only" });
      expect(() => openIn(root)).toThrow(readOnly);
      expect(() => openIn(join(mounted, "new"))).toThrow(readOnly);
      run("mount", ["-o", "remount,rw", mounted]);
      const again = openIn(root);
      expect(again.origin).toEqual({ kind: "opened" });
      await again.close();
    } finally {
      run("umount", ["--lazy", mounted]);
    }
  });
});
