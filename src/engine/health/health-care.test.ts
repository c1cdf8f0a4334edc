// Holds follow a volume's new mount, even where it looks just like the one before.
import { expect } from "bun:test";
import { join } from "node:path";
import { bindServer } from "../../../test/support/bind-kind.ts";
import { eventually } from "../../../test/support/child.ts";
import { EngineBench, named } from "../../../test/support/engine-bench.ts";
import { memoryEngine } from "../../../test/support/memory-engine.ts";
import { whenPossible } from "../../../test/support/needs.ts";
import type { MountInfo } from "../../core/host.ts";
import { parseHolderId } from "../../core/names.ts";
import { SecretValue } from "../../core/secret-store.ts";

const containers = ["1".repeat(64), "2".repeat(64), "3".repeat(64)] as const;

/** Volumes of clients that share a file system: all of their mounts look the same. */
async function startedBench() {
  const server = bindServer();
  const docker = memoryEngine();
  const data = join(server.root, "data/remote/bound/data/data");
  const alike = (lines: readonly MountInfo[]) => {
    const { device, root } = lines.find(({ target }) => target === data) ?? {};
    return lines.map((line) =>
      line.source === "memory" && device !== undefined && root !== undefined
        ? { ...line, device, root }
        : line,
    );
  };
  const bench = new EngineBench({
    finder: docker.finder,
    drivers: () => [server.open()],
    host: (host) => ({ ...host, mounts: () => alike(host.mounts()) }),
  });
  await bench.start();
  const secret = new SecretValue(new TextEncoder().encode("hush"));
  const keep = (mayReplace: boolean) =>
    bench.engine.secrets.put("known", secret, { mayReplace }, bench.operation());
  await keep(false);
  const wish = named("data", { driver: "bound", options: { secret: "known" } });
  await bench.engine.volumes.create(wish, bench.operation());
  const call = () => ({ ...bench.operation(), caller: docker.caller });
  return {
    ...{ bench, server, data },
    replaceSecret: () => keep(true),
    /** Returns the path of the hold. */
    async mount(id: string): Promise<string> {
      await bench.engine.holds.noteCaller(call());
      return await bench.engine.holds.mount("data", parseHolderId(id), call());
    },
    group: (path: string) => bench.binds.bound.get(path)?.group,
    async [Symbol.asyncDispose]() {
      await bench[Symbol.asyncDispose]();
      await server.release();
    },
  };
}

whenPossible(
  ["root", "mount"],
  "holds follow a mount that a later mount has replaced",
  async () => {
    await using it = await startedBench();
    const [first, second, third] = containers;
    const path = await it.mount(first);
    const before = it.group(path);
    await it.mount(second);
    expect(it.group(path)).toBe(before);
    // It dies, and the next one who comes has it mounted anew.
    it.server.switches.stale.add(it.data);
    await it.mount(third);
    expect(it.server.mounted.filter((target) => target === it.data)).toHaveLength(2);
    const after = it.group(path);
    expect(after).not.toBe(before);
    // Once.
    await it.mount(third);
    expect(it.group(path)).toBe(after);
  },
);

whenPossible(["root", "mount"], "holds follow what a new secret has mounted anew", async () => {
  await using it = await startedBench();
  const path = await it.mount(containers[0]);
  const before = it.group(path);
  expect(await it.replaceSecret()).toMatchObject({ refreshed: [{ outcome: "next mount" }] });
  expect(it.group(path)).toBe(before);
  // The server has refused the old one already.
  it.server.switches.refused.add(it.data);
  expect(await it.replaceSecret()).toMatchObject({ refreshed: [{ outcome: "updated" }] });
  expect(it.server.mounted.filter((target) => target === it.data)).toHaveLength(2);
  expect(it.group(path)).not.toBe(before);
});

whenPossible(["root", "mount"], "holds follow what a new life has mounted anew", async () => {
  await using it = await startedBench();
  const path = await it.mount(containers[0]);
  const before = it.group(path);
  await it.bench.restart(() => void Bun.spawnSync(["umount", it.data]));
  await eventually(() => (it.group(path) === before ? undefined : true), {
    timeoutMs: 5_000,
    otherwise: () => JSON.stringify(it.bench.log),
  });
  expect(it.server.mounted.filter((target) => target === it.data)).toHaveLength(2);
});
