// The end of removed volumes: programs and their arguments, links, mounts, and what a stop leaves.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { ChildProcess } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { eventually, startChild, stopChild } from "../../../test/support/child.ts";
import { failureOf } from "../../../test/support/engine-bench.ts";
import { as, idOf, type TrashBench, trashBench } from "../../../test/support/local-trash-bench.ts";
import { whenPossible } from "../../../test/support/needs.ts";
import { testOperation } from "../../../test/support/operation.ts";
import { EngineError } from "../../core/errors.ts";
import { parseVolumeName, type TrashId } from "../../core/names.ts";
import { linuxHost } from "../../host/linux.ts";
import { programMissing } from "../../host/programs.ts";

const operation = testOperation();
const wiki = parseVolumeName("wiki");
let bench: TrashBench;
let root: string;
beforeEach(() => {
  bench = trashBench();
  ({ root } = bench);
});
afterEach(() => bench.close());

describe("purge", () => {
  test("of a volume with options that was never used needs no program either", async () => {
    const { driver, trash } = bench.open();
    const name = parseVolumeName("with-options");
    const options = { type: "tmpfs", device: "tmpfs" };
    await driver.create({ name, options }, operation);
    await trash.retire(name, as(idOf(1)), operation);
    await trash.describe(idOf(1), "more", operation);
    writeFileSync(join(root, "trash", idOf(1), "retired.json.new"), "cut off");
    expect(readdirSync(join(root, "trash", idOf(1)))).toHaveLength(4);
    await trash.purge([idOf(1)], operation);
    expect(bench.programs).toEqual([]);
    expect(bench.inTrash()).toEqual([]);
  });

  test("leaves to rm what lies beside the data, and what cannot be seen to be empty", async () => {
    const ids = [await bench.retired(1, false), await bench.retired(2, false)];
    writeFileSync(join(root, "trash", idOf(1), "notes"), "");
    const data = join(root, "trash", idOf(2), "_data");
    // tmpfs: 20 bytes for each entry, and all of them are gone again on other file systems.
    for (let index = 0; index < 4_000; index += 1) writeFileSync(join(data, `${index}`), "");
    const shown = { directory: "/x", target: "/y", pid: 1, container: null };
    const shows = async () => ({ mounts: [shown], isWhole: true });
    const refusing = bench.open({ mountsBelow: shows }).trash.purge(ids, operation);
    expect((await failureOf(refusing)).code).toBe("volume.in_use");
    expect(bench.inTrash()).toEqual(ids);
    await bench.open().trash.purge(ids, operation);
    expect(bench.programs).toHaveLength(1);
    expect(bench.inTrash()).toEqual([]);
  });

  test("what a mount still shows is refused before it is given up, too", async () => {
    const ids = [await bench.retired(1)];
    const shown = { directory: "/x", target: "/y", pid: 1, container: null };
    const { trash } = bench.open({
      mountsBelow: async () => ({ mounts: [shown], isWhole: true }),
    });
    const refusing = trash.refuseShown?.(ids, operation) ?? Promise.resolve();
    expect((await failureOf(refusing)).code).toBe("volume.in_use");
    await bench.open().trash.refuseShown?.(ids, operation);
  });

  test("runs without setpriv and ionice, where the machine has none", async () => {
    const { run } = linuxHost();
    const { trash } = bench.open({
      async run(program, args, inner, pace) {
        if (program === "setpriv") throw programMissing(program);
        return await run(program, args, inner, pace);
      },
    });
    await trash.purge([await bench.retired(1)], operation);
    expect(bench.programs.map(([program]) => program)).toEqual(["setpriv", "nice"]);
    expect(bench.inTrash()).toEqual([]);
  });

  test("needs no program for what is empty", async () => {
    const ids = [await bench.retired(1, false), await bench.retired(2, false)];
    await bench.open().trash.purge(ids, operation);
    expect(bench.programs).toEqual([]);
    expect(bench.inTrash()).toEqual([]);
  });

  test("gives everything else to few programs, by exact arguments", async () => {
    const ids: TrashId[] = [];
    for (let index = 0; index < 70; index++) ids.push(await bench.retired(index));
    await bench.open().trash.purge(ids, operation);
    expect(bench.programs.map((words) => words.length)).toEqual([15 + 64, 15 + 6]);
    expect(bench.programs[0]?.slice(0, 15)).toEqual([
      ...["setpriv", "--pdeathsig", "KILL", "ionice", "-t", "-c", "3", "nice", "-n", "19"],
      ...["rm", "--recursive", "--force", "--one-file-system", "--"],
    ]);
    expect(bench.inTrash()).toEqual([]);
  });

  test("follows no link, at the top or below", async () => {
    const outside = join(root, "outside");
    mkdirSync(outside);
    writeFileSync(join(outside, "file"), "somebody else's");
    const id = await bench.retired(1);
    symlinkSync(outside, join(root, "trash", id, "_data", "link"));
    symlinkSync(outside, join(root, "trash", idOf(2)));
    await bench.open().trash.purge([id, idOf(2)], operation);
    expect(bench.inTrash()).toEqual([]);
    expect(readFileSync(join(outside, "file"), "utf8")).toBe("somebody else's");
  });

  test("says what the program says when it fails", async () => {
    const id = await bench.retired(1);
    const { trash } = bench.open({
      run: async () => ({ exitCode: 1, stdout: "", stderr: "rm: no way\n" }),
    });
    const { code, message } = await failureOf(trash.purge([id], operation));
    expect([code, message]).toEqual([
      "storage.failed",
      "error while purging removed volumes: rm: no way",
    ]);
    expect(bench.inTrash()).toEqual([`${id}.purging`]);
    await bench.open().trash.purge([id], operation);
    expect(bench.inTrash()).toEqual([]);
  });

  test("goes nowhere near a removed volume in which somebody has mounted something", async () => {
    const ids = [await bench.retired(1), await bench.retired(2)];
    const target = join(root, "trash", idOf(2), "_data", "planted");
    const [line] = linuxHost().mounts();
    if (line === undefined) throw new Error("this machine has no mounts");
    const { trash } = bench.open({ mounts: () => [{ ...line, target }] });
    const { code, message } = await failureOf(trash.purge(ids, operation));
    expect(code).toBe("volume.in_use");
    expect(message).toContain(target);
    expect(bench.programs).toEqual([]);
    await trash.purge(ids.slice(0, 1), operation);
    expect(bench.inTrash()).toEqual([idOf(2)]);
  });

  test("of what is not there succeeds", async () => {
    await bench.open().trash.purge([idOf(9)], operation);
    expect(bench.programs).toEqual([]);
  });

  test("that somebody waits for has no rests", async () => {
    const id = await bench.retired(1);
    const { run } = linuxHost();
    let isUrgent: boolean | undefined;
    const { trash } = bench.open({
      run: (program, args, options, pace) => {
        isUrgent = pace?.isUrgent?.();
        return run(program, args, options);
      },
    });
    await trash.purge([id], operation, () => true);
    expect(isUrgent).toBe(true);
    expect(bench.inTrash()).toEqual([]);
  });
});

