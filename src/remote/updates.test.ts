// Other options and other secrets: tested at once, in effect when nothing is lost by it.
import { describe, expect } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { whenPossible } from "../../test/support/needs.ts";
import { failureOf, first, operation, remoteBench, wiki } from "../../test/support/remote-bench.ts";
import type { VolumeDriver } from "../core/driver.ts";

const possible = ["root", "mount"] as const;

describe("update", () => {
  whenPossible(
    possible,
    "with the same options takes over what their secret says now",
    async () => {
      await using bench = remoteBench();
      const { driver, switches, logins } = bench;
      const options = { secret: "known" };
      await bench.create(options);
      await driver.mount(wiki, first, operation);
      logins.length = 0;
      switches.secret = "fresh";
      await driver.update?.update({ name: wiki, options }, operation);
      // Tested at once; who has it keeps it.
      expect(logins).toEqual(["fresh"]);
      expect(bench.isMounted()).toBe(true);
      await driver.unmount(wiki, first, operation);
      await driver.mount(wiki, first, operation);
      expect(logins).toEqual(["fresh", "fresh"]);
      switches.secret = "wrong";
      const refused =
        driver.update?.update({ name: wiki, options }, operation) ?? Promise.resolve();
      expect((await failureOf(refused)).code).toBe("remote.test_failed");
      expect(bench.isMounted()).toBe(true);
    },
  );

  whenPossible(
    possible,
    "a new secret waits for who has the volume, or until its server refuses the old one",
    async () => {
      await using bench = remoteBench();
      const { driver, switches, logins } = bench;
      const options = { secret: "known" };
      await bench.create(options);
      const path = await driver.mount(wiki, first, operation);
      expect(driver.update?.isWaiting?.(wiki)).toBe(false);
      const refused = async (next: VolumeDriver) => {
        switches.refused.add(path);
        const { state } = (await next.health?.check(wiki, operation)) ?? {};
        await next.health?.heal(wiki, operation);
        return { state, isRefused: switches.refused.has(path) };
      };
      // Without another one there is nothing to mend it with.
      expect(await refused(driver)).toEqual({ state: "unreachable", isRefused: true });
      switches.refused.clear();
      switches.secret = "fresh";
      await driver.update?.update({ name: wiki, options }, operation);
      expect(driver.update?.isWaiting?.(wiki)).toBe(true);
      // What was refused is kept while the new one is refused, too; in the next life as well.
      const next = bench.open();
      await next.mount(wiki, first, operation);
      expect(next.update?.isWaiting?.(wiki)).toBe(true);
      switches.secret = "wrong";
      expect((await failureOf(refused(next))).code).toBe("remote.test_failed");
      expect(bench.isMounted()).toBe(true);
      [switches.secret, logins.length] = ["fresh", 0];
      expect(await refused(next)).toEqual({ state: "stale", isRefused: false });
      // The test, and the mount.
      expect(logins).toEqual(["fresh", "fresh"]);
      expect(bench.isMounted()).toBe(true);
      expect(next.update?.isWaiting?.(wiki)).toBe(false);
      expect((await next.health?.check(wiki, operation))?.state).toBe("ready");
    },
  );

  whenPossible(possible, "is in effect at the next mount", async () => {
    await using bench = remoteBench();
    const { driver } = bench;
    const { identity } = await bench.create({ subpath: "a" });
    mkdirSync(join(bench.share, "moved"));
    const options = { subpath: "a", path: "moved" };
    const missing = driver.update?.update({ name: wiki, options }, operation);
    expect((await failureOf(missing ?? Promise.resolve())).details).toMatchObject({
      step: "mount",
    });
    expect(bench.onServer()).toEqual([".holdfast-a", "a", "moved"]);
    mkdirSync(join(bench.share, "moved/a"));
    const path = await driver.mount(wiki, first, operation);
    const record = await driver.update?.update({ name: wiki, options }, operation);
    expect(record).toMatchObject({ identity, options, origin: "made" });
    writeFileSync(`${path}/before`, "");
    await driver.unmount(wiki, first, operation);
    await driver.mount(wiki, first, operation);
    writeFileSync(`${path}/after`, "");
    expect(bench.onServer()).toContain("a/before");
    expect(bench.onServer()).toContain("moved/a/after");
  });

  whenPossible(
    possible,
    "is in effect at once where the kind can, or nobody holds it",
    async () => {
      await using bench = remoteBench();
      await bench.create();
      const path = await bench.driver.mount(wiki, first, operation);
      const spec = { name: wiki, options: { note: "another" } };
      bench.mounted.length = 0;
      bench.switches.canRefresh = "fails";
      await bench.driver.update?.update(spec, operation);
      expect(bench.driver.update?.isWaiting?.(wiki)).toBe(true);
      bench.switches.canRefresh = true;
      await bench.driver.update?.update(spec, operation);
      expect(bench.driver.update?.isWaiting?.(wiki)).toBe(false);
      const next = bench.open();
      await next.mount(wiki, first, operation);
      expect(bench.mounted).not.toContain(path);
      bench.switches.canRefresh = false;
      const last = bench.open();
      await last.update?.update({ name: wiki, options: { note: "a third" } }, operation);
      expect(bench.isMounted()).toBe(false);
    },
  );

  whenPossible(possible, "is in effect at once where what is mounted is silent", async () => {
    await using bench = remoteBench();
    const { driver } = bench;
    await bench.create({ subpath: "a" });
    mkdirSync(join(bench.share, "moved/a"), { recursive: true });
    const path = await driver.mount(wiki, first, operation);
    bench.switches.stale.add(path);
    const untested = { subpath: "a", path: "moved", test: "off" };
    await driver.update?.update({ name: wiki, options: untested }, operation);
    writeFileSync(`${path}/untested`, "");
    const tested = { subpath: "a", path: "moved" };
    await driver.update?.update({ name: wiki, options: tested }, operation);
    writeFileSync(`${path}/tested`, "");
    expect(bench.onServer()).toContain("a/untested");
    expect(bench.onServer()).toContain("moved/a/tested");
  });

  whenPossible(possible, "what was held is mounted anew with it in the next life", async () => {
    await using bench = remoteBench();
    await bench.create();
    const path = await bench.driver.mount(wiki, first, operation);
    await bench.driver.update?.update({ name: wiki, options: { note: "another" } }, operation);
    const next = bench.open();
    bench.mounted.length = 0;
    await next.mount(wiki, first, operation);
    expect(bench.mounted).toEqual([path]);
  });

  whenPossible(possible, "refuses another directory, which would be another volume", async () => {
    await using bench = remoteBench();
    await bench.create({ subpath: "a" });
    const spec = { name: wiki, options: { subpath: "b" } };
    const update = bench.driver.update?.update(spec, operation) ?? Promise.resolve();
    expect((await failureOf(update)).code).toBe("volume.option_invalid");
  });
});
