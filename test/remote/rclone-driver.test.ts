// The rclone driver on a real WebDAV server: every promise of a driver, and how it fails.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCheck } from "../../src/conformance/check.ts";
import { openDriverBench } from "../../src/conformance/driver-bench.ts";
import { volumeDriverChecks } from "../../src/conformance/volume-driver.ts";
import type { DriverOptions, VolumeDriver } from "../../src/core/driver.ts";
import { parseHolderId, parseVolumeName } from "../../src/core/names.ts";
import { SecretValue } from "../../src/core/secret-store.ts";
import { openBenchFiles } from "../../src/daemon/bench-files.ts";
import { rcloneDriver } from "../../src/drivers/rclone/driver.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { eventually } from "../support/child.ts";
import { randomHex, temporaryFolder } from "../support/driver-benches.ts";
import {
  startWebdavServer,
  WEBDAV_PASSWORD,
  WEBDAV_USER,
  type WebdavServer,
} from "../support/labs/webdav-server.ts";
import { whenPossible } from "../support/needs.ts";
import { testOperation } from "../support/operation.ts";
import { withOwnSubpath } from "../support/own-subpath.ts";
import { obscured } from "../support/rclone-bench.ts";

const needed = ["root", "mount", "fuse", "rclone"] as const;
const name = parseVolumeName("wiki");
const holder = parseHolderId("c1");
const operation = testOperation();

interface Stage extends AsyncDisposable {
  readonly root: string;
  readonly server: WebdavServer;
  readonly driver: VolumeDriver;
  readonly options: DriverOptions;
}

async function stage(password = WEBDAV_PASSWORD): Promise<Stage> {
  const root = temporaryFolder("rclone");
  const server = await startWebdavServer();
  const text = `user = ${WEBDAV_USER}\npass = ${await obscured(password)}\n`;
  const secret = new SecretValue(new TextEncoder().encode(text));
  const driver = rcloneDriver({
    root,
    runDirectory: join(root, "run"),
    host: linuxHost(),
    secrets: { read: async () => secret },
  });
  return {
    ...{ root, server, driver },
    options: {
      ...{ remote: "webdav:", "webdav-url": server.url, "webdav-vendor": "other" },
      ...{ secret: "cloud", "write-back": "0.1", "dir-cache": "1" },
    },
    async [Symbol.asyncDispose]() {
      await driver.unmount(name, holder, operation).catch(() => undefined);
      await server[Symbol.asyncDispose]();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

describe("every promise of a driver", () => {
  let shared: Promise<Stage> | undefined;
  const leftBehind: string[] = [];
  afterAll(async () => await (await shared)?.[Symbol.asyncDispose]());

  async function openBench() {
    shared ??= stage();
    const { driver, options, root } = await shared;
    return openDriverBench({
      driver: withOwnSubpath(driver),
      files: openBenchFiles(join(root, "bench")),
      optionSets: [options, { ...options, "cache-size": "1G" }],
      randomHex,
      leftBehind: (what) => leftBehind.push(what),
    });
  }
  for (const check of volumeDriverChecks) {
    whenPossible(needed, check.promise, async () => {
      const outcome = await runCheck(check, openBench);
      if (outcome.outcome === "broken") throw outcome.error;
    });
  }
  test("leaves nothing behind", () => expect(leftBehind).toEqual([]));
});

whenPossible(needed, "a wrong password is refused at create, and is in no message", async () => {
  await using at = await stage("never-right-1");
  const made = at.driver.create({ name, options: at.options }, operation);
  const error: unknown = await made.catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "remote.denied" });
  expect(String(error)).not.toContain(await obscured("never-right-1"));
  expect(await at.driver.get(name, operation)).toEqual({ state: "absent" });
});

whenPossible(needed, "what is not there is refused at create", async () => {
  await using at = await stage();
  const options = { ...at.options, remote: "webdav:no/such" };
  const made = at.driver.create({ name, options }, operation);
  expect(made).rejects.toMatchObject({ code: "remote.not_found" });
  expect(readdirSync(at.server.folder)).toEqual([]);
});

whenPossible(
  needed,
  "a server that is away is said, and 5 s after its return all is well",
  async () => {
    await using at = await stage();
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
  await using at = await stage();
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
});

whenPossible(needed, "20 quick rounds leave no mount, process or credential behind", async () => {
  await using at = await stage();
  mkdirSync(join(at.server.folder, "rounds"));
  const options = { ...at.options, remote: "webdav:rounds" };
  await at.driver.create({ name, options }, operation);
  for (let round = 0; round < 20; round++) {
    const data = await at.driver.mount(name, holder, operation);
    writeFileSync(join(data, "round"), String(round));
    await at.driver.unmount(name, holder, operation);
    expect(readFileSync(join(at.server.folder, "rounds", "round"), "utf8")).toBe(String(round));
  }
  expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(at.root);
  const run = join(at.root, "run", "remote", "rclone", name);
  expect(readdirSync(run, { recursive: true })).toEqual([]);
  await at.driver.destroy(name, operation);
});
