// Volumes whose options file is not what they were made with: never other storage without a word.
import { describe, expect, test } from "bun:test";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type EngineBench, failureOf, startedEngine } from "../../test/support/engine-bench.ts";
import { parseHolderId } from "../core/names.ts";

const tmpfs = { type: "tmpfs", device: "tmpfs" };
const c1 = parseHolderId("c1");

async function withVolume(options: Readonly<Record<string, string>> | null): Promise<EngineBench> {
  const bench = await startedEngine();
  await bench.engine.volumes.create({ name: "wiki", options, labels: null }, bench.operation());
  return bench;
}

function optionsFile(bench: EngineBench): string {
  return join(bench.volumePath("wiki"), "opts.json");
}

const mount = (bench: EngineBench) => bench.engine.volumes.mount("wiki", c1, bench.operation());

describe("a mount is refused", () => {
  test("when the options file is gone: a plain directory is not the share", async () => {
    await using bench = await withVolume(tmpfs);
    rmSync(optionsFile(bench));
    const failure = await failureOf(mount(bench));
    expect(failure.code).toBe("volume.exists_differently");
    expect(failure.message).toMatch(/the option (type|device) of volume wiki is not what/);
    expect(
      bench.state.read((view) => view.holders(bench.engine.volumes.inspect("wiki").name)),
    ).toEqual([]);
  });

  test("when somebody has put one beside a plain volume", async () => {
    await using bench = await withVolume(null);
    const options = { MountType: "none", MountOpts: "bind", MountDevice: "/" };
    writeFileSync(optionsFile(bench), JSON.stringify(options));
    expect((await failureOf(mount(bench))).code).toBe("volume.exists_differently");
  });
});

describe("the next start", () => {
  test("writes a lost options file again, also of a volume that was used", async () => {
    await using bench = await withVolume(tmpfs);
    const entry = bench.engine.volumes.inspect("wiki");
    await bench.state.write((transaction) => transaction.putVolume({ ...entry, usedAtMs: 1 }));
    rmSync(optionsFile(bench));
    await bench.restart();
    expect(existsSync(optionsFile(bench))).toBe(true);
    expect(bench.engine.volumes.inspect("wiki").options).toEqual(tmpfs);
    expect(bench.engine.recovery.rebuilt).toHaveLength(1);
  });

  test("leaves one that differs alone, says so, and a mount is still refused", async () => {
    await using bench = await withVolume(tmpfs);
    const options = { MountType: "none", MountOpts: "bind", MountDevice: "/" };
    writeFileSync(optionsFile(bench), JSON.stringify(options));
    await bench.restart();
    expect(bench.engine.recovery.failed).toHaveLength(1);
    expect(bench.engine.volumes.inspect("wiki").options).toEqual(tmpfs);
    expect((await failureOf(mount(bench))).code).toBe("volume.exists_differently");
  });
});
