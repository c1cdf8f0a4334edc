// The rclone driver on a real WebDAV server: how it fails, and how it comes back.
import { expect } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseHolderId, parseVolumeName } from "../../src/core/names.ts";
import { sweepShare } from "../../src/daemon/verify-share.ts";
import { ownData } from "../../src/engine/own-data.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { eventually } from "../support/child.ts";
import { whenPossible } from "../support/needs.ts";
import { testOperation } from "../support/operation.ts";
import { obscured } from "../support/rclone-bench.ts";
import { openRcloneStage } from "../support/rclone-stage.ts";

const needed = ["root", "mount", "fuse", "rclone"] as const;
const name = parseVolumeName("wiki");
const holder = parseHolderId("c1");
const operation = testOperation();

whenPossible(needed, "a wrong password is refused at create, and is in no message", async () => {
  await using at = await openRcloneStage("never-right-1");
  const made = at.driver.create({ name, options: at.options }, operation);
  const error: unknown = await made.catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "remote.test_failed", details: { code: "remote.denied" } });
  expect(String(error)).not.toContain(await obscured("never-right-1"));
  expect((await at.driver.get(name, operation)).state).toBe("absent");
});

whenPossible(needed, "a setting that rclone does not know is refused at create", async () => {
  await using at = await openRcloneStage();
  const { "webdav-url": url = "", ...others } = at.options;
  // Numbers and switches are known, too.
  const wrong = { "s3-chunk-size": "5M", "s3-no-head": "true", "webdav-ulr": url };
  const made = at.driver.create({ name, options: { ...others, ...wrong } }, operation);
  await expect(made).rejects.toMatchObject({
    code: "volume.option_invalid",
    message: expect.stringContaining('"webdav-ulr": did you mean webdav-url? the installed'),
  });
  expect((await at.driver.get(name, operation)).state).toBe("absent");
  const options = { ...at.options, "webdav-encoding": "Slash,InvalidUtf8" };
  await at.driver.create({ name, options }, operation);
});

whenPossible(needed, "an owner and a mode change nothing, and their options say so", async () => {
  await using at = await openRcloneStage();
  await at.driver.create({ name, options: at.options }, operation);
  const data = await at.driver.mount(name, holder, operation);
  const shown = () => {
    const { uid, gid, mode } = statSync(data);
    return [uid, gid, mode & 0o7777];
  };
  const before = shown();
  await ownData(linuxHost(), data, { userId: 999, groupId: 998, mode: 0o700 }, operation);
  expect(shown()).toEqual(before);
  expect(at.driver.fixedOwner?.("owner", at.options)).toEqual(["uid", "gid", "umask"]);
});

whenPossible(needed, "what is not there is refused at create", async () => {
  await using at = await openRcloneStage();
  const options = { ...at.options, remote: "webdav:no/such" };
  const made = at.driver.create({ name, options }, operation);
  const refusal = { code: "remote.test_failed", details: { code: "remote.not_found" } };
  await expect(made).rejects.toMatchObject(refusal);
  expect(readdirSync(at.server.folder)).toEqual([]);
});

whenPossible(
  needed,
  "a server that is away is said, and 5 s after its return all is well",
  async () => {
    await using at = await openRcloneStage();
    await at.driver.create({ name, options: at.options }, operation);
    const data = await at.driver.mount(name, holder, operation);
    writeFileSync(join(data, "before"), "1");
    await at.driver.flush?.flush(name, operation);
    expect(readFileSync(join(at.server.folder, "before"), "utf8")).toBe("1");
    await at.server.kill();
    const state = async () => (await at.driver.health?.check(name, operation))?.state;
    expect(await state()).toBe("unreachable");
    writeFileSync(join(data, "meanwhile"), "kept");
    await at.server.start();
    const backAt = performance.now();
    await eventually(async () => ((await state()) === "ready" ? true : undefined), {
      timeoutMs: 5_000,
      otherwise: () => `not ready after ${performance.now() - backAt} ms`,
    });
    await at.driver.flush?.flush(name, operation);
    expect(readFileSync(join(at.server.folder, "meanwhile"), "utf8")).toBe("kept");
  },
);

whenPossible(needed, "a dead rclone is stale, and healing it loses nothing", async () => {
  await using at = await openRcloneStage();
  await at.driver.create({ name, options: at.options }, operation);
  const data = await at.driver.mount(name, holder, operation);
  writeFileSync(join(data, "written"), "before the crash");
  const run = join(at.root, "run", "remote", "rclone", name);
  process.kill(JSON.parse(readFileSync(join(run, "process.json"), "utf8")).pid, "SIGKILL");
  await eventually(
    async () =>
      (await at.driver.health?.check(name, operation))?.state === "stale" ? true : undefined,
    { timeoutMs: 5_000, otherwise: () => "rclone was killed, and nobody notices" },
  );
  await at.driver.health?.heal(name, operation);
  expect(readFileSync(join(data, "written"), "utf8")).toBe("before the crash");
  await at.driver.flush?.flush(name, operation);
  expect(readFileSync(join(at.server.folder, "written"), "utf8")).toBe("before the crash");
  await at.driver.unmount(name, holder, operation);
});

whenPossible(
  needed,
  "10 quick rounds leave no mount, process or credential behind",
  async () => {
    await using at = await openRcloneStage();
    mkdirSync(join(at.server.folder, "rounds"));
    const options = { ...at.options, remote: "webdav:rounds" };
    await at.driver.create({ name, options }, operation);
    for (let round = 0; round < 10; round++) {
      const data = await at.driver.mount(name, holder, operation);
      writeFileSync(join(data, "round"), String(round));
      await at.driver.unmount(name, holder, operation);
      expect(readFileSync(join(at.server.folder, "rounds", "round"), "utf8")).toBe(String(round));
    }
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(at.root);
    const left = readdirSync(join(at.root, "run"), { recursive: true }).map(String);
    expect(left.filter((path) => path.includes(name))).toEqual([]);
  },
  60_000,
);

whenPossible(
  needed,
  "what a verify run has made on a server is taken away, and nothing else",
  async () => {
    await using at = await openRcloneStage();
    const { folder } = at.server;
    const prefix = "holdfast-verify-0123456789abcdef-";
    for (const each of [`${prefix}1`, "holdfast-verify-", "wiki"]) {
      mkdirSync(join(folder, each));
      writeFileSync(join(folder, each, "file"), "");
    }
    writeFileSync(join(folder, `.holdfast-${prefix}2`), "a mark");
    const share = { driver: at.driver, host: linuxHost(), options: at.options, prefix };
    expect(await sweepShare(share)).toEqual([]);
    expect(readdirSync(folder).sort()).toEqual(["holdfast-verify-", "wiki"]);
    expect(await Array.fromAsync(at.driver.list(operation))).toEqual([]);
    const gone = { ...share, options: { ...at.options, remote: "webdav:no/such" } };
    expect((await sweepShare(gone)).join()).toContain(`directories ${prefix}* on the server`);
  },
);
