// The layout: modes, options files, what is refused as foreign, and what a failure leaves.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { whenPossible } from "../../../test/support/needs.ts";
import type { DriverOptions } from "../../core/driver.ts";
import { EngineError } from "../../core/errors.ts";
import { parseVolumeName } from "../../core/names.ts";
import { linuxHost } from "../../host/linux.ts";
import { type Layout, makeRoot, makeVolume, plainDirectory, readOptions } from "./layout.ts";

const wiki = parseVolumeName("wiki");
let folder: string;
let layout: Layout;
beforeEach(() => {
  folder = mkdtempSync("/dev/shm/holdfast-layout-");
  layout = open("root");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function open(place: string, isFirstStart = true): Layout {
  return makeRoot({ root: join(folder, place), host: linuxHost(), isFirstStart });
}

function mode(path: string): string {
  return (statSync(path).mode & 0o7777).toString(8);
}

function refusal(work: () => unknown): EngineError {
  try {
    work();
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
  throw new Error("it should have been refused");
}

describe("modes are dockerd's", () => {
  test("under the umask of the daemon", () => {
    const umask = process.umask(0o022);
    try {
      const fresh = open("fresh");
      makeVolume(fresh, wiki, { type: "tmpfs", device: "tmpfs" });
      expect(mode(fresh.volumes)).toBe("701");
      expect(mode(fresh.trash)).toBe("701");
      expect(mode(fresh.volume(wiki))).toBe("701");
      expect(mode(fresh.data(wiki))).toBe("755");
      expect(mode(fresh.optionsFile(wiki))).toBe("600");
    } finally {
      process.umask(umask);
    }
  });

  test("what containers changed is not changed back", () => {
    makeVolume(layout, wiki, {});
    chmodSync(layout.data(wiki), 0o1777);
    makeVolume(layout, wiki, {});
    expect(mode(layout.data(wiki))).toBe("1777");
  });
});

test("a root behind a link is known by its real path, as the mount table knows it", () => {
  symlinkSync(join(folder, "root"), join(folder, "link"));
  expect(open("link").volumes).toBe(realpathSync(layout.volumes));
});

test("a root that cannot be made is a sentence with a code", () => {
  writeFileSync(join(folder, "file"), "");
  const { code, message } = refusal(() => open("file/root"));
  expect(code).toBe("storage.failed");
  expect(message).toStartWith("error while making the directories of the data root");
});

describe("volumes/ and trash/ that lead elsewhere are refused at the start", () => {
  for (const name of ["volumes", "trash"]) {
    const place = (): string => join(folder, "root", name);

    for (const target of ["outside", "nowhere"]) {
      test(`${name}/ as a link to ${target}`, () => {
        mkdirSync(join(folder, "outside"));
        rmSync(place(), { recursive: true });
        symlinkSync(join(folder, target), place());
        for (const isFirstStart of [true, false]) {
          const { code, message } = refusal(() => open("root", isFirstStart));
          expect(code).toBe("config.invalid");
          expect(message).toStartWith(`${realpathSync(folder)}/root/${name} is not a plain`);
          expect(message).toContain("--root");
        }
        expect(existsSync(join(folder, "nowhere"))).toBe(false);
      });
    }

    test(`${name}/ as a file`, () => {
      rmSync(place(), { recursive: true });
      writeFileSync(place(), "");
      expect(refusal(() => open("root")).code).toBe("config.invalid");
    });

    const mounts: readonly (readonly [string, () => readonly string[]])[] = [
      ["on another file system", () => ["-t", "tmpfs", "-o", "size=64k", "other", place()]],
      // Nothing but the mount table tells it from a plain directory.
      ["as a bind mount of itself", () => ["--bind", place(), place()]],
      ["as a bind mount of another directory there", () => ["--bind", folder, place()]],
    ];
    for (const [how, words] of mounts) {
      whenPossible(["root", "mount"], `${name}/ ${how}`, () => {
        expect(spawnSync("mount", [...words()]).status).toBe(0);
        try {
          const { code, message } = refusal(() => open("root"));
          expect(code).toBe("config.invalid");
          expect(message).toContain(`\`umount ${place()}\``);
          expect(message).toContain(`mount that at ${join(folder, "root")} itself`);
        } finally {
          expect(spawnSync("umount", [place()]).status).toBe(0);
        }
        expect(open("root").trash).toBe(layout.trash);
      });
    }
  }

  whenPossible(["root", "mount"], "a root that is a mount itself is none", () => {
    const root = join(folder, "root");
    expect(spawnSync("mount", ["--bind", root, root]).status).toBe(0);
    try {
      expect(open("root").trash).toBe(layout.trash);
    } finally {
      expect(spawnSync("umount", [root]).status).toBe(0);
    }
  });
});

describe("the options file", () => {
  const written: readonly DriverOptions[] = [
    { type: "tmpfs", device: "tmpfs", o: "size=1m" },
    { type: "", device: "x" },
    { size: "0" },
    { type: "none", device: '/d ä"\\\n', o: "bind,password=ü" },
  ];
  for (const options of written) {
    test(`gives back ${JSON.stringify(options)}`, () => {
      makeVolume(layout, wiki, options);
      expect(readOptions(layout, wiki)).toEqual(options);
      expect(readdirSync(layout.volume(wiki)).sort()).toEqual(["_data", "opts.json"]);
    });
  }

  test("is not written without options, and its absence says so", () => {
    makeVolume(layout, wiki, {});
    expect(existsSync(layout.optionsFile(wiki))).toBe(false);
    expect(readOptions(layout, wiki)).toEqual({});
  });

  test("has dockerd's fields, so that dockerd can read it", () => {
    makeVolume(layout, wiki, { type: "nfs", device: ":/e", o: "addr=h" });
    expect(JSON.parse(readFileSync(layout.optionsFile(wiki), "utf8"))).toMatchObject({
      MountType: "nfs",
      MountOpts: "addr=h",
      MountDevice: ":/e",
      Quota: { Size: 0 },
    });
  });

  test("of dockerd is read", () => {
    makeVolume(layout, wiki, {});
    const dockers = '{"MountType":"nfs","MountOpts":"","MountDevice":":/e","Quota":{"Size":0}}';
    writeFileSync(layout.optionsFile(wiki), dockers);
    expect(readOptions(layout, wiki)).toEqual({ type: "nfs", device: ":/e" });
  });

  for (const damaged of ["", "{", "null", "[1", '"x"', "\0".repeat(100)]) {
    test(`that says ${JSON.stringify(damaged).slice(0, 20)} is an error`, () => {
      makeVolume(layout, wiki, {});
      writeFileSync(layout.optionsFile(wiki), damaged);
      const { code, message } = refusal(() => readOptions(layout, wiki));
      expect(code).toBe("storage.failed");
      expect(message).toContain(layout.optionsFile(wiki));
    });
  }

  test("that is too large, a directory or a pipe is an error and blocks nobody", () => {
    const file = layout.optionsFile(wiki);
    makeVolume(layout, wiki, {});
    writeFileSync(file, " ".repeat(1024 * 1024 + 1));
    expect(refusal(() => readOptions(layout, wiki)).message).toContain("too large");
    rmSync(file);
    mkdirSync(file);
    expect(refusal(() => readOptions(layout, wiki)).code).toBe("storage.failed");
    rmSync(file, { recursive: true });
    expect(spawnSync("mkfifo", [file]).status).toBe(0);
    expect(refusal(() => readOptions(layout, wiki)).message).toContain("no plain file");
  });

  test("the longest options that are accepted can be read again", () => {
    const worst = "\u0001".repeat(16_384);
    const options = { type: worst, device: worst, o: worst, size: "0" };
    makeVolume(layout, wiki, options);
    expect(readOptions(layout, wiki)).toEqual(options);
  });
});

describe("what is no plain directory", () => {
  test("is refused, whatever it is, and nothing is followed", () => {
    symlinkSync("/", join(folder, "link"));
    writeFileSync(join(folder, "file"), "");
    for (const name of ["link", "file"]) {
      const { code, message } = refusal(() => plainDirectory(join(folder, name)));
      expect(code).toBe("volume.data_foreign");
      expect(message).toStartWith("unable to remove a directory outside of the local volume root");
    }
    expect(plainDirectory(join(folder, "none"))).toBeUndefined();
  });

  test("identities tell two directories of one name apart, and survive a rename", () => {
    makeVolume(layout, wiki, {});
    const first = plainDirectory(layout.volume(wiki));
    makeVolume(layout, wiki, {});
    expect(plainDirectory(layout.volume(wiki))).toEqual(first);
    rmSync(layout.volume(wiki), { recursive: true });
    makeVolume(layout, wiki, {});
    expect(plainDirectory(layout.volume(wiki))?.identity).not.toBe(first?.identity);
  });
});

describe("a volume that cannot be made leaves nothing", () => {
  test("when something is in the way of its data", () => {
    mkdirSync(layout.volume(wiki));
    rmSync(layout.volumes, { recursive: true });
    expect(refusal(() => makeVolume(layout, wiki, {})).message).toContain(layout.volume(wiki));
    expect(existsSync(layout.volumes)).toBe(false);
  });

  whenPossible(["root", "mount"], "when the file system is full", () => {
    const small = join(folder, "small");
    mkdirSync(small);
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "small", small]);
    expect(mounted.status).toBe(0);
    try {
      const full = open("small");
      const options = { type: "tmpfs", device: "tmpfs", o: "x".repeat(16_000) };
      writeFileSync(join(small, "filler"), Buffer.alloc(48 * 1024));
      const { code } = refusal(() => makeVolume(full, wiki, options));
      expect(code).toBe("storage.full");
      expect(readdirSync(full.volumes)).toEqual([]);
      rmSync(join(small, "filler"));
      makeVolume(full, wiki, options);
      expect(readOptions(full, wiki)).toEqual(options);
    } finally {
      spawnSync("umount", [small]);
    }
  });
});
