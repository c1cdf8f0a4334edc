// Steps on storage: what is made has a mark, what is another's stays, and nothing leads out.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../test/support/driver-benches.ts";
import { whenPossible } from "../../test/support/needs.ts";
import { testOperation } from "../../test/support/operation.ts";
import { EngineError } from "../core/errors.ts";
import type { StorageStep } from "../core/storage-step.ts";
import { linuxHost } from "./linux.ts";
import { storageStep, takeStep } from "./storage-step.ts";

let folder: string;
let root: string;

beforeEach(() => {
  folder = temporaryFolder("steps");
  root = join(folder, "root");
  mkdirSync(root);
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const take = (...steps: StorageStep[]) => steps.map((step) => takeStep(root, step));

function failureOf(work: () => unknown): EngineError {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof EngineError) return thrown;
    throw thrown;
  }
  throw new Error("it must throw");
}

describe("make", () => {
  test("makes what is missing, with a mark beside it", () => {
    const [outcome] = take({ do: "make", path: "a/b/c", mark: "mine" });
    expect(outcome).toEqual({ made: ["a", "a/b", "a/b/c"] });
    for (const mark of [".holdfast-a", "a/.holdfast-b", "a/b/.holdfast-c"]) {
      expect(readFileSync(join(root, mark), "utf8")).toBe("mine\n");
    }
    expect(readdirSync(join(root, "a/b/c"))).toEqual([]);
  });

  test("whoever finds a directory takes its mark away: it is nobody's to destroy", () => {
    take({ do: "make", path: "c", mark: "mine" });
    expect(take({ do: "make", path: "c", mark: "theirs" })).toEqual([{ made: [] }]);
    expect(readdirSync(root)).toEqual(["c"]);
    expect(take({ do: "remove", path: "c", mark: "mine" })).toEqual([{ isOurs: false }]);
    expect(existsSync(join(root, "c"))).toBe(true);
  });

  test("whoever makes one in it, too", () => {
    take({ do: "make", path: "a/c", mark: "mine" });
    const [outcome] = take({ do: "make", path: "a/c/deep/d", mark: "theirs" });
    expect(outcome).toEqual({ made: ["a/c/deep", "a/c/deep/d"] });
    expect(take({ do: "remove", path: "a/c", mark: "mine" })).toEqual([{ isOurs: false }]);
    expect(existsSync(join(root, "a/c/deep/d"))).toBe(true);
    expect(take({ do: "remove", path: "a/c/deep/d", mark: "theirs" })).toEqual([{ isOurs: true }]);
  });

  test("a mark without its directory says that somebody may have it", () => {
    writeFileSync(join(root, ".holdfast-c"), "theirs\n");
    expect(take({ do: "make", path: "c", mark: "mine" })).toEqual([{ made: [] }]);
    expect(readdirSync(root)).toEqual(["c"]);
  });

  test("without a mark what it makes is nobody's", () => {
    expect(take({ do: "make", path: "b/c", mark: null })).toEqual([{ made: ["b"] }]);
    expect(readdirSync(root, { recursive: true }).toSorted()).toEqual(["b", "b/c"]);
    take({ do: "unmake", made: ["b", "b/c"], mark: "" });
    expect(readdirSync(root)).toEqual([]);
  });

  test("a file in its place stays", () => {
    writeFileSync(join(root, "c"), "precious");
    const { details } = failureOf(() => take({ do: "make", path: "c", mark: "mine" }));
    expect(details).toMatchObject({ step: "make", errno: "ENOTDIR" });
    expect(readFileSync(join(root, "c"), "utf8")).toBe("precious");
    expect(readdirSync(root)).toEqual(["c"]);
  });

  test.each(["link", "link/below", "../outside"])("%s leads nowhere", async (path) => {
    mkdirSync(join(folder, "outside"));
    symlinkSync("../outside", join(root, "link"));
    const call = { directory: root, input: { steps: [{ do: "make", path, mark: "mine" }] } };
    await expect(storageStep(call)).rejects.toThrow();
    expect(readdirSync(join(folder, "outside"))).toEqual([]);
  });
});

describe("unmake", () => {
  test("takes back what was made, and its mark", () => {
    const [outcome] = take({ do: "make", path: "a/b", mark: "mine" });
    take({ do: "unmake", made: outcome?.made ?? [], mark: "mine" });
    expect(readdirSync(root)).toEqual([]);
  });

  test("leaves what somebody has put there meanwhile", () => {
    const [outcome] = take({ do: "make", path: "a/b", mark: "mine" });
    writeFileSync(join(root, "a/b/data"), "precious");
    take({ do: "unmake", made: outcome?.made ?? [], mark: "mine" });
    expect(readFileSync(join(root, "a/b/data"), "utf8")).toBe("precious");
    expect(readdirSync(join(root, "a"))).toEqual(["b"]);
  });
});

