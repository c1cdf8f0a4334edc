// A secret that a volume logs in with: nowhere while it does, given anew while it is mounted, kept.
import { afterEach, beforeEach, expect } from "bun:test";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runDirectoryOf } from "../../src/daemon/run-directory.ts";
import { parseMountTable } from "../../src/host/mount-table.ts";
import { type Ended, runToEnd } from "../support/child.ts";
import {
  holdfastCommand,
  type RunningDaemon,
  startDaemon,
  temporaryDirectory,
} from "../support/daemon.ts";
import { type SshServer, startSshServer } from "../support/labs/ssh-server.ts";
import {
  startWebdavServer,
  WEBDAV_USER,
  type WebdavServer,
} from "../support/labs/webdav-server.ts";
import { findLeaks, watchProcesses } from "../support/leaks.ts";
import { whenPossible } from "../support/needs.ts";

const timeoutMs = 60_000;

let folder: string;
let daemon: RunningDaemon;
beforeEach(async () => {
  folder = temporaryDirectory();
  daemon = await startDaemon({ root: join(folder, "root"), parameters: ["--log-level", "debug"] });
});
afterEach(async () => {
  await daemon.stop();
  for (const target of mounted()) await runToEnd("umount", ["-l", target], { timeoutMs: 10_000 });
  await runToEnd("chattr", ["-R", "-f", "-i", folder], { timeoutMs: 10_000 });
  rmSync(folder, { recursive: true, force: true });
});

function mounted(): readonly string[] {
  const table = parseMountTable(readFileSync("/proc/self/mountinfo", "utf8"));
  return table.map(({ target }) => target).filter((target) => target.startsWith(folder));
}

function marker(): string {
  return `Marker${randomBytes(12).toString("hex")}`;
}

const outputs: Ended[] = [];

async function holdfast(words: readonly string[], input = ""): Promise<Ended> {
  const [program, ...first] = holdfastCommand();
  const environment = { HOLDFAST_HOST: `unix://${daemon.socketPath}` };
  const ended = await runToEnd(program, [...first, ...words], { input, environment, timeoutMs });
  outputs.push(ended);
  return ended;
}

async function done(words: readonly string[], input = ""): Promise<Ended> {
  const ended = await holdfast(words, input);
  expect([words, ended.stderr, ended.exit]).toEqual([words, "", 0]);
  return ended;
}

/** Somebody has the volume; answers where its data is. */
async function hold(name: string, method = "PUT"): Promise<string> {
  const url = `http://localhost/holdfast/v1/volumes/${name}/holders/one`;
  const answer = await fetch(url, { method, unix: daemon.socketPath });
  const text = await answer.text();
  expect([answer.ok, text]).toEqual([true, expect.anything()]);
  return text === "" ? "" : String(JSON.parse(text).path);
}

async function create(name: string, driver: string, options: Readonly<Record<string, string>>) {
  const words = Object.entries(options).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  return await holdfast(["volume", "create", "-d", driver, ...words, name]);
}

async function leaks(value: string): Promise<readonly string[]> {
  const texts = { commands: JSON.stringify(outputs), log: daemon.output() };
  const run = runDirectoryOf(daemon.root);
  const credentials = existsSync(run) ? { credentials: run } : {};
  const question = { marker: value, daemon, texts, names: ["nas", "wiki"], ...credentials };
  return await findLeaks(question);
}

whenPossible(
  ["root", "mount", "fuse", "sshfs", "sshd", "openssl"],
  "the password of sshfs is nowhere, from a wrong one to a new one",
  async () => {
    const [right, wrong] = [marker(), marker()];
    const exported = join(folder, "exported");
    mkdirSync(exported);
    writeFileSync(join(exported, "page"), "orders");
    await using server: SshServer = await startSshServer(join(folder, "ssh"), { password: right });
    await using watch = watchProcesses(right);
    await using other = watchProcesses(wrong);
    const [kind, key] = readFileSync(join(server.folder, "host.pub"), "utf8").split(" ");
    const options = {
      ...{ host: "root@127.0.0.1", port: String(server.port), path: exported, secret: "nas" },
      "host-key": `${kind} ${key}`,
    };
    await done(["secret", "create", "nas"], wrong);
    const refused = await create("wiki", "sshfs", options);
    expect([refused.exit, refused.stderr]).toEqual([1, expect.stringMatching(/password|denied/i)]);
    await done(["secret", "create", "--replace", "nas"], right);
    expect(await create("wiki", "sshfs", options)).toMatchObject({ stderr: "", exit: 0 });
    const path = await hold("wiki");
    expect(readFileSync(join(path, "page"), "utf8")).toBe("orders");
    // A new value is tried at the server, and stays, whatever it says.
    const failed = await holdfast(["secret", "create", "--replace", "nas"], wrong);
    expect([failed.exit, failed.stderr]).toEqual([
      8,
      expect.stringContaining("wiki has not taken"),
    ]);
    expect(readFileSync(join(path, "page"), "utf8")).toBe("orders");
    const put = JSON.parse(
      (await done(["secret", "create", "--replace", "--json", "nas"], right)).stdout,
    );
    // sshfs keeps the password that it was started with.
    expect(put.refreshed).toEqual([{ volume: "wiki", outcome: "next mount", reason: null }]);
    const kept = await holdfast(["secret", "rm", "nas"]);
    expect([kept.exit, kept.stderr]).toEqual([4, expect.stringContaining("in use by wiki")]);
    expect([await leaks(right), await leaks(wrong)]).toEqual([[], []]);
    await hold("wiki", "DELETE");
    await done(["volume", "rm", "wiki"]);
    expect([await leaks(right), await leaks(wrong)]).toEqual([[], []]);
    expect([await watch.found(), await other.found()]).toEqual([[], []]);
    expect(watch.lookCount).toBeGreaterThan(10);
  },
  2 * timeoutMs,
);

whenPossible(
  ["root", "mount", "fuse", "rclone"],
  "the password of rclone's configuration is nowhere",
  async () => {
    await using server: WebdavServer = await startWebdavServer();
    // The server's own process has its password among its arguments.
    const wrong = marker();
    await using watch = watchProcesses(wrong);
    const options = {
      ...{ remote: "webdav:", "webdav-url": server.url, "webdav-vendor": "other", secret: "nas" },
    };
    await done(
      ["secret", "create", "nas", "--field", `user=${WEBDAV_USER}`, "--field", "pass"],
      wrong,
    );
    const refused = await create("wiki", "rclone", options);
    expect([refused.exit, refused.stdout]).toEqual([1, ""]);
    const untested = await create("wiki", "rclone", { ...options, test: "off" });
    expect([untested.exit, untested.stderr]).toEqual([0, ""]);
    expect(await leaks(wrong)).toEqual([]);
    expect(await watch.found()).toEqual([]);
  },
  2 * timeoutMs,
);
