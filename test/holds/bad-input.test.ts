// Bad input on the volume driver socket: one clear error each, and nothing is created.
import { afterAll, beforeAll, describe, expect } from "bun:test";
import { existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { HoldsBench } from "../support/holds-bench.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { testImage } from "../support/test-image.ts";

const requirements: readonly Requirement[] = ["root", "dockerd", "docker-cli", "mount", "busybox"];
const startMs = 120_000;
const testMs = 60_000;

/** As dockerd makes them. */
const ID = "f".repeat(64);

let bench: HoldsBench;
let nothing: unknown;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  bench = new HoldsBench();
  await bench.start();
  nothing = await everything();
}, startMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), startMs);

function when(name: string, run: () => Promise<void>): void {
  whenPossible(requirements, name, run, testMs);
}

/** All that a volume may leave behind: rows, and files on either side of where they belong. */
async function everything(): Promise<unknown> {
  const folders = [
    bench.root,
    ...["volumes", "holds", "trash"].map((one) => join(bench.root, one)),
  ];
  const files = folders.map((folder) => (existsSync(folder) ? readdirSync(folder) : []));
  const { stdout } = await bench.holdfast("volume", "ls", "--quiet");
  return {
    files: files.map((names) => names.toSorted()),
    above: readdirSync(bench.folder),
    stdout,
  };
}

const rule = "Choose a name of 2 to 255 characters of [a-zA-Z0-9_.-], beginning with [a-zA-Z0-9].";

describe("a name that dockerd does not check", () => {
  const badNames: readonly (readonly [name: string, quoted: string])[] = [
    ["..", '".."'],
    [".", '"."'],
    ["a/b", '"a/b"'],
    ["../a", '"../a"'],
    ["/etc", '"/etc"'],
    ["a\nb", '"a\\nb"'],
    ["\u001b[31m", '"\\x1b[31m"'],
    ["x".repeat(4_096), `"${"x".repeat(80)}…"`],
    ["-x", '"-x"'],
    [".x", '".x"'],
    ["a b", '"a b"'],
    ["ä", '"ä"'],
    ["x", '"x"'],
  ];
  for (const [Name, quoted] of badNames) {
    when(`${quoted.slice(0, 20)} is refused by docker volume create`, async () => {
      const words = await bench.refused("volume", "create", "-d", "holdfast", "--", Name);
      expect(words).toBe(
        `Error response from daemon: create ${Name}: invalid volume name ${quoted}. ${rule}`,
      );
      expect(await everything()).toEqual(nothing);
    });
  }

  for (const [Name, quoted] of [...badNames, ["a\0b", '"a\\x00b"'], ["", '""']] as const) {
    when(`${quoted.slice(0, 20)} is refused by every call`, async () => {
      const { Err } = await bench.call("Create", { Name, Opts: {} });
      expect(Err).toBe(`invalid volume name ${quoted}. ${rule}`);
      for (const method of ["Get", "Path", "Mount", "Remove"]) {
        const answer = await bench.call(method, { Name, ID });
        expect(answer.Err).toBe("no such volume. List what exists with `holdfast volume ls`.");
      }
      // Nothing is held by it, which is what the call is for.
      expect((await bench.call("Unmount", { Name, ID })).Err).toBe("");
      expect(await everything()).toEqual(nothing);
    });
  }

  when("is refused by docker run, and leaves no container that runs", async () => {
    const place = ["--name", "named", "--volume-driver", "holdfast", "-v", "-x:/data"];
    const words = await bench.refused("run", ...place, testImage, "true");
    expect(words).toContain(`create -x: invalid volume name "-x". ${rule}`);
    expect(await bench.docker("ps", "-aq")).toBe("");
    expect(await everything()).toEqual(nothing);
  });
});