describe("a purge that was cut short", () => {
  test("before the first byte is purged on, whole or not", async () => {
    const id = await bench.retired(1);
    renameSync(join(root, "trash", id), join(root, "trash", `${id}.purging`));
    await bench.open().trash.purge([id], operation);
    expect(bench.inTrash()).toEqual([]);
  });

  test("between the steps for an empty one needs no program", async () => {
    const id = await bench.retired(1, false);
    const place = join(root, "trash", `${id}.purging`);
    renameSync(join(root, "trash", id), place);
    rmdirSync(join(place, "_data"));
    await bench.open().trash.purge([id], operation);
    expect(bench.programs).toEqual([]);
    expect(bench.inTrash()).toEqual([]);
  });

  test("of one of which there is a whole one as well takes both", async () => {
    for (const [index, isFilled] of [true, false].entries()) {
      const id = await bench.retired(index, isFilled);
      mkdirSync(join(root, "trash", `${id}.purging`, "_data"), { recursive: true });
      writeFileSync(join(root, "trash", `${id}.purging`, "_data", "half"), "");
      await bench.open().trash.purge([id], operation);
      expect(bench.inTrash()).toEqual([]);
      mkdirSync(join(root, "trash", `${id}.purging`));
      await bench.retired(index, isFilled);
      await bench.open().trash.purge([id], operation);
      expect(bench.inTrash()).toEqual([]);
    }
  });

  test("by the end of the program, in the middle of a tree", async () => {
    const id = await bench.retired(1);
    const stop = new AbortController();
    let words: readonly string[] = [];
    const { trash } = bench.open({
      run: (_program, args, { signal }) => {
        words = args;
        rmSync(join(root, "trash", `${id}.purging`, "retired.json"));
        stop.abort(new EngineError("engine.stopping", "the daemon is shutting down"));
        return Promise.reject(signal.reason);
      },
    });
    const { code } = await failureOf(trash.purge([id], testOperation(stop.signal)));
    expect(code).toBe("engine.stopping");
    expect(words.at(-1)).toBe(join(root, "trash", `${id}.purging`));
    const [left] = await Array.fromAsync(bench.open().trash.list(operation));
    expect(left).toMatchObject({ id, isPurging: true, description: null });
    expect(await failureOf(trash.restore(id, wiki, operation))).toMatchObject({
      code: "trash.purging",
    });
    await bench.open().trash.purge([id], operation);
    expect(bench.inTrash()).toEqual([]);
  });
});

