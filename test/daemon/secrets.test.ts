// Secrets on a real daemon: kept over lives and kills, asked for without an echo, and nowhere.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { silentLog } from "../../src/core/operation.ts";
import type { SecretStore } from "../../src/core/secret-store.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { openSecrets } from "../../src/secrets/disk-secrets.ts";
import { runOnTerminal } from "../e2e/on-terminal.ts";
import { type Ended, eventually, runToEnd, startChild, stopChild } from "../support/child.ts";
import {
  holdfastCommand,
  type RunningDaemon,
  startDaemon,
  temporaryDirectory,
} from "../support/daemon.ts";
import { findLeaks, watchProcesses } from "../support/leaks.ts";

const timeoutMs = 60_000;
/** How often the daemon is killed while it writes. */
const killCount = 12;

let folder: string;
beforeEach(() => {
  folder = temporaryDirectory();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const root = () => join(folder, "root");
const keyFile = () => `${root()}.key`;

function start(): Promise<RunningDaemon> {
  return startDaemon({ root: root(), parameters: ["--log-level", "debug"] });
}

/** What a process of the command line prints; `input` is all that it can read. */
function holdfast(daemon: RunningDaemon, line: string, input = ""): Promise<Ended> {
  const [program, ...first] = holdfastCommand();
  const environment = { HOLDFAST_HOST: `unix://${daemon.socketPath}` };
  return runToEnd(program, [...first, ...line.split(" ")], { input, environment, timeoutMs });
}

async function printed(daemon: RunningDaemon, line: string, input = ""): Promise<string> {
  const { stdout, stderr, exit } = await holdfast(daemon, line, input);
  expect([line, stderr, exit]).toEqual([line, "", 0]);
  return stdout;
}

/** As another program sees them: only with the root and the key. */
function storeOf(): SecretStore {
  const parts = { root: root(), keyPath: keyFile(), host: linuxHost(), log: silentLog };
  return openSecrets(parts);
}

async function textOf(name: string): Promise<string> {
  return (await storeOf().read(name)).revealText();
}

test(
  "secrets are kept over lives of the daemon, and their key lies outside of the root",
  async () => {
    {
      await using daemon = await start();
      expect(existsSync(keyFile())).toBe(false);
      expect(await printed(daemon, "secret create nas", "hunter2\n")).toBe("nas\n");
      writeFileSync(join(folder, "file"), "from a file");
      await printed(daemon, `secret create file ${folder}/file`);
      await printed(daemon, "secret create smb - --field username=bob", "hunter3\n");
      const taken = await holdfast(daemon, "secret create nas", "hunter4");
      expect([taken.exit, taken.stderr]).toEqual([4, expect.stringContaining("--replace")]);
    }
    await using daemon = await start();
    expect(await printed(daemon, "secret ls -q")).toBe("file\nnas\nsmb\n");
    expect(await textOf("nas")).toBe("hunter2");
    expect(await textOf("file")).toBe("from a file");
    expect(await textOf("smb")).toBe("username=bob\npassword=hunter3");
    const meant = await holdfast(daemon, "secret rm nsa");
    expect([meant.exit, meant.stderr]).toEqual([
      3,
      expect.stringContaining("there is no secret nsa"),
    ]);
    expect(await printed(daemon, "__complete secret rm n")).toBe("nas\n");
    expect(await printed(daemon, "secret rm nas smb")).toBe("nas\nsmb\n");
    expect(readdirSync(join(root(), "secrets"))).toEqual(["file"]);
  },
  timeoutMs,
);

test(
  "a key that is gone, another key and a damaged file are told, and stop nothing else",
  async () => {
    {
      await using daemon = await start();
      for (const name of ["nas", "s3"]) await printed(daemon, `secret create ${name}`, name);
    }
    writeFileSync(join(root(), "secrets", "s3"), "damaged");
    renameSync(keyFile(), `${keyFile()}.old`);
    await using daemon = await start();
    expect(daemon.output()).toContain(`the key file ${keyFile()} is missing`);
    expect(await printed(daemon, "secret ls")).toMatch(/PROBLEM\nnas .*missing\ns3 .*damaged\n$/);
    expect((await holdfast(daemon, "info")).stderr).toContain("secret inspect`: nas, s3.");
    const refused = await holdfast(daemon, "secret create new", "x");
    expect([refused.exit, refused.stderr]).toEqual([9, expect.stringContaining("is missing")]);
    expect(refused.stderr).toContain("Put the key file back");
    expect(existsSync(keyFile())).toBe(false);
    expect(await printed(daemon, "volume create v1")).toBe("v1\n");
    // The way out that the message names, and what it costs.
    const anew = await holdfast(daemon, "secret create --replace s3", "anew");
    expect([anew.exit, anew.stdout, anew.stderr]).toEqual([
      0,
      "s3\n",
      expect.stringContaining("nas"),
    ]);
    expect(await textOf("s3")).toBe("anew");
    expect(await printed(daemon, "secret inspect nas")).toContain("was sealed with the key");
    renameSync(`${keyFile()}.old`, keyFile());
    expect(await textOf("nas")).toBe("nas");
  },
  timeoutMs,
);

test(
  "a secret that is typed is not shown, and must be the same twice",
  async () => {
    await using daemon = await start();
    const environment = {
      PATH: process.env["PATH"] ?? "",
      HOLDFAST_HOST: `unix://${daemon.socketPath}`,
    };
    const type = (line: string, answers: readonly string[]) =>
      runOnTerminal({ command: [...holdfastCommand(), ...line.split(" ")], environment, answers });
    const kept = await type("secret create nas", ["hunter2x\x7f", "hunter2"]);
    expect(kept).toEqual({
      text: "secret (it is not shown): \nonce more: \nnas\n",
      exit: 0,
    });
    expect(await textOf("nas")).toBe("hunter2");
    const other = await type("secret create off", ["hunter2", "hunter3"]);
    expect([other.exit, other.text]).toEqual([2, expect.stringContaining("not the same twice")]);
    const fields = "secret create s3 --field access_key_id=AK --field secret_access_key";
    expect((await type(fields, ["hunter4", "hunter4"])).exit).toBe(0);
    expect(await textOf("s3")).toBe("access_key_id=AK\nsecret_access_key=hunter4");
    const interrupted = await type("secret create off", ["hunter2\x03"]);
    expect([interrupted.exit, interrupted.text]).toEqual([
      130,
      expect.not.stringContaining("hunter"),
    ]);
    expect(
      storeOf()
        .list()
        .map(({ name }) => name),
    ).toEqual(["nas", "s3"]);
  },
  timeoutMs,
);

/** Sends values at once; resolves with those that were acknowledged. */
async function putAll(
  daemon: RunningDaemon,
  values: readonly (readonly [name: string, value: string])[],
): Promise<readonly (readonly [name: string, value: string])[]> {
  const answers = values.map(async ([name, value]) => {
    const body = JSON.stringify({ value: btoa(value), replace: true });
    const headers = { "Content-Type": "application/json" };
    const url = `http://localhost/holdfast/v1/secrets/${name}`;
    const request = { method: "PUT", unix: daemon.socketPath, headers, body };
    const answer = await fetch(url, request).catch(() => undefined);
    return answer?.status === 200;
  });
  const isAcknowledged = await Promise.all(answers);
  return values.filter((_, index) => isAcknowledged[index]);
}

test(
  `the old value or a new one is there after ${killCount} kills, and what was acknowledged`,
  async () => {
    let before = "";
    let unansweredCount = 0;
    for (let round = 0; round < killCount; round++) {
      const daemon = await start();
      const values = Array.from({ length: 40 }, (_, index) => {
        const name = index % 2 === 0 ? "nas" : `n${round}-${index}`;
        return [name, `value ${round}-${index}`] as const;
      });
      const putting = putAll(daemon, values);
      await Bun.sleep(round * 2);
      await daemon.kill();
      const acknowledged = await putting;
      unansweredCount += values.length - acknowledged.length;
      const store = storeOf();
      const names = new Set(store.list().map(({ name }) => name));
      for (const [name, value] of values.filter((each) => each[0] !== "nas")) {
        if (acknowledged.some((each) => each[0] === name)) expect(names).toContain(name);
        if (names.has(name)) expect(await textOf(name)).toBe(value);
      }
      if (!names.has("nas")) {
        expect([before, acknowledged.length]).toEqual(["", 0]);
        continue;
      }
      const now = await textOf("nas");
      const sent = values.filter(([name]) => name === "nas").map(([, value]) => value);
      const isOldFine = !acknowledged.some(([name]) => name === "nas");
      expect(isOldFine ? [...sent, before] : sent).toContain(now);
      before = now;
    }
    // Otherwise it was killed when all was over.
    expect(unansweredCount).toBeGreaterThan(killCount);
  },
  2 * timeoutMs,
);

test(
  "the value of a secret is nowhere",
  async () => {
    const marker = `Marker${randomBytes(12).toString("hex")}`;
    await using watch = watchProcesses(marker);
    await using daemon = await start();
    const outputs: Ended[] = [];
    const run = async (line: string, input?: string) =>
      void outputs.push(await holdfast(daemon, line, input));
    writeFileSync(join(folder, "file"), marker);
    await run("secret create nas", marker);
    await run("secret create nas", marker);
    await run("secret create --replace nas -", `${marker}\n`);
    await run(`secret create file ${folder}/file`);
    await run("secret create smb --field username=bob --json", marker);
    await run("secret create bad..name/ --json", marker);
    await run("secret create big", marker.repeat(5_000));
    await run("volume create -o secret=nas v1");
    await run("volume create v1");
    await run("secret inspect nas file smb none");
    await run("secret ls --json");
    rmSync(keyFile());
    await run("secret create other", marker);
    await run("secret create --replace nas", marker);
    await run("events --since 10m --until 0m");
    await run("volume inspect --full v1");
    await run("secret rm file");
    expect(outputs.map(({ exit }) => exit)).toContain(9);
    const texts = { output: JSON.stringify(outputs), log: daemon.output() };
    const question = { marker, daemon, texts, names: ["nas", "smb", "none", "v1"] };
    expect(await findLeaks(question)).toEqual([]);
    expect(await watch.found()).toEqual([]);
    expect(watch.lookCount).toBeGreaterThan(10);
    expect(await textOf("nas")).toBe(marker);
    await daemon.stop();
    const left = readdirSync(root(), { recursive: true }).map(String);
    expect(left).toContain(join("secrets", "nas"));
  },
  timeoutMs,
);

test(
  "a leak is found: in a text, a file, arguments, an environment, an answer",
  async () => {
    const marker = `Marker${randomBytes(12).toString("hex")}`;
    await using daemon = await start();
    await printed(daemon, "volume create --label password=none v1");
    await printed(daemon, `volume create --label key=${marker} v2`);
    for (const [name, text] of Object.entries({
      plain: `x${marker}y`,
      coded: btoa(`user:${marker}:more`),
      hex: Buffer.from(marker).toString("hex"),
    })) {
      writeFileSync(join(root(), "volumes", name), text);
    }
    const child = startChild("sleep", ["60"], { PASSWORD: marker });
    const other = startChild("grep", [marker]);
    try {
      // A process has the arguments of its parent until it runs its program.
      await eventually(
        () => readFileSync(`/proc/${other.pid}/cmdline`, "utf8").includes(marker) || undefined,
        { timeoutMs, otherwise: () => "grep does not run" },
      );
      const texts = { log: marker, fine: "x" };
      const leaks = (await findLeaks({ marker, daemon, texts, names: ["v1", "v2"] })).join("\n");
      for (const place of [
        "log has it",
        ...["plain", "coded", "hex"].map((name) => `file ${root()}/volumes/${name}`),
        `environ of process ${child.pid} (sleep)`,
        `cmdline of process ${other.pid} (grep)`,
        "GET /volumes/v2",
        "GET /holdfast/v1/volumes/v2",
        "state.db",
      ]) {
        expect(leaks).toContain(place);
      }
      expect(leaks).not.toContain("fine");
      expect(leaks).not.toMatch(/GET \/volumes\/v1$/m);
    } finally {
      await stopChild(child);
      await stopChild(other);
    }
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(marker);
  },
  timeoutMs,
);
