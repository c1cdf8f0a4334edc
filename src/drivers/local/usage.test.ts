// Usage: Docker's sum over hard links, holes, links and whatever vanishes under the walk.
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { EngineError } from "../../core/errors.ts";
import { makeOperationId } from "../../core/names.ts";
import { type Operation, silentLog, systemCaller } from "../../core/operation.ts";
import { measureTree } from "./usage.ts";

let top: string;
beforeEach(() => {
  top = mkdtempSync("/dev/shm/holdfast-usage-");
});
afterEach(() => rmSync(top, { recursive: true, force: true }));

function operation(signal = new AbortController().signal): Operation {
  return { id: makeOperationId("test"), caller: systemCaller, signal, log: silentLog };
}

const measure = () => measureTree(top, new Set(), operation());

test("nothing is 0, and a directory that is gone too", async () => {
  expect(await measure()).toBe(0);
  rmSync(top, { recursive: true });
  expect(await measure()).toBe(0);
});

test("files of all depths by their apparent bytes, holes included", async () => {
  mkdirSync(join(top, "a/b/c"), { recursive: true });
  writeFileSync(join(top, "a/file"), "12345");
  writeFileSync(join(top, "a/b/c/file"), "123");
  writeFileSync(join(top, "sparse"), "");
  truncateSync(join(top, "sparse"), 1_000_000);
  expect(await measure()).toBe(1_000_008);
});

test("hard links once, links by their own length and never followed", async () => {
  writeFileSync(join(top, "file"), "x".repeat(1_000));
  mkdirSync(join(top, "sub"));
  linkSync(join(top, "file"), join(top, "sub/again"));
  linkSync(join(top, "file"), join(top, "sub/once-more"));
  symlinkSync("/usr", join(top, "sub/link"));
  symlinkSync("..", join(top, "sub/loop"));
  expect(await measure()).toBe(1_000 + "/usr".length + "..".length);
});

test("names that are no UTF-8 count as well", async () => {
  const odd = Buffer.concat([Buffer.from(`${top}/`), Buffer.from([0xe4, 0x62])]);
  mkdirSync(odd);
  writeFileSync(Buffer.concat([odd, Buffer.from("/file")]), "12345");
  writeFileSync(Buffer.concat([odd, Buffer.from("2")]), "123");
  expect(await measure()).toBe(8);
});

test("an operation that ends, ends the walk, and others get their turn before", async () => {
  for (let index = 0; index < 3_000; index++) writeFileSync(join(top, `file-${index}`), "");
  const controller = new AbortController();
  const measuring = measureTree(top, new Set(), operation(controller.signal));
  // The walk has begun; the first turn it gives away brings the end.
  setImmediate(() => controller.abort(new EngineError("operation.cancelled", "over")));
  expect(measuring).rejects.toMatchObject({ code: "operation.cancelled" });
  await measuring.catch(() => undefined);
});

test("what is mounted inside is not even looked at", async () => {
  writeFileSync(join(top, "file"), "123");
  mkdirSync(join(top, "mounted"));
  writeFileSync(join(top, "mounted", "other"), "12345");
  expect(await measureTree(top, new Set([join(top, "mounted")]), operation())).toBe(3);
});
