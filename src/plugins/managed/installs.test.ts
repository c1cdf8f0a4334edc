// Installations beside each other, over a registry and a runtime in memory.
import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { temporaryDirectory } from "../../../test/support/daemon.ts";
import { startedEngine } from "../../../test/support/engine-bench.ts";
import { ManagedBench } from "../../../test/support/managed-bench.ts";
import { pluginsOver } from "../../../test/support/plugin-api.ts";

test("a second installation of a name is refused while the first one pulls", async () => {
  const root = temporaryDirectory();
  await using engine = await startedEngine();
  try {
    const bench = new ManagedBench(root);
    const plugins = pluginsOver(engine, await bench.open());
    const begin = (tag: string) => plugins.pull(bench.request(tag, "vp"), bench.operation());
    const run = (pull: Awaited<ReturnType<typeof begin>>) =>
      pull.run(() => undefined, bench.operation());
    const [first, second] = [await begin("v1"), await begin("v2")];
    const pulling = Promise.withResolvers<void>();
    const going = Promise.withResolvers<void>();
    bench.onDownload = () => {
      pulling.resolve();
      return going.promise;
    };
    const installed = run(first);
    await pulling.promise;
    const refusal = expect.objectContaining({
      code: "plugin.exists",
      message: "plugin vp:latest is being installed",
    });
    // One that has looked already, and one that begins.
    await expect(run(second)).rejects.toEqual(refusal);
    await expect(begin("v2")).rejects.toEqual(refusal);
    going.resolve();
    expect((await installed).reference).toBe("registry.test/vp:v1");
    await expect(begin("v2")).rejects.toThrow("plugin vp:latest already exists");
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
