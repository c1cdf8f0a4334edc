// The trash of `local`: out of sight by a rename, back by another, destroyed without following
// links.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { failureOf } from "../../../test/support/engine-bench.ts";
import type { TrashCapable, VolumeDriver } from "../../core/driver.ts";
import type { Host } from "../../core/host.ts";
import { makeOperationId, makeTrashId, parseVolumeName, type TrashId } from "../../core/names.ts";
import { type Operation, silentLog, systemCaller } from "../../core/operation.ts";
import { linuxHost } from "../../host/linux.ts";
import { localDriver } from "./driver.ts";

const operation: Operation = {
  id: makeOperationId("test"),
  caller: systemCaller,
  signal: new AbortController().signal,
  log: silentLog,
};
const wiki = parseVolumeName("wiki");

let root: string;
let programs: (readonly string[])[];
beforeEach(() => {
  root = mkdtempSync("/dev/shm/holdfast-trash-");
  programs = [];
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function idOf(index: number): TrashId {
  return makeTrashId(index.toString(16).padStart(16, "0"));
}

function open(
  run?: Host["run"],
  change: Partial<Host> = {},
): { readonly driver: VolumeDriver; readonly trash: TrashCapable } {
  const host = { ...linuxHost(), ...change };
  const noted: Host["run"] = (program, args, inner) => {
    programs.push([program, ...args]);
    return (run ?? host.run)(program, args, inner);
  };
  const driver = localDriver({ root, host: { ...host, run: noted } });
  if (driver.trash === undefined) throw new Error("local has a trash");
  return { driver, trash: driver.trash };
}

/** Makes a volume, with a file in it unless it shall be empty, and retires it. */
async function retired(index: number, isFilled = true): Promise<TrashId> {
  const { driver, trash } = open();
  const name = parseVolumeName(`volume-${index}`);
  await driver.create({ name, options: {} }, operation);
  if (isFilled) writeFileSync(join(root, "volumes", name, "_data", "file"), "data");
  await trash.retire(name, idOf(index), operation);
  return idOf(index);
}

describe("retire and restore", () => {
  test("move the directory as it is, there and back", async () => {
    const { driver, trash } = open();
    const { identity } = await driver.create({ name: wiki, options: { size: "0" } }, operation);
    const file = join(root, "volumes", "wiki", "_data", "file");
    writeFileSync(file, "data");
    await trash.retire(wiki, idOf(1), operation);
    await trash.retire(wiki, idOf(1), operation);
    expect(existsSync(join(root, "volumes", "wiki"))).toBe(false);
    expect(await Array.fromAsync(trash.list(operation))).toEqual([{ id: idOf(1), identity }]);
    await trash.restore(idOf(1), wiki, operation);
    await trash.restore(idOf(1), wiki, operation);
    expect(readFileSync(file, "utf8")).toBe("data");
    const presence = await driver.get(wiki, operation);
    expect(presence).toMatchObject({ record: { identity, options: { size: "0" } } });
  });

  test("a name that is taken is not restored over", async () => {
    const { driver, trash } = open();
    await driver.create({ name: wiki, options: {} }, operation);
    await trash.retire(wiki, idOf(1), operation);
    await driver.create({ name: wiki, options: {} }, operation);
    const { code } = await failureOf(trash.restore(idOf(1), wiki, operation));
    expect(code).toBe("volume.exists_differently");
    expect(readdirSync(join(root, "trash"))).toEqual([idOf(1)]);
  });
});

describe("volumes/ or trash/ swapped for a link while it runs", () => {
  function swap(name: "volumes" | "trash"): string {
    const outside = join(root, "outside");
    renameSync(join(root, name), outside);
    symlinkSync(outside, join(root, name));
    return outside;
  }

  test("a removal moves and deletes nothing there", async () => {
    const { driver, trash } = open();
    await driver.create({ name: wiki, options: {} }, operation);
    const file = join(swap("volumes"), "wiki", "_data", "file");
    writeFileSync(file, "somebody else's");
    const { code } = await failureOf(trash.retire(wiki, idOf(1), operation));
    expect(code).toBe("volume.data_foreign");
    expect(await failureOf(driver.destroy(wiki, operation))).toMatchObject({ code });
    expect(readFileSync(file, "utf8")).toBe("somebody else's");
  });

  test("nothing is moved into a trash that leads elsewhere, or destroyed there", async () => {
    const { driver, trash } = open();
    await driver.create({ name: wiki, options: {} }, operation);
    const ids = [await retired(1), await retired(2, false)];
    const outside = swap("trash");
    const code = "volume.data_foreign";
    expect(await failureOf(trash.retire(wiki, idOf(3), operation))).toMatchObject({ code });
    expect(await failureOf(trash.purge(ids, operation))).toMatchObject({ code });
    const back = trash.restore(idOf(1), parseVolumeName("back"), operation);
    expect(await failureOf(back)).toMatchObject({ code });
    expect(readdirSync(outside).sort()).toEqual([...ids]);
    expect(readdirSync(join(root, "volumes"))).toEqual(["wiki"]);
  });
});

describe("purge", () => {
  test("needs no program for what is empty", async () => {
    const ids = [await retired(1, false), await retired(2, false)];
    await open().trash.purge(ids, operation);
    expect(programs).toEqual([]);
    expect(readdirSync(join(root, "trash"))).toEqual([]);
  });

  test("gives everything else to few programs, by exact arguments", async () => {
    const ids: TrashId[] = [];
    for (let index = 0; index < 70; index++) ids.push(await retired(index));
    await open().trash.purge(ids, operation);
    expect(programs.map((words) => words.length)).toEqual([5 + 64, 5 + 6]);
    expect(programs[0]?.slice(0, 4)).toEqual(["rm", "--recursive", "--force", "--one-file-system"]);
    expect(readdirSync(join(root, "trash"))).toEqual([]);
  });

  test("follows no link, at the top or below", async () => {
    const outside = join(root, "outside");
    mkdirSync(outside);
    writeFileSync(join(outside, "file"), "somebody else's");
    const id = await retired(1);
    symlinkSync(outside, join(root, "trash", id, "_data", "link"));
    symlinkSync(outside, join(root, "trash", idOf(2)));
    await open().trash.purge([id, idOf(2)], operation);
    expect(readdirSync(join(root, "trash"))).toEqual([]);
    expect(readFileSync(join(outside, "file"), "utf8")).toBe("somebody else's");
  });

  test("says what the program says when it fails", async () => {
    const id = await retired(1);
    const { trash } = open(async () => ({ exitCode: 1, stdout: "", stderr: "rm: no way\n" }));
    const { code, message } = await failureOf(trash.purge([id], operation));
    expect([code, message]).toEqual([
      "storage.failed",
      "error while purging removed volumes: rm: no way",
    ]);
    expect(readdirSync(join(root, "trash"))).toEqual([id]);
  });

  test("goes nowhere near a removed volume in which somebody has mounted something", async () => {
    const ids = [await retired(1), await retired(2)];
    const target = join(root, "trash", idOf(2), "_data", "planted");
    const [line] = linuxHost().mounts();
    if (line === undefined) throw new Error("this machine has no mounts");
    const { trash } = open(undefined, { mounts: () => [{ ...line, target }] });
    const { code, message } = await failureOf(trash.purge(ids, operation));
    expect(code).toBe("volume.in_use");
    expect(message).toContain(target);
    expect(programs).toEqual([]);
    await trash.purge(ids.slice(0, 1), operation);
    expect(readdirSync(join(root, "trash"))).toEqual([idOf(2)]);
  });

  test("of what is not there succeeds", async () => {
    await open().trash.purge([idOf(9)], operation);
    expect(programs).toEqual([]);
  });
});

test("the list leaves out what is no removed volume", async () => {
  const id = await retired(1);
  writeFileSync(join(root, "trash", "notes"), "");
  writeFileSync(join(root, "trash", idOf(2)), "");
  symlinkSync("/etc", join(root, "trash", idOf(3)));
  const listed = await Array.fromAsync(open().trash.list(operation));
  expect(listed.map((each) => each.id)).toEqual([id]);
});
