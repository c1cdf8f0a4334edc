// Managed plugins on a disk with no byte left: what cannot be done changes nothing, what frees
// space can be done.
import { expect } from "bun:test";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ManagedBench } from "../support/managed-bench.ts";
import { whenPossible } from "../support/needs.ts";
import { fill, onSmallDisk } from "./small-disk.ts";

const full = expect.objectContaining({ code: "storage.full" });

whenPossible(["root", "loop", "mount", "ext4"], "nothing is half done on a full disk", () =>
  onSmallDisk([], async (disk) => {
    const bench = new ManagedBench(disk);
    const operation = bench.operation();
    const plugins = await bench.open();
    const { id } = await bench.install(plugins, "v1", { name: "on" });
    const other = await bench.install(plugins, "v1", { name: "off" });
    await plugins.enable(id, operation);
    const before = plugins.list();
    const ballast = join(disk, "ballast");
    fill(ballast);

    const upgrade = async () => {
      const pull = await plugins.upgrade(other.id, bench.request("v2"), operation);
      return await pull.run(() => undefined, operation);
    };
    const verbs: readonly (() => Promise<unknown>)[] = [
      () => plugins.disable(id, operation),
      () => plugins.enable(other.id, operation),
      () => plugins.set(other.id, ["DEBUG=1"], operation),
      () => bench.install(plugins, "v2", { name: "new" }),
      upgrade,
    ];
    for (const verb of verbs) await expect(verb()).rejects.toThrow(full);
    expect(plugins.list()).toEqual(before);
    expect([...bench.running.keys()]).toEqual([id]);
    // The next daemon sees the same, and nothing is left of what was tried.
    const next = await bench.open();
    await next.start(operation);
    expect(next.list()).toEqual(before);
    const places = readdirSync(bench.directory).sort();
    expect(places).toEqual([id, other.id, "blobs"].sort());
    const files = ["plugin.json", "propagated-mount", "rootfs"];
    for (const each of [id, other.id]) {
      expect(readdirSync(join(bench.directory, each)).sort()).toEqual(files);
    }

    await next.remove(other.id, { force: false }, operation);
    expect(next.list()).toHaveLength(1);
    rmSync(ballast);
    await next.disable(id, operation);
    await bench.install(next, "v2", { name: "new" });
  }),
);