describe("probe", () => {
  test("leaves nothing", () => {
    mkdirSync(join(root, "c"));
    take({ do: "probe", path: "c", name: ".probe" }, { do: "probe", path: "", name: ".probe" });
    expect(readdirSync(root, { recursive: true })).toEqual(["c"]);
  });

  test("says at what it failed, and replaces nothing", () => {
    writeFileSync(join(root, ".probe"), "precious");
    const { details } = failureOf(() => take({ do: "probe", path: "", name: ".probe" }));
    expect(details).toMatchObject({ step: "write", errno: "EEXIST" });
  });
});

describe("remove", () => {
  test("removes what has our mark, with all that is in it, and follows no link", () => {
    mkdirSync(join(folder, "outside"));
    writeFileSync(join(folder, "outside/precious"), "precious");
    take({ do: "make", path: "a/c", mark: "mine" });
    mkdirSync(join(root, "a/c/d/e"), { recursive: true });
    writeFileSync(join(root, "a/c/d/file"), "data");
    writeFileSync(Buffer.from(`${root}/a/c/\xff`, "latin1"), "no text");
    symlinkSync("../../../outside", join(root, "a/c/link"));
    symlinkSync("nowhere", join(root, "a/c/d/dangling"));
    expect(take({ do: "remove", path: "a/c", mark: "mine" })).toEqual([{ isOurs: true }]);
    expect(readdirSync(root, { recursive: true })).toEqual([]);
    expect(readdirSync(join(folder, "outside"))).toEqual(["precious"]);
  });

  test("removes those above that it made and that are empty, and no others", () => {
    mkdirSync(join(root, "old"));
    take({ do: "make", path: "old/a/b/c", mark: "mine" });
    take({ do: "remove", path: "old/a/b/c", mark: "mine" });
    expect(readdirSync(root, { recursive: true })).toEqual(["old"]);

    take({ do: "make", path: "old/a/b/c", mark: "mine" });
    writeFileSync(join(root, "old/a/notes"), "precious");
    take({ do: "remove", path: "old/a/b/c", mark: "mine" });
    expect(readdirSync(root, { recursive: true }).toSorted()).toEqual([
      ...["old", "old/a", "old/a/notes"],
    ]);
  });

  test.each([
    ["as its directory", "a"],
    ["for a directory below", "a/x"],
  ])("leaves those above that somebody else has come to use, %s", (_, path) => {
    take({ do: "make", path: "a/b/c", mark: "mine" });
    take({ do: "make", path, mark: "theirs" });
    if (path !== "a") take({ do: "remove", path, mark: "theirs" });
    take({ do: "remove", path: "a/b/c", mark: "mine" });
    expect(readdirSync(root, { recursive: true })).toEqual(["a"]);
  });

  test("leaves what has no mark, another's, or a link for one", () => {
    mkdirSync(join(root, "c"));
    const remove = () => take({ do: "remove", path: "c", mark: "mine" });
    expect(remove()).toEqual([{ isOurs: false }]);
    writeFileSync(join(root, ".holdfast-c"), "mine too\n");
    expect(remove()).toEqual([{ isOurs: false }]);
    rmSync(join(root, ".holdfast-c"));
    writeFileSync(join(folder, "mark"), "mine\n");
    symlinkSync("../mark", join(root, ".holdfast-c"));
    expect(remove()).toEqual([{ isOurs: false }]);
    expect(existsSync(join(root, "c"))).toBe(true);
  });

  test("never the storage itself", () => {
    expect(take({ do: "remove", path: "", mark: "mine" })).toEqual([{ isOurs: false }]);
  });

  whenPossible(["root", "mount"], "enters no other mount", async () => {
    const host = linuxHost();
    take({ do: "make", path: "c", mark: "mine" });
    mkdirSync(join(root, "c/inside"));
    mkdirSync(join(folder, "other"));
    writeFileSync(join(folder, "other/precious"), "precious");
    const target = join(root, "c/inside");
    const request = { type: "", device: join(folder, "other"), target, options: "bind" };
    await host.mount(request, testOperation());
    try {
      expect(
        failureOf(() => take({ do: "remove", path: "c", mark: "mine" })).details,
      ).toMatchObject({
        errno: "EXDEV",
      });
      expect(readdirSync(join(folder, "other"))).toEqual(["precious"]);
    } finally {
      await host.unmount(target, testOperation());
    }
  });
});

test("a helper process does the same, and its failures come with their details", async () => {
  const host = linuxHost();
  const ask = (input: StorageStep) =>
    host.assist({ command: "storage-step", directory: root, input }, testOperation());
  expect(await ask({ do: "make", path: "a", mark: "mine" })).toEqual({ made: ["a"] });
  writeFileSync(join(root, "file"), "");
  const [outcome] = await Promise.allSettled([ask({ do: "probe", path: "file", name: ".p" })]);
  if (outcome.status === "fulfilled") throw new Error("it must fail");
  expect(outcome.reason).toMatchObject({
    code: "storage.failed",
    details: { step: "write", errno: "ENOTDIR" },
  });
});

test("what is no step is refused", async () => {
  for (const step of [{}, { do: "format" }, { do: "make" }, { do: "make", path: "a//b" }]) {
    const call = { directory: root, input: step };
    await expect(storageStep(call)).rejects.toThrow(/no step/);
  }
});
