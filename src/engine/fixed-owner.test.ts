// `owner` and `mode` where the storage would take them and never show them: refused, and by names.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  changedLocal,
  create,
  failureOf,
  named,
  startedEngine,
} from "../../test/support/engine-bench.ts";
import type { DriverOptions } from "../core/driver.ts";
import { SecretValue } from "../core/secret-store.ts";
import { builtInDrivers } from "../drivers/all.ts";
import { linuxHost } from "../host/linux.ts";
import { checkOwner } from "./engine-options.ts";

/** What is to be given instead; undefined: accepted. */
function insteadOf(driver: string, options: DriverOptions): string | undefined {
  const root = mkdtempSync("/dev/shm/hfo-");
  try {
    const secrets = { read: async () => new SecretValue(new Uint8Array()) };
    const runDirectory = join(root, "run");
    const drivers = builtInDrivers({
      ...{ root, runDirectory, host: linuxHost(), secrets, isFirstStart: true },
    });
    const found = drivers.find(({ name }) => name === driver);
    if (found === undefined) throw new Error(`there is no driver ${driver}`);
    checkOwner(found, options);
    return undefined;
  } catch (error) {
    const shown = /shows what (.*) say, whatever/.exec(String(error))?.[1];
    if (shown === undefined) throw error;
    return shown;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

// Measured with chown(2) and chmod(2) on a mount of each: docs/guide/sharing.md.
test("each kind of storage says whether it shows what it is given", () => {
  const owner = { owner: "999:999" };
  const mode = { mode: "0750" };
  const cifs = { type: "cifs", device: "//nas/media" };
  const cases: readonly (readonly [string, DriverOptions, string | undefined])[] = [
    ["rclone", { remote: "s3:a", ...owner }, "uid=, gid=, umask="],
    ["rclone", { remote: "s3:a", ...mode }, "uid=, gid=, umask="],
    ["rclone", { remote: "s3:a", sharing: "none" }, undefined],
    ["smb", owner, "uid=, gid="],
    ["smb", mode, "file-mode=, dir-mode="],
    ["smb", { ...owner, options: "mfsymlinks,cifsacl" }, undefined],
    ["sshfs", { ...owner, ...mode, idmap: "user" }, undefined],
    ["sshfs", { ...owner, uid: "5" }, "uid="],
    ["sshfs", { ...owner, uid: "5", gid: "5" }, "uid=, gid="],
    ["sshfs", { ...mode, uid: "5" }, undefined],
    ["sshfs", { ...mode, umask: "022" }, "umask="],
    ["nfs", { ...owner, ...mode }, undefined],
    ["local", { ...owner, ...mode }, undefined],
    ["local", { ...owner, type: "tmpfs", device: "tmpfs" }, undefined],
    ["local", { ...owner, ...cifs, o: "vers=3.1.1" }, "uid=, gid="],
    ["local", { ...mode, ...cifs, o: "uid=5" }, "file_mode=, dir_mode="],
    ["local", { ...owner, ...cifs, o: "cifsacl,uid=5" }, undefined],
  ];
  for (const [driver, options, instead] of cases) {
    expect([driver, options, insteadOf(driver, options)]).toEqual([driver, options, instead]);
  }
});

describe("an engine over such storage", () => {
  const parts = changedLocal(() => ({ fixedOwner: () => ["uid", "umask"] }));
  const nothing = { labelsSet: {}, labelsRemoved: [], optionsSet: {}, optionsRemoved: [] };

  test("makes no volume with them, and takes them by no update", async () => {
    await using bench = await startedEngine(parts);
    const owner = { owner: "999" };
    const made = await failureOf(create(bench, named("wiki", { options: owner })));
    expect([made.code, made.details["option"], made.message]).toEqual([
      "volume.option_invalid",
      "owner",
      'invalid option: "owner": "999": this storage shows what uid=, umask= say, whatever its ' +
        "files are given: use those",
    ]);
    expect(bench.engine.volumes.list({})).toEqual([]);
    await create(bench, named("wiki"));
    for (const optionsSet of [owner, { mode: "0750" }]) {
      const change = { ...nothing, optionsSet };
      const updated = bench.engine.upkeep.update("wiki", change, bench.operation());
      expect((await failureOf(updated)).code).toBe("volume.option_invalid");
    }
    expect(bench.engine.volumes.inspect("wiki").options).toBeNull();
  });

  test("leaves a volume alone that has had them", async () => {
    await using bench = await startedEngine(parts);
    await create(bench, named("wiki"));
    const entry = { ...bench.engine.volumes.inspect("wiki"), options: { owner: "999" } };
    await bench.state.write((transaction) => transaction.putVolume(entry));
    const { upkeep } = bench.engine;
    const update = (change: object) =>
      upkeep.update("wiki", { ...nothing, ...change }, bench.operation());
    const kept = await update({ optionsSet: { sharing: "none" } });
    expect(kept.options).toEqual({ owner: "999", sharing: "none" });
    const refused = await failureOf(update({ optionsSet: { owner: "998" } }));
    expect(refused.code).toBe("volume.option_invalid");
    expect((await update({ optionsRemoved: ["owner"] })).options).toEqual({ sharing: "none" });
  });
});
