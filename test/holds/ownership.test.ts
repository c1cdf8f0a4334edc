// Owner and mode of a volume's data with a real dockerd: right at the first write, put back later.
import { afterAll, afterEach, beforeAll, describe, expect } from "bun:test";
import { chmodSync, mkdirSync, renameSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { HoldsBench } from "../support/holds-bench.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { testImage } from "../support/test-image.ts";

const requirements: readonly Requirement[] = ["root", "dockerd", "docker-cli", "mount", "busybox"];
const startMs = 120_000;
const testMs = 60_000;

let bench: HoldsBench;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  bench = new HoldsBench();
  await bench.start();
}, startMs);
afterEach(async () => await bench?.removeAll(), startMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), startMs);

function when(name: string, run: () => Promise<void>): void {
  whenPossible(requirements, name, run, testMs);
}

function dataOf(volume: string): string {
  return join(bench.root, "volumes", volume, "_data");
}

/** `UID:GID MODE` of a directory. */
function ownerOf(path: string): string {
  const { uid, gid, mode } = statSync(path);
  return `${uid}:${gid} ${(mode & 0o7777).toString(8).padStart(4, "0")}`;
}

/** What a container of user 999 prints that writes into the volume at this place. */
async function writeAs999(volume: string, target: string): Promise<string> {
  const script = `echo kept > ${target}/mine && cat ${target}/mine && ls ${target}`;
  const place = ["--rm", "--network", "none", "--user", "999:999", "-v", `${volume}:${target}`];
  const printed = await bench.docker("run", ...place, testImage, "sh", "-c", script);
  return printed.replaceAll("\n", " ");
}

describe("owner and mode", () => {
  when("a container of that user can write at once, where the image has nothing", async () => {
    await bench.createVolume("fresh", "owner=999:999", "mode=0700");
    expect(await writeAs999("fresh", "/new")).toBe("kept mine");
    expect(ownerOf(dataOf("fresh"))).toBe("999:999 0700");
  });

  when("and where the image's content of another owner is copied up first", async () => {
    await bench.createVolume("seeded", "owner=999:999", "mode=0700");
    expect(await writeAs999("seeded", "/seeded")).toBe("kept hello mine");
    expect(ownerOf(dataOf("seeded"))).toBe("999:999 0700");
    // What was copied keeps its owner: only the directory itself is given one.
    expect(ownerOf(join(dataOf("seeded"), "hello"))).toBe("0:0 0644");
  });

  when("copy-up resets them, and the next Mount puts them back", async () => {
    await bench.createVolume("reset", "owner=999:999", "mode=0700");
    const place = ["--name", "later", "--network", "none", "-v", "reset:/seeded"];
    await bench.docker("create", ...place, testImage, "sleep", "1000");
    expect(ownerOf(dataOf("reset"))).toBe("0:0 0755");
    await bench.docker("start", "later");
    expect(ownerOf(dataOf("reset"))).toBe("999:999 0700");
  });

  when("without them Docker's copy-up has the say", async () => {
    await bench.createVolume("plain");
    expect(await writeAs999("plain", "/data")).toBe("kept mine");
    expect(ownerOf(dataOf("plain"))).toBe("999:999 0700");
    await bench.createVolume("plain2");
    await expect(writeAs999("plain2", "/seeded")).rejects.toThrow("Permission denied");
  });

  when("a user alone leaves group and mode, a mode alone the owner", async () => {
    await bench.createVolume("user", "owner=999");
    await bench.createVolume("mode", "mode=1777");
    await bench.run("both", "-v", "user:/new1", "-v", "mode:/new2");
    expect(ownerOf(dataOf("user"))).toBe("999:0 0755");
    expect(ownerOf(dataOf("mode"))).toBe("0:0 1777");
  });

  when("what a container changed is put back at the next Mount, and not before", async () => {
    await bench.createVolume("changed", "owner=999:999", "mode=0700");
    await bench.run("one", "-v", "changed:/data");
    await bench.docker("exec", "one", "chown", "5:5", "/data");
    expect(ownerOf(dataOf("changed"))).toBe("5:5 0700");
    await bench.docker("restart", "-t", "0", "one");
    expect(ownerOf(dataOf("changed"))).toBe("999:999 0700");
  });

  when("a volume in memory gets them at each of its mounts", async () => {
    const tmpfs = ["type=tmpfs", "device=tmpfs", "o=size=1m"];
    await bench.createVolume("memory", ...tmpfs, "owner=999:999", "mode=0700");
    expect(await writeAs999("memory", "/new")).toBe("kept mine");
    await bench.holders("memory");
    // What is copied up at the create is gone with that mount, unless the start is faster.
    expect(await writeAs999("memory", "/seeded")).toMatch(/^kept (?:hello )?mine$/);
  });
});

