// Binds of a path inside a directory whose files somebody hostile writes: nothing leads out of it.
import { afterEach, beforeEach, describe, expect } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { eventually } from "../../test/support/child.ts";
import { whenPossible } from "../../test/support/needs.ts";
import { testOperation } from "../../test/support/operation.ts";
import { startSwapLoop } from "../../test/support/swap-loop.ts";
import { EngineError } from "../core/errors.ts";
import { linuxHost } from "./linux.ts";
import { topmostAt } from "./mount-table.ts";
import { startProgram } from "./programs.ts";
import { makeStuckFolder } from "./stuck-folder.fixture.ts";

/** What has been started, by its last words. */
const started: string[] = [];
const host = linuxHost({
  start(program, args) {
    started.push([program, ...args].join(" "));
    return startProgram(program, args);
  },
});

/** How often a path is bound while it changes. */
const RACE_COUNT = 300;

let folder: string;
let beneath: string;
let outside: string;
let target: string;
beforeEach(() => {
  started.length = 0;
  folder = mkdtempSync("/dev/shm/holdfast-beneath-");
  beneath = join(folder, "rootfs");
  outside = join(folder, "outside");
  target = join(folder, "target");
  for (const path of [beneath, outside, target]) mkdirSync(path);
  mkdirSync(join(beneath, "etc/data"), { recursive: true });
  writeFileSync(join(beneath, "etc/data/whose"), "inside");
  writeFileSync(join(outside, "whose"), "outside");
});
afterEach(async () => {
  for (const { target: at } of [...host.mounts()].reverse()) {
    if (at.startsWith(`${folder}/`)) await unmountFree(at);
  }
  rmSync(folder, { recursive: true, force: true });
});

/** A helper that was abandoned may still be about to end. */
async function unmountFree(at: string): Promise<void> {
  const unmount = () => host.unmount(at, testOperation()).then(() => true);
  const otherwise = () => `${at} is still in use`;
  await eventually(() => unmount().catch(() => undefined), { timeoutMs: 10_000, otherwise });
}

function whenMountable(name: string, work: () => Promise<void>): void {
  whenPossible(["root", "mount"], name, work);
}

function link(path: string, to: string): void {
  symlinkSync(to, join(beneath, path));
}

/** What file `whose` says of the place that was bound. */
async function bound(source: string, mayHang = false): Promise<string> {
  const group = await host.bind({ source, target, beneath, mayHang }, testOperation());
  expect(topmostAt(host.mounts(), target)?.propagation).toEqual([`shared:${group}`]);
  try {
    const file = join(target, "whose");
    return existsSync(file) ? readFileSync(file, "utf8") : "nothing";
  } finally {
    expect(host.unbind(target)).toBe("gone");
  }
}

/** Others on this machine make mounts too. */
function mountsHere(): readonly string[] {
  return host.mounts().flatMap(({ target: at }) => (at.startsWith(folder) ? [at] : []));
}

async function refusal(source: string, mayHang = false): Promise<string> {
  const before = mountsHere();
  const thrown = await bound(source, mayHang).catch((error: unknown) => error);
  expect(mountsHere()).toEqual(before);
  if (!(thrown instanceof EngineError)) throw new Error(`it was bound: ${String(thrown)}`);
  expect(thrown.code).toBe("volume.mount_failed");
  const start = `mount ${source} in ${beneath} at ${target}: `;
  expect(thrown.message).toStartWith(start);
  return thrown.message.slice(start.length);
}

describe.each([false, true])("paths and links; by the helper: %p", (mayHang) => {
  whenMountable("lead where a process would get that has it as its root", async () => {
    link("absolute", "/etc/data");
    link("relative", "etc/../etc/./data");
    link("up", `${"../".repeat(20)}etc/data`);
    link("first", "second");
    link("second", "/third/data");
    link("third", "./etc");
    for (const path of ["etc/data", "/etc/data", "//etc//data/", "../../etc/data", "absolute"]) {
      expect(await bound(path, mayHang)).toBe("inside");
    }
    for (const path of ["relative", "up", "first", "/third/../third/data", "absolute/../data"]) {
      expect(await bound(path, mayHang)).toBe("inside");
    }
    expect(await bound("/", mayHang)).toBe("nothing");
    expect(started).toHaveLength(mayHang ? 11 : 0);
  });

  whenMountable("are refused when they would lead out, or to no directory", async () => {
    link("out", outside);
    link("up", `${"../".repeat(20)}${outside}`);
    link("loop", "loop");
    const missing = "there is no such directory (ENOENT)";
    for (const path of ["out", "up", outside, "../outside", "none", "etc/none/x"]) {
      expect(await refusal(path, mayHang)).toBe(missing);
    }
    const noDirectory = "it is not a directory (ENOTDIR)";
    expect(await refusal("etc/data/whose", mayHang)).toBe(noDirectory);
    expect(await refusal("etc/data/whose/x", mayHang)).toBe(noDirectory);
    expect(await refusal("loop", mayHang)).toContain("too many symbolic links");
  });

  whenMountable("go on in other mounts, and not by the links of /proc", async () => {
    for (const name of ["proc", "disk"]) mkdirSync(join(beneath, name));
    const at = (name: string) => ({ device: name, target: join(beneath, name), options: "" });
    await host.mount({ ...at("disk"), type: "tmpfs" }, testOperation());
    await host.mount({ ...at("proc"), type: "proc" }, testOperation());
    mkdirSync(join(beneath, "disk/deep"));
    writeFileSync(join(beneath, "disk/deep/whose"), "disk");
    symlinkSync("../../etc/data", join(beneath, "disk/deep/back"));
    expect(await bound("disk/deep", mayHang)).toBe("disk");
    expect(await bound("disk/deep/back", mayHang)).toBe("inside");
    expect(await bound("etc/../disk", mayHang)).toBe("nothing");
    const magic = "it leads through too many symbolic links, or one of /proc (ELOOP)";
    expect(await refusal(`proc/${process.pid}/root${outside}`, mayHang)).toBe(magic);
    expect(await refusal(`proc/${process.pid}/cwd`, mayHang)).toBe(magic);
    // Where another mount begins, a process goes on that may hang.
    expect(started.filter((words) => words.includes("hold-mount"))).toHaveLength(5);
  });
});

