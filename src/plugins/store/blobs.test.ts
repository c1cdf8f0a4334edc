// The store of blobs: only what was verified is there, and nothing else stays.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BlobStore, digestOf } from "./blobs.ts";

let folder: string;
let store: BlobStore;

beforeEach(() => {
  folder = mkdtempSync("/dev/shm/holdfast-store-");
  store = new BlobStore(folder);
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const partial = () => readdirSync(join(folder, "partial"));
const whole = () => readdirSync(join(folder, "sha256"));

test("what is put is there, under its digest, once", async () => {
  const bytes = randomBytes(1000);
  const digest = await store.put(bytes);
  expect(digest).toBe(digestOf(bytes));
  expect(await store.put(bytes)).toBe(digest);
  expect(store.has(digest)).toBe(true);
  expect(store.size(digest)).toBe(1000);
  expect(readFileSync(store.path(digest))).toEqual(bytes);
  expect(Buffer.from(await store.read(digest))).toEqual(bytes);
  expect(whole()).toEqual([digest.slice(7)]);
  expect(partial()).toEqual([]);
});

test("what comes in pieces is there when it was committed, not before", async () => {
  const bytes = randomBytes(100_000);
  const ingest = await store.ingest();
  await ingest.write(bytes.subarray(0, 60_000));
  expect(whole()).toEqual([]);
  await ingest.restart();
  await ingest.write(bytes.subarray(0, 1));
  await ingest.write(bytes.subarray(1));
  expect(ingest.bytes).toBe(100_000);
  const digest = await ingest.commit({ digest: digestOf(bytes), size: 100_000 });
  await ingest.discard();
  expect(readFileSync(store.path(digest))).toEqual(bytes);
  expect(partial()).toEqual([]);
});

test.each([
  ["another digest", { digest: `sha256:${"0".repeat(64)}`, size: 5 }],
  ["another size", { digest: digestOf(Buffer.from("hello")), size: 6 }],
])("%s than expected is refused, and gone when it is discarded", async (_, expected) => {
  const ingest = await store.ingest();
  await ingest.write(Buffer.from("hello"));
  const error = await ingest.commit(expected).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "plugin.image_invalid" });
  await ingest.discard();
  await ingest.discard();
  expect([...whole(), ...partial()]).toEqual([]);
});

test("a file made elsewhere is moved in", async () => {
  const file = join(folder, "elsewhere");
  const bytes = randomBytes(3 * 1024 * 1024 + 1);
  writeFileSync(file, bytes);
  expect(await store.adopt(file)).toEqual({ digest: digestOf(bytes), size: bytes.byteLength });
  expect(existsSync(file)).toBe(false);
  expect(readFileSync(store.path(digestOf(bytes)))).toEqual(bytes);
});

test("what nobody names goes, what is pinned stays until it is let go", async () => {
  const [kept, pinned, lost] = [
    await store.put(Buffer.from("kept")),
    await store.put(Buffer.from("pinned")),
    await store.put(Buffer.from("lost")),
  ];
  const first = store.pin([pinned]);
  const second = store.pin([pinned]);
  expect(store.collect(new Set([kept]))).toEqual([lost]);
  first[Symbol.dispose]();
  expect(store.collect(new Set([kept]))).toEqual([]);
  second[Symbol.dispose]();
  expect(store.collect(new Set([kept]))).toEqual([pinned]);
  expect(whole()).toEqual([kept.slice(7)]);
});

test("what a crash left half goes, what is being written stays", async () => {
  const left = await store.ingest();
  const next = new BlobStore(folder);
  const ingest = await next.ingest();
  await ingest.write(Buffer.from("x"));
  writeFileSync(join(folder, "partial/77"), "old");
  next.clearPartial();
  expect(partial()).toEqual(["1"]);
  expect(await ingest.commit()).toBe(digestOf(Buffer.from("x")));
  await left.discard();
});

test("damage on the disk is seen when it is read", async () => {
  const digest = await store.put(Buffer.from("sound"));
  writeFileSync(store.path(digest), "wrong");
  const error = await store.read(digest).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "plugin.image_invalid" });
});

test.each(["", "sha256:1", "../../etc/passwd", `sha512:${"0".repeat(64)}`])(
  "%j is no digest, and no path",
  (text) => {
    expect(() => store.path(text)).toThrow("invalid checksum digest format");
  },
);
