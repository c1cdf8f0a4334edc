// Real bind mounts in this namespace and in others, of directories that have been moved since.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  descendants,
  eventually,
  runToEnd,
  startChild,
  stopChild,
} from "../../test/support/child.ts";
import { whenPossible } from "../../test/support/needs.ts";
import { linuxHost } from "./linux.ts";
import { findMountsBelow } from "./mounts-below.ts";

const host = linuxHost();
const children: ChildProcess[] = [];
let folder: string;
let trash: string;
beforeEach(() => {
  folder = mkdtempSync("/dev/shm/holdfast below-");
  trash = join(folder, "trash");
  for (const path of ["volumes/wiki/_data/sub", "volumes/other/_data", "trash", "at", "at2"]) {
    mkdirSync(join(folder, path), { recursive: true });
  }
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.stdin?.end();
    await stopChild(child);
  }
  for (const { target } of [...host.mounts()].reverse()) {
    if (target.startsWith(folder)) await run("umount", [target]);
  }
  rmSync(folder, { recursive: true, force: true });
});

async function run(program: string, words: readonly string[]): Promise<void> {
  const { exit, stderr } = await runToEnd(program, words, { timeoutMs: 10_000 });
  if (exit !== 0) throw new Error(`${program} ${words.join(" ")}: ${stderr}`);
}

/** As a container's runtime does: a namespace of its own, in which `source` is at `target`. */
async function showElsewhere(source: string, target: string): Promise<void> {
  const script = 'mount --bind "$1" "$2" && touch "$3" && exec cat';
  const ready = join(folder, `ready-${children.length}`);
  const words = ["--mount", "--propagation", "private", "sh", "-c", script, "sh"];
  const child = startChild("unshare", [...words, source, target, ready]);
  children.push(child);
  await eventually(() => (existsSync(ready) ? true : undefined), {
    timeoutMs: 10_000,
    otherwise: () => "the namespace has not come about",
  });
}

function retire(name: string): string {
  const place = join(trash, name);
  renameSync(join(folder, "volumes", name), place);
  return place;
}

describe("a mount in another namespace", () => {
  whenPossible(["root", "unshare"], "shows what was moved after it was made", async () => {
    await showElsewhere(join(folder, "volumes/wiki/_data"), join(folder, "at"));
    const directory = retire("wiki");
    const places = [directory, retire("other")];
    const { mounts, isWhole } = await host.mountsBelow(places);
    expect(isWhole).toBe(true);
    expect(mounts).toEqual([
      {
        directory,
        target: join(folder, "at"),
        pid: expect.any(Number),
        container: null,
      },
    ]);
    // Another directory, whose name only begins the same.
    expect((await host.mountsBelow([join(trash, "wik")])).mounts).toEqual([]);
    const [child] = children;
    expect(await descendants(child?.pid ?? 0)).toContain(mounts[0]?.pid ?? 0);
    // Its end, and that of its namespace, is the end of the mount.
    child?.stdin?.end();
    if (child !== undefined) await stopChild(child);
    expect((await host.mountsBelow(places)).mounts).toEqual([]);
  });

  whenPossible(["root", "unshare"], "of a folder deep inside counts, too", async () => {
    await showElsewhere(join(folder, "volumes/wiki/_data/sub"), join(folder, "at"));
    const place = retire("wiki");
    renameSync(place, `${place}.purging`);
    const found = (await host.mountsBelow([place, `${place}.purging`])).mounts;
    expect(found.map(({ directory }) => directory)).toEqual([`${place}.purging`]);
  });

  whenPossible(["root", "unshare"], "shows nothing any more when that is removed", async () => {
    await showElsewhere(join(folder, "volumes/other/_data"), join(folder, "at"));
    const place = retire("other");
    expect((await host.mountsBelow([place])).mounts).toHaveLength(1);
    rmdirSync(join(place, "_data"));
    expect((await host.mountsBelow([place])).mounts).toEqual([]);
  });
});

whenPossible(["root", "mount"], "a mount in our own namespace counts, too", async () => {
  const place = retire("wiki");
  await run("mount", ["--bind", join(place, "_data"), join(folder, "at")]);
  const found = (await host.mountsBelow([place])).mounts;
  expect(found.map(({ directory, target }) => [directory, target])).toEqual([
    [place, join(folder, "at")],
  ]);
});

whenPossible(["root", "mount"], "a directory on a mount, by a bind mount of a part", async () => {
  // The way to the directory leads over two mounts; the kernel tells of none of them.
  const root = join(folder, "at");
  await run("mount", ["-t", "tmpfs", "-o", "size=1m", "below", root]);
  mkdirSync(join(root, "holdfast/trash/t/_data"), { recursive: true });
  await run("mount", ["--bind", join(root, "holdfast"), join(folder, "at2")]);
  await run("mount", ["--bind", join(root, "holdfast/trash/t/_data"), join(folder, "volumes")]);
  const found = (await host.mountsBelow([join(folder, "at2/trash/t")])).mounts;
  expect(found.map(({ target }) => target)).toEqual([join(folder, "volumes")]);
});

test("nothing asked is nothing found, and what no mount leads to neither", async () => {
  expect(await host.mountsBelow([])).toEqual({ mounts: [], isWhole: true });
  expect((await findMountsBelow([trash], () => [])).mounts).toEqual([]);
});
