// What a mount somewhere still shows is not destroyed.
import { describe, expect } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, startChild, stopChild } from "../../test/support/child.ts";
import { whenPossible } from "../../test/support/needs.ts";
import {
  failureOf,
  first,
  operation,
  other,
  type RemoteBench,
  remoteBench,
  trashId,
  wiki,
} from "../../test/support/remote-bench.ts";

const possible = ["root", "mount", "unshare"] as const;

/** As a container that nobody has told us of: a namespace with what is mounted just now. */
async function elsewhere(bench: RemoteBench): Promise<AsyncDisposable> {
  const ready = join(bench.root, "ready");
  const words = ["--mount", "--propagation", "private", "sh", "-c", 'touch "$1" && exec cat', "sh"];
  const child = startChild("unshare", [...words, ready]);
  await eventually(() => (existsSync(ready) ? true : undefined), {
    timeoutMs: 10_000,
    otherwise: () => "the namespace has not come about",
  });
  return {
    async [Symbol.asyncDispose]() {
      child.stdin?.end();
      await stopChild(child);
    },
  };
}

describe("data that another mount namespace shows", () => {
  whenPossible(possible, "is refused to a purge and to destroy, until it does not", async () => {
    await using bench = remoteBench();
    const { driver, share } = bench;
    await bench.create({ subpath: "made" });
    writeFileSync(join(await driver.mount(wiki, first, operation), "file"), "precious");
    {
      await using _container = await elsewhere(bench);
      await driver.unmount(wiki, first, operation);
      const asking = driver.trash?.refusePurge?.(wiki, operation) ?? Promise.resolve();
      expect((await failureOf(asking)).code).toBe("volume.in_use");
      const destroying = await failureOf(driver.destroy(wiki, operation));
      expect(destroying.code).toBe("volume.in_use");
      expect(destroying.message).toContain("still has");
      expect(await driver.get(wiki, operation)).toMatchObject({ state: "found" });
      await driver.trash?.retire(wiki, { id: trashId, description: "" }, operation);
      const looking = driver.trash?.refuseShown?.([trashId], operation) ?? Promise.resolve();
      expect((await failureOf(looking)).code).toBe("volume.in_use");
      const purging = driver.trash?.purge([trashId], operation) ?? Promise.resolve();
      expect((await failureOf(purging)).code).toBe("volume.in_use");
      expect(existsSync(join(share, "made", "file"))).toBe(true);
    }
    await driver.trash?.refuseShown?.([trashId], operation);
    await driver.trash?.purge([trashId], operation);
    expect(existsSync(join(share, "made"))).toBe(false);
  });

  whenPossible(possible, "that is not ours goes out of the trash all the same", async () => {
    await using bench = remoteBench();
    const { driver, share } = bench;
    mkdirSync(join(share, "found"));
    await bench.create({ subpath: "found" });
    await driver.mount(wiki, first, operation);
    await using _container = await elsewhere(bench);
    await driver.unmount(wiki, first, operation);
    await driver.destroy(wiki, operation);
    expect(existsSync(join(share, "found"))).toBe(true);
  });
});

whenPossible(possible, "a purge takes what was made above along, and nobody else's", async () => {
  await using bench = remoteBench();
  const { driver, share } = bench;
  mkdirSync(join(share, "old"));
  const purge = async (path: string) => {
    await bench.create({ subpath: path });
    await driver.trash?.retire(wiki, { id: trashId, description: "" }, operation);
    await driver.trash?.purge([trashId], operation);
  };
  await purge("old/new/deep");
  expect(bench.onServer()).toEqual(["old"]);
  await driver.create({ name: other, options: { subpath: "teams/blue" } }, operation);
  await purge("teams/red");
  expect(bench.onServer()).toEqual([...["old", "teams", "teams/.holdfast-blue", "teams/blue"]]);
});