describe("what a container in a mount namespace of its own still has", () => {
  const needs = ["root", "unshare"] as const;
  let child: ChildProcess | undefined;
  afterEach(async () => {
    child?.stdin?.end();
    if (child !== undefined) await stopChild(child);
    child = undefined;
  });

  /** A namespace in which the data of volume `volume-1` is at another place. */
  async function holdElsewhere(): Promise<void> {
    const data = join(root, "volumes", "volume-1", "_data");
    mkdirSync(data, { recursive: true });
    mkdirSync(join(root, "at"));
    const script = 'mount --bind "$1" "$2" && touch "$2/file" && exec cat';
    const words = ["--mount", "--propagation", "private", "sh", "-c", script, "sh"];
    child = startChild("unshare", [...words, data, join(root, "at")]);
    await eventually(() => (existsSync(join(data, "file")) ? true : undefined), {
      timeoutMs: 10_000,
      otherwise: () => "the namespace has not come about",
    });
  }

  whenPossible(needs, "is not purged, nor what was given with it", async () => {
    await holdElsewhere();
    const ids = [await bench.retired(1), await bench.retired(2)];
    const { code, message, details } = await failureOf(bench.open().trash.purge(ids, operation));
    expect(code).toBe("volume.in_use");
    expect(message).toMatch(/^process \d+ still has .* at /);
    expect(details).toMatchObject({ paths: [join(root, "trash", idOf(1))] });
    const looking = bench.open().trash.refuseShown?.(ids, operation) ?? Promise.resolve();
    expect((await failureOf(looking)).code).toBe("volume.in_use");
    await bench.open().trash.refuseShown?.(ids.slice(1), operation);
    expect(bench.programs).toEqual([]);
    expect(bench.inTrash()).toEqual(ids);
    await bench.open().trash.purge(ids.slice(1), operation);
    child?.stdin?.end();
    if (child !== undefined) await stopChild(child);
    await bench.open().trash.purge(ids, operation);
    expect(bench.inTrash()).toEqual([]);
  });

  whenPossible(needs, "is not destroyed, and stays a volume", async () => {
    await holdElsewhere();
    const { driver } = bench.open();
    const name = parseVolumeName("volume-1");
    const { code } = await failureOf(driver.destroy(name, operation));
    expect(code).toBe("volume.in_use");
    expect((await driver.get(name, operation)).state).toBe("found");
    expect(bench.inTrash()).toEqual([]);
  });

  test("is passed over where no namespace can be looked into", async () => {
    const { trash } = bench.open({ mountsBelow: async () => ({ mounts: [], isWhole: false }) });
    await trash.purge([await bench.retired(1)], operation);
    expect(bench.inTrash()).toEqual([]);
  });

  test("is looked for once for many, and not at all for what is empty", async () => {
    const asked: (readonly string[])[] = [];
    const { trash } = bench.open({
      async mountsBelow(directories) {
        asked.push(directories);
        return { mounts: [], isWhole: true };
      },
    });
    const ids = [await bench.retired(1), await bench.retired(2, false), await bench.retired(3)];
    await trash.refuseShown?.(ids, operation);
    expect(asked).toHaveLength(1);
    await trash.purge(ids, operation);
    expect(asked).toHaveLength(2);
    expect(asked[1]).toEqual(asked[0] ?? []);
    expect(asked[0]).toContain(join(root, "trash", idOf(3)));
    expect(asked[0]).not.toContain(join(root, "trash", idOf(2)));
    const empty = [await bench.retired(4, false)];
    await trash.refuseShown?.(empty, operation);
    await trash.purge(empty, operation);
    expect(asked).toHaveLength(2);
  });
});
