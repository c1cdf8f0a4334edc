// Second mounts: the same data at another path, and nothing of them afterwards.
import { expect } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { whenPossible } from "../../test/support/needs.ts";
import {
  failureOf,
  first,
  operation,
  other,
  remoteBench,
  wiki,
} from "../../test/support/remote-bench.ts";

whenPossible(["root", "mount"], "the same data, for as long as it is wanted", async () => {
  await using bench = remoteBench();
  const { driver } = bench;
  await bench.create();
  const path = await driver.mount(wiki, first, operation);
  writeFileSync(join(path, "file"), "one");
  const before = bench.here();
  const place = await (async () => {
    await using mounted = await driver.elsewhere?.mount(wiki, operation);
    if (mounted === undefined) throw new Error("it has no second mount");
    expect(mounted.path).not.toBe(path);
    expect(readdirSync(mounted.path)).toEqual(["file"]);
    return mounted.path;
  })();
  expect(existsSync(place)).toBe(false);
  expect(bench.here()).toEqual(before);
  expect(bench.host.mounts().some(({ target }) => target === place)).toBe(false);
  expect(bench.isMounted()).toBe(true);
  await driver.unmount(wiki, first, operation);
});

whenPossible(["root", "mount"], "of what is not there there is none", async () => {
  await using bench = remoteBench();
  const { driver } = bench;
  const missing = driver.elsewhere?.mount(other, operation) ?? Promise.resolve();
  expect((await failureOf(missing)).code).toBe("volume.not_found");
});