describe("an option", () => {
  const known =
    "known are database, device, driver, guard, labels, mode, o, on-stale, owner, reclaim, " +
    "sharing, size, trash, type";
  const owner =
    "UID or UID:GID is needed, in numbers up to 4294967294: names mean different users in " +
    "different containers";
  const mode = "three or four octal digits are needed, as in 0750";
  const trash =
    "a number with d (days), h (hours) or m (minutes), as in 30d, at most 36500d, or off is needed";
  const reclaim = "one of retain, trash, delete is needed";
  const sharing = "one of all, none, onewriter, readonly is needed";
  const labels =
    "key=value or key is needed, several of them separated by commas, so that no value can hold " +
    "a comma";
  const ofEngine = (name: string, values: readonly string[], words: string) =>
    values.map(
      (value) => [name, value, `invalid option: "${name}": "${value}": ${words}`] as const,
    );
  const owners = ["postgres", "-1", "4294967295", "4294967296:1", "1:4294967295", ":5", "5:"];
  const badOptions: readonly (readonly [name: string, value: string, words: string])[] = [
    ["colour", "red", `unknown option "colour": ${known}`],
    ["__proto__", "x", `unknown option "__proto__": ${known}`],
    ["", "x", `unknown option "": ${known}`],
    ...ofEngine("owner", [...owners, "", "1:2:3", "0x10", "1.5", " 1", "9".repeat(40)], owner),
    ...ofEngine("mode", ["9", "0o700", "77", "77777", "", "rwx", "-700"], mode),
    ...ofEngine("sharing", ["two", "", "None"], sharing),
    ...ofEngine("trash", ["", "7", "d", "0d", "-1d", "1w", "1.5h", "36501d", "never"], trash),
    ...ofEngine("reclaim", ["", "Retain", "keep"], reclaim),
    ["driver", "nosuch", 'unknown driver "nosuch": known are local, nfs, rclone, smb, sshfs'],
    ["driver", "", 'unknown driver "": known are local, nfs, rclone, smb, sshfs'],
    ["labels", "=x", `option labels: "=x": ${labels}`],
    ["size", "zzz", "invalid size: 'zzz'"],
    ["type", "tmpfs", 'missing required option: "device"'],
  ];
  for (const [name, value, words] of badOptions) {
    when(`${name}=${value} is refused, by docker and by the call`, async () => {
      const options = [`${name}=${value}`];
      const Opts = Object.fromEntries([[name, value]]);
      expect((await bench.call("Create", { Name: "wiki", Opts })).Err).toBe(words);
      if (name !== "") {
        await expect(bench.createVolume("wiki", ...options)).rejects.toThrow(
          `Error response from daemon: create wiki: ${words}\n`,
        );
      }
      expect(await everything()).toEqual(nothing);
    });
  }
});

describe("data that has vanished after it had been mounted", () => {
  const missing =
    "the data directory is missing. The directory of a volume that was used is gone; bring it " +
    "back before using it again.";

  for (const what of ["_data", "."] as const) {
    when(`is an error that says so, never an empty directory: ${what}`, async () => {
      await bench.createVolume("gone");
      const place = ["--rm", "--network", "none", "-v", "gone:/data", testImage];
      await bench.docker("run", ...place, "sh", "-c", "echo kept > /data/file");
      const data = join(bench.root, "volumes", "gone", "_data");
      const taken = join(bench.root, "volumes", "gone", what);
      const away = join(bench.folder, "away");
      renameSync(taken, away);
      const refuse = async () => {
        const [words] = (await bench.refused("run", ...place, "true")).split("\n");
        expect(words).toBe(`docker: Error response from daemon: ${data}: ${missing}`);
        expect(existsSync(data)).toBe(false);
        expect((await bench.volume("gone")).state).toBe("data missing");
        expect((await bench.call("Mount", { Name: "gone", ID })).Err).toBe(`${data}: ${missing}`);
        expect(bench.holdMounts()).toEqual([]);
        expect(readdirSync(join(bench.root, "holds"))).toEqual([]);
      };
      await refuse();
      await bench.daemon.stop();
      await bench.startDaemon();
      await refuse();
      rmSync(taken, { recursive: true, force: true });
      renameSync(away, taken);
      expect(await bench.docker("run", ...place, "cat", "/data/file")).toBe("kept");
      await bench.docker("volume", "rm", "gone");
    });
  }
});
