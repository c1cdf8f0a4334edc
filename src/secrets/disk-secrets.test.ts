// Secrets on disk: sealed, whole or not at all, and readable only with the key that sealed them.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { temporaryDirectory } from "../../test/support/daemon.ts";
import { failureOf, type LogLine } from "../../test/support/engine-bench.ts";
import { testOperation } from "../../test/support/operation.ts";
import { type Log, silentLog } from "../core/operation.ts";
import { SECRET_BYTES_MAX, type SecretStore, SecretValue } from "../core/secret-store.ts";
import { openSecrets } from "./disk-secrets.ts";

let folder: string;
let root: string;
let keyPath: string;
let nowMs: number;
beforeEach(() => {
  folder = temporaryDirectory();
  root = join(folder, "root");
  keyPath = join(folder, "etc", "holdfast", "secret.key");
  nowMs = 1_000;
  mkdirSync(root);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const operation = testOperation();
let hexCount = 0;

function opened(log: Log = silentLog, key = keyPath): SecretStore {
  const randomHex = () => `${++hexCount}`.padStart(16, "0");
  return openSecrets({ root, keyPath: key, log, host: { nowMs: () => nowMs, randomHex } });
}

function value(text: string): SecretValue {
  return new SecretValue(new TextEncoder().encode(text));
}

function put(store: SecretStore, name: string, text: string, mayReplace = false) {
  return store.put(name, value(text), { mayReplace }, operation);
}

async function textOf(store: SecretStore, name: string): Promise<string> {
  return (await store.read(name)).revealText();
}

function fileOf(name: string): string {
  return join(root, "secrets", name);
}

describe("a secret", () => {
  test("is kept over lives, sealed, for its owner alone", async () => {
    const first = opened();
    expect(await put(first, "nas", "hunter2\n")).toEqual({
      ...{ name: "nas", createdAtMs: 1_000, updatedAtMs: 1_000 },
      ...{ problem: null, wasReplaced: false },
    });
    const bytes = new SecretValue(new Uint8Array(SECRET_BYTES_MAX).fill(255));
    await first.put("big", bytes, { mayReplace: false }, operation);
    const next = opened();
    expect(next.list().map(({ name }) => name)).toEqual(["big", "nas"]);
    expect(await textOf(next, "nas")).toBe("hunter2");
    expect((await next.read("big")).reveal()).toEqual(Buffer.from(bytes.reveal()));
    for (const [path, mode] of [
      [join(root, "secrets"), 0o700],
      [fileOf("nas"), 0o600],
      [keyPath, 0o600],
    ] as const) {
      expect([path, lstatSync(path).mode & 0o777]).toEqual([path, mode]);
    }
    const text = readFileSync(fileOf("nas"), "utf8");
    expect(text).not.toContain("hunter2");
    expect(text).not.toContain(Buffer.from("hunter2").toString("base64").slice(0, 8));
    // Equal values are not seen to be equal.
    await put(next, "other", "hunter2\n");
    const sealedOf = (name: string) => JSON.parse(readFileSync(fileOf(name), "utf8")).sealed;
    expect(sealedOf("other")).not.toBe(sealedOf("nas"));
  });

  test("is replaced where that is wanted, and removed", async () => {
    const store = opened();
    await put(store, "nas", "one");
    expect((await failureOf(put(store, "nas", "two"))).code).toBe("secret.exists");
    nowMs = 2_000;
    expect(await put(store, "nas", "two", true)).toMatchObject({
      ...{ createdAtMs: 1_000, updatedAtMs: 2_000, wasReplaced: true },
    });
    expect(await textOf(opened(), "nas")).toBe("two");
    await store.remove("nas", operation);
    expect(readdirSync(join(root, "secrets"))).toEqual([]);
    expect((await failureOf(store.remove("nas", operation))).code).toBe("secret.not_found");
    expect((await failureOf(store.read("nas"))).code).toBe("secret.not_found");
  });

  test("has one of the values when many replace it at once", async () => {
    const store = opened();
    const texts = Array.from({ length: 50 }, (_, index) => `value ${index}`);
    const puts = texts.map((text) => put(store, "nas", text, true));
    while (store.list().length === 0) await Bun.sleep(0);
    expect(texts).toContain(await textOf(store, "nas"));
    const outcomes = await Promise.all(puts);
    expect(outcomes.filter(({ wasReplaced }) => !wasReplaced)).toHaveLength(1);
    expect(await textOf(store, "nas")).toBe("value 49");
    expect(readdirSync(join(root, "secrets"))).toEqual(["nas"]);
  });

  test.each([
    ["a/b", "x", "the name of a secret"],
    ["..", "x", "the name of a secret"],
    ["", "x", "the name of a secret"],
    ["a".repeat(256), "x", "the name of a secret"],
    ["ok", "", "empty"],
    ["ok", "x".repeat(SECRET_BYTES_MAX + 1), "at most 65536"],
  ])("%p is refused", async (name, text, words) => {
    const failure = await failureOf(put(opened(), name, text));
    expect([failure.code, failure.message]).toEqual([
      "secret.invalid",
      expect.stringContaining(words),
    ]);
    expect(existsSync(join(root, "secrets"))).toBe(false);
    expect(existsSync(keyPath)).toBe(false);
  });

  test("is printed by nothing", () => {
    const secret = value("hunter2");
    const printed = [`${secret}`, JSON.stringify({ secret }), inspect({ secret }), String(secret)];
    expect(printed.filter((text) => text.includes("hunter2"))).toEqual([]);
  });
});

/** A log that is kept. */
function keptLog(): { readonly lines: LogLine[]; readonly log: Log } {
  const lines: LogLine[] = [];
  const warn = (message: string, fields: LogLine["fields"] = {}) =>
    void lines.push({ level: "warn", message, fields });
  return { lines, log: { ...silentLog, warn } };
}

describe("what cannot be read", () => {
  test("a file under another name, with another time, or with a bit that is another", async () => {
    const store = opened();
    await put(store, "nas", "hunter2");
    const text = readFileSync(fileOf("nas"), "utf8");
    const sealed: string = JSON.parse(text).sealed;
    const flipped = `${sealed.startsWith("A") ? "B" : "A"}${sealed.slice(1)}`;
    copyFileSync(fileOf("nas"), fileOf("moved"));
    const damaged: Readonly<Record<string, string>> = {
      aged: text.replace('"updatedAtMs":1000', '"updatedAtMs":1001'),
      bit: text.replace(sealed, flipped),
      empty: "",
      half: text.slice(0, 100),
      later: text.replace('"format":1', '"format":2'),
    };
    for (const [name, content] of Object.entries(damaged)) writeFileSync(fileOf(name), content);
    symlinkSync(fileOf("nas"), fileOf("link"));
    mkdirSync(fileOf("directory"));
    const { lines, log } = keptLog();
    const next = opened(log);
    for (const name of [...Object.keys(damaged), "moved", "link", "directory"]) {
      const failure = await failureOf(next.read(name));
      expect([name, failure.code]).toEqual([name, "secret.unreadable"]);
      expect(failure.message).not.toContain("hunter2");
    }
    expect(await textOf(next, "nas")).toBe("hunter2");
    // What the start can tell without opening any is told then.
    expect(lines.map(({ fields }) => fields["secret"]).toSorted()).toEqual(
      ["directory", "empty", "half", "later", "link"].toSorted(),
    );
    expect(next.list().find(({ name }) => name === "bit")?.problem).toContain("damaged");
    await put(next, "bit", "anew", true);
    expect(await textOf(next, "bit")).toBe("anew");
  });

  test("all of them without the key, until it is back; no new one is made", async () => {
    await put(opened(), "nas", "hunter2");
    renameSync(keyPath, `${keyPath}.away`);
    const { lines, log } = keptLog();
    const store = opened(log);
    expect(lines).toMatchObject([{ fields: { secret: "nas" } }]);
    expect(store.list()).toMatchObject([
      { name: "nas", problem: expect.stringContaining(keyPath) },
    ]);
    for (const work of [store.read("nas"), put(store, "new", "x")]) {
      const failure = await failureOf(work);
      expect([failure.code, failure.message]).toEqual([
        "secret.unreadable",
        expect.stringContaining(`${keyPath} is missing`),
      ]);
      expect(failure.recovery).toContain("Put the key file back");
    }
    expect(existsSync(keyPath)).toBe(false);
    renameSync(`${keyPath}.away`, keyPath);
    expect(await textOf(store, "nas")).toBe("hunter2");
    expect(store.list()[0]?.problem).toBeNull();
  });

  test("others, when one is made anew after the key was lost: that is said", async () => {
    const store = opened();
    await put(store, "nas", "hunter2");
    await put(store, "s3", "hunter3");
    rmSync(keyPath);
    const { lines, log } = keptLog();
    await store.put("nas", value("anew"), { mayReplace: true }, { ...operation, log });
    expect(lines.map(({ message }) => message)).toEqual(["a new key for secrets was made"]);
    expect(await textOf(store, "nas")).toBe("anew");
    const failure = await failureOf(store.read("s3"));
    expect(failure.message).toMatch(/sealed with the key [0-9a-f]{16}, and .* holds the key/);
    expect(opened().list()).toMatchObject([
      { name: "nas", problem: null },
      { name: "s3", problem: expect.stringContaining("was sealed with the key") },
    ]);
  });
});

describe("the key", () => {
  test("is made with the first secret, and not before", async () => {
    const store = opened();
    expect(store.list()).toEqual([]);
    expect(existsSync(keyPath)).toBe(false);
    await put(store, "nas", "x");
    expect(readFileSync(keyPath, "utf8")).toMatch(/^holdfast-secret-key-1:[A-Za-z0-9+/]{43}=\n$/);
    expect(readdirSync(join(folder, "etc", "holdfast"))).toEqual(["secret.key"]);
  });

  test("is one when two daemons need it at once", async () => {
    const stores = [opened(), opened()];
    await Promise.all(stores.map((store, index) => put(store, `n${index}`, "x")));
    const next = opened();
    expect(next.list()).toMatchObject([{ problem: null }, { problem: null }]);
    expect(await textOf(next, "n1")).toBe("x");
  });

  test.each([
    ["others may use it (mode 0640)", () => chmodSync(keyPath, 0o640)],
    ["it is not holdfast-secret-key-1", () => writeFileSync(keyPath, "a".repeat(32))],
    ["it is not", () => writeFileSync(keyPath, "holdfast-secret-key-1:AAAA\n")],
    ["it is not", () => writeFileSync(keyPath, "")],
    [
      "it lies in the data root",
      () => {
        renameSync(keyPath, join(root, "key"));
        symlinkSync(join(root, "key"), keyPath);
      },
    ],
    [
      "is no plain file",
      () => {
        rmSync(keyPath);
        mkdirSync(keyPath, { mode: 0o700 });
      },
    ],
  ])("is refused: %s", async (words, spoil) => {
    const store = opened();
    await put(store, "nas", "hunter2");
    spoil();
    for (const work of [
      store.read("nas"),
      put(store, "new", "x"),
      put(opened(), "nas", "y", true),
    ]) {
      const failure = await failureOf(work);
      expect(failure.code).toBe("secret.unreadable");
      expect(failure.message).toContain(words);
    }
    expect(opened().list()[0]?.problem).toContain(words);
  });

  test("is not made in the data root, by whatever path", async () => {
    symlinkSync(root, join(folder, "alias"));
    const store = opened(silentLog, join(folder, "alias", "etc", "secret.key"));
    expect((await failureOf(put(store, "nas", "x"))).message).toContain("lies in the data root");
    expect(existsSync(join(root, "etc", "secret.key"))).toBe(false);
  });
});

test("what a dead daemon was writing is gone with the next start", async () => {
  await put(opened(), "nas", "x");
  writeFileSync(fileOf(".new-0123"), "half");
  const store = opened();
  expect(readdirSync(join(root, "secrets"))).toEqual(["nas"]);
  expect(store.list()).toHaveLength(1);
});

test("a directory that cannot be written to keeps the value before", async () => {
  const store = opened();
  await put(store, "nas", "one");
  rmSync(join(root, "secrets"), { recursive: true });
  writeFileSync(join(root, "secrets"), "");
  expect((await failureOf(put(store, "nas", "two", true))).code).toStartWith("storage.");
  expect((await failureOf(store.read("nas"))).code).toBe("secret.unreadable");
});