whenMountable("the directory may be a mount itself", async () => {
  const tmpfs = { type: "tmpfs", device: "beneath", target: beneath, options: "" };
  await host.mount(tmpfs, testOperation());
  mkdirSync(join(beneath, "new"));
  writeFileSync(join(beneath, "new/whose"), "new");
  started.length = 0;
  expect([await bound("new"), started.length]).toEqual(["new", 1]);
  expect(await refusal("etc")).toBe("there is no such directory (ENOENT)");
});

whenPossible(
  ["root", "mount", "fuse"],
  "storage inside that does not answer costs a helper",
  async () => {
    await using stuck = await makeStuckFolder();
    mkdirSync(join(beneath, "remote"));
    const bind = { type: "", device: stuck.path, target: join(beneath, "remote"), options: "bind" };
    await host.mount(bind, testOperation());
    const controller = new AbortController();
    const asked = { source: "remote/volume", target, beneath, mayHang: false };
    const waiting = host.bind(asked, testOperation(controller.signal));
    await stuck.untilAsked();
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: "operation.cancelled" });
    stuck.release();
  },
);

whenPossible(
  ["root", "mount", "fuse"],
  "what is not known is bound without a helper on storage of this machine only",
  async () => {
    const places = [{ beneath }, {}];
    for (const more of places) {
      const source = "beneath" in more ? "/etc/data" : join(beneath, "etc/data");
      await host.bind({ source, target, mayHang: "unknown", ...more }, testOperation());
      expect(readFileSync(join(target, "whose"), "utf8")).toBe("inside");
      expect(host.unbind(target)).toBe("gone");
    }
    expect(started).toEqual([]);
    // A link that leads to another mount, and a mount of what does not answer.
    link("away", "/dev/shm");
    const away = { source: join(beneath, "away"), target, mayHang: "unknown" } as const;
    await host.bind(away, testOperation());
    expect(host.unbind(target)).toBe("gone");
    expect(started).toHaveLength(1);
    await using stuck = await makeStuckFolder();
    const asked = { source: join(stuck.path, "volume"), target, mayHang: "unknown" } as const;
    const controller = new AbortController();
    const waiting = host.bind(asked, testOperation(controller.signal));
    await stuck.untilAsked();
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: "operation.cancelled" });
    stuck.release();
  },
);

describe("while somebody exchanges", () => {
  const places = ["inside", "nothing"];
  for (const [name, to] of [
    ["a directory and a link out", () => outside],
    ["a directory and a link upwards", () => "../../../../../../.."],
  ] as const) {
    whenMountable(name, async () => {
      mkdirSync(join(beneath, "race/data"), { recursive: true });
      writeFileSync(join(beneath, "race/data/whose"), "inside");
      symlinkSync(to(), join(beneath, "link"));
      await using _swapping = await startSwapLoop(join(beneath, "race"), join(beneath, "link"));
      const seen = new Set<string>();
      for (let count = 0; count < RACE_COUNT; count++) {
        const source = ["race/data", "race", "race/../race/data"][count % 3] ?? "";
        seen.add(
          await bound(source).catch(
            (error: Error) => error.message.split(`${target}: `).at(-1) ?? "",
          ),
        );
      }
      const words = [
        "there is no such directory (ENOENT)",
        "it is moved all the time (EWOULDBLOCK)",
      ];
      expect([...seen].filter((one) => ![...places, ...words].includes(one))).toEqual([]);
      expect(seen.has("inside")).toBe(true);
    });
  }

  whenMountable("a directory that is asked about, and one outside", async () => {
    mkdirSync(join(beneath, "a/b/c"), { recursive: true });
    writeFileSync(join(beneath, "whose"), "root");
    mkdirSync(join(outside, "b"));
    // A directory that leaves while `..` of it is looked up would lead to where it is then.
    await using _swapping = await startSwapLoop(join(beneath, "a/b"), join(outside, "b"));
    const seen = new Set<string>();
    for (let count = 0; count < RACE_COUNT; count++) {
      seen.add(await bound("a/b/c/../..").catch((error: Error) => error.message));
    }
    expect(seen.has("outside")).toBe(false);
    expect(seen.size).toBeGreaterThan(0);
  });
});
