// What an archive describes is what was made of it, whoever puts something else there meanwhile.
import { afterEach, beforeEach, expect } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { whenPossible } from "../../test/support/needs.ts";
import { type TarPart, tarOf } from "../../test/support/tar-maker.ts";
import { TarReader } from "../core/tar-reader.ts";
import { LayerWriter } from "./layer-writer.ts";
import { type FileCalls, loadFileCalls } from "./libc-files.ts";

/** Somebody in a container who may write to a part of the tree. */
const SOMEBODY = 1234;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync("/dev/shm/holdfast-writer-");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Somebody's own program, which is put in the place of whatever has just been made. */
function someonesProgram(): { readonly file: string; readonly putAt: (path: Uint8Array) => void } {
  const file = join(folder, "program");
  writeFileSync(file, "#!/bin/sh\n");
  chownSync(file, SOMEBODY, SOMEBODY);
  chmodSync(file, 0o700);
  return {
    file,
    putAt(path) {
      const place = Buffer.from(path).toString("utf8").slice(0, -1);
      renameSync(place, `${place}.away`);
      renameSync(file, place);
    },
  };
}

function unpack(calls: FileCalls, ...parts: readonly TarPart[]): unknown {
  const rules = {
    pathOf: ({ name }: { readonly name: string }) => `${folder.slice(1)}/tree/${name}`,
    described: <Entry>(entry: Entry) => entry,
  };
  const limits = { bytesMax: 1_000_000, entryCountMax: 100 };
  const reader = new TarReader(new LayerWriter(calls, rules), limits);
  try {
    reader.push(tarOf(...parts));
    return undefined;
  } catch (thrown) {
    return thrown;
  }
}

whenPossible(["root"], "a directory's owner and mode are given to no program of somebody", () => {
  mkdirSync(join(folder, "tree"));
  const { file, putAt } = someonesProgram();
  const real = loadFileCalls();
  const makeDirectory: FileCalls["makeDirectory"] = (path, mode) => {
    real.makeDirectory(path, mode);
    if (existsSync(file)) putAt(path);
  };
  const part = { name: "sub", type: "5", mode: 0o6755, userId: 0, groupId: 0 };
  expect(unpack({ ...real, makeDirectory }, part)).toBeInstanceOf(Error);
  const { uid, gid, mode } = statSync(join(folder, "tree/sub"));
  expect([uid, gid, mode & 0o7777]).toEqual([SOMEBODY, SOMEBODY, 0o700]);
});

whenPossible(["root"], "a link's owner is given to nothing else", () => {
  mkdirSync(join(folder, "tree"));
  const { file, putAt } = someonesProgram();
  const real = loadFileCalls();
  const makeSymlink: FileCalls["makeSymlink"] = (target, path) => {
    real.makeSymlink(target, path);
    if (existsSync(file)) putAt(path);
  };
  const part = { name: "link", type: "2", linkName: "x", userId: 77, groupId: 77 };
  expect(unpack({ ...real, makeSymlink }, part)).toBeInstanceOf(Error);
  expect(statSync(join(folder, "tree/link")).uid).toBe(SOMEBODY);
});