describe("a link in place of the data", () => {
  for (const options of [["owner=999:999", "mode=0700"], []]) {
    when(`is not followed, with ${options.length} options of the engine`, async () => {
      const volume = `link${options.length}`;
      const victim = join(bench.folder, `victim${options.length}`);
      mkdirSync(victim, { mode: 0o755 });
      await bench.createVolume(volume, ...options);
      await bench.run("one", "-v", `${volume}:/data`);
      await bench.docker("rm", "-f", "one");
      await bench.holders(volume);
      renameSync(dataOf(volume), `${dataOf(volume)}-away`);
      symlinkSync(victim, dataOf(volume));
      const place = ["--network", "none", "-v", `${volume}:/data`];
      const words = await bench.refused("run", ...place, testImage, "true");
      expect(words.split("\n")[0]).toBe(
        `docker: Error response from daemon: ${dataOf(volume)}: it is not a plain directory. ` +
          "Something other than a plain directory is in the volume's place; look at it by hand.",
      );
      expect(ownerOf(victim)).toBe("0:0 0755");
      expect(bench.holdMounts()).toEqual([]);
    });
  }
});

/** Where the machine's numbers for the containers of the remapped dockerd begin. */
const first = 200_000;

describe("--userns-remap", () => {
  whenPossible(
    [...requirements, "user-namespaces"],
    "owner takes the machine's numbers; without it only what copy-up gave can be written",
    async () => {
      await using remapped = new HoldsBench({
        dockerd: {
          parameters: ["--userns-remap=nobody:nogroup"],
          subordinateIds: ["nobody", "nogroup"].map((name) => `${name}:${first}:65536\n`).join(""),
        },
      });
      // What is remapped must get through to its data root.
      chmodSync(remapped.folder, 0o755);
      await remapped.start();
      const data = (volume: string) => join(remapped.root, "volumes", volume, "_data");
      const write = (volume: string, target: string, user: string) => {
        const place = ["--rm", "--network", "none", "--user", user, "-v", `${volume}:${target}`];
        const script = `echo kept > ${target}/mine && stat -c %u:%g ${target}`;
        return remapped.docker("run", ...place, testImage, "sh", "-c", script);
      };
      await remapped.createVolume("plain");
      await expect(write("plain", "/new", "0")).rejects.toThrow("Permission denied");
      expect(ownerOf(data("plain"))).toBe("0:0 0755");
      expect(await write("plain", "/data", "999")).toBe("999:999");
      expect(ownerOf(data("plain"))).toBe(`${first + 999}:${first + 999} 0700`);
      await remapped.createVolume("zero", `owner=${first}:${first}`);
      expect(await write("zero", "/new", "0")).toBe("0:0");
      const user = `${first + 999}:${first + 999}`;
      await remapped.createVolume("user", `owner=${user}`, "mode=0700");
      expect(await write("user", "/seeded", "999")).toBe("999:999");
      expect(ownerOf(data("user"))).toBe(`${user} 0700`);
      await remapped.run("holder", "-v", "zero:/data");
      await remapped.holders("zero", "holder running rw");
      expect(await remapped.refused("volume", "rm", "zero")).toContain("volume is in use");
      await remapped.docker("rm", "-f", "holder");
      await remapped.holders("zero");
    },
    startMs,
  );
});
