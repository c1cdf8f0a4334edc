// `holdfast lock run --file` and flock(1): each keeps the other out, nothing hangs or leads out.
import { describe, expect } from "bun:test";
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runToEnd, startChild, stopChild } from "../support/child.ts";
import { temporaryDirectory } from "../support/daemon.ts";
import { whenPossible } from "../support/needs.ts";
import { startSwapLoop } from "../support/swap-loop.ts";
import { commandPid, lives, lock, sleeper, startLock, until } from "./command-line.ts";
import { type LockStage, startedStage } from "./stage.ts";

/** flock(1) comes with it. */
const utilLinux = ["unshare"] as const;

async function dataOf(stage: LockStage): Promise<string> {
  const { json } = await stage.call("GET", "holdfast/v1/volumes/wiki");
  return String(json["mountpoint"]);
}

/** 1: somebody has it. */
async function flockOnce(...words: readonly string[]): Promise<number> {
  const options = { timeoutMs: 20_000 };
  return (await runToEnd("flock", ["--nonblock", ...words, "true"], options)).exit;
}

describe("a file that is locked too", () => {
  whenPossible(utilLinux, "keeps flock(1) out until the command has ended", async () => {
    await using stage = await startedStage();
    const file = join(await dataOf(stage), "site.lock");
    const running = startLock(stage, ["run", "--file", "site.lock", "wiki/a", "--", ...sleeper]);
    const pid = await commandPid(running);
    expect(await flockOnce(file)).toBe(1);
    running.child.kill("SIGTERM");
    expect([await running.exit, lives(pid)]).toEqual([128 + 15, false]);
    expect(await flockOnce(file)).toBe(0);

    const shared = ["run", "--shared", "--file", "/site.lock", "wiki/a", "--", ...sleeper];
    const reader = startLock(stage, shared);
    await commandPid(reader);
    expect([await flockOnce("--shared", file), await flockOnce(file)]).toEqual([0, 1]);
    reader.child.kill("SIGTERM");
    await reader.exit;
  });

  whenPossible(
    utilLinux,
    "is held by what a killed command has left, and ends with it",
    async () => {
      await using stage = await startedStage();
      const file = join(await dataOf(stage), "f");
      const script = "sleep 600 & echo pid $!; wait";
      const running = startLock(stage, ["run", "--file=f", "wiki/a", "--", "sh", "-c", script]);
      const left = await commandPid(running);
      running.child.kill("SIGKILL");
      await until("the end of the lock", async () => (await stage.held()).length === 0);
      expect([lives(left), await flockOnce(file)]).toEqual([true, 1]);
      const next = await lock(stage, ["run", "-n", "--file=f", "wiki/a", "--", "true"]);
      expect([next.exit, next.stderr]).toEqual([75, "holdfast: somebody else has f locked\n"]);
      process.kill(left, "SIGKILL");
      await until("its end", async () => (await flockOnce(file)) === 0);
    },
  );

  whenPossible(utilLinux, "is waited for within the same time", async () => {
    await using stage = await startedStage();
    const file = join(await dataOf(stage), "f");
    const holder = startChild("flock", [file, "sleep", "600"]);
    await until("flock(1)", async () => existsSync(file) && (await flockOnce(file)) === 1);
    const late = await lock(stage, [
      "run",
      "-w",
      "0.3s",
      "--file=f",
      "wiki/a",
      "--",
      "echo",
      "ran",
    ]);
    expect([late.exit, late.stdout]).toEqual([75, ""]);
    expect(await stage.held()).toEqual([]);
    const patient = startLock(stage, ["run", "--file=f", "wiki/a", "--", "echo", "ran"]);
    await until("the lock", async () => (await stage.held()).length === 1);
    await stopChild(holder);
    // Its sleep has the descriptor, as ours would have it.
    const sleeping = startLock(stage, ["run", "--file=g", "wiki/b", "--", "true"]);
    expect(await sleeping.exit).toBe(0);
    expect([patient.stdout(), patient.child.exitCode]).toEqual(["", null]);
    patient.child.kill("SIGKILL");
    await patient.exit;
  });

  whenPossible(utilLinux, "is none outside of the volume, and none that is not there", async () => {
    await using stage = await startedStage();
    const data = await dataOf(stage);
    const outside = join(temporaryDirectory(), "outside");
    writeFileSync(outside, "");
    symlinkSync(outside, join(data, "link"));
    symlinkSync("inner", join(data, "inward"));
    mkdirSync(join(data, "folder"));
    const pipe = await runToEnd("mkfifo", [join(data, "pipe")], { timeoutMs: 10_000 });
    expect(pipe.exit).toBe(0);
    const cases = [
      ["link", "the path of the file leads out of the volume"],
      ["../../escape", "the path of the file leads out of the volume"],
      ["no/such", "there is no such directory for the file in the volume"],
      ["folder", "the path of the file is that of a directory"],
      ["link/x", "the path of the file leads out of the volume"],
      ["pipe", "the path of the file is that of a device, a pipe or a socket"],
      ["inward", "the path of the file is a link to what is not there"],
    ] as const;
    for (const [path, why] of cases) {
      const ended = await lock(stage, ["run", "--file", path, "wiki/a", "--", "echo", "ran"]);
      expect([path, ended.exit, ended.stdout, ended.stderr]).toEqual([
        path,
        125,
        "",
        `holdfast: ${why}\n`,
      ]);
    }
    expect(existsSync(join(data, "inner"))).toBe(false);
    writeFileSync(join(data, "inner"), "");
    expect((await lock(stage, ["run", "--file=inward", "wiki/a", "--", "true"])).exit).toBe(0);
    expect(await stage.held()).toEqual([]);
  });

  whenPossible(
    ["root", ...utilLinux],
    "is no device, which would act on being opened, however often it is put in its place",
    async () => {
      await using stage = await startedStage();
      const data = await dataOf(stage);
      // Nothing has this number: whoever opens it all the same is told so in other words.
      const words = [join(data, "device"), "c", "240", "0"];
      const made = await runToEnd("mknod", words, { timeoutMs: 10_000 });
      expect(made.exit).toBe(0);
      const run = (path: string) =>
        lock(stage, ["run", "-n", "--file", path, "wiki/a", "--", "true"]);
      const device = "holdfast: the path of the file is that of a device, a pipe or a socket\n";
      expect(await run("device")).toMatchObject({ exit: 125, stderr: device });
      writeFileSync(join(data, "file"), "");
      await using _swapping = await startSwapLoop(join(data, "file"), join(data, "device"));
      for (let count = 0; count < 10; count += 1) {
        const { exit, stderr } = await run("file");
        expect(exit === 0 ? "" : stderr).toBeOneOf(["", device]);
      }
    },
    60_000,
  );

  whenPossible(
    ["root", "mount", ...utilLinux],
    "is one of a volume that is mounted for it",
    async () => {
      await using stage = await startedStage();
      const options = { type: "tmpfs", device: "tmpfs", o: "size=1m" };
      await stage.call("POST", "volumes/create", { Name: "mem", DriverOpts: options });
      const script = 'stat -f -c %T "/proc/self/fd/$(ls /proc/$$/fd | tail -1)"; cat /proc/locks';
      const words = ["run", "--file=f", "mem/a", "--", "sh", "-c", script];
      const ended = await lock(stage, words);
      expect([ended.exit, ended.stderr]).toEqual([0, ""]);
      const volume = async () => (await stage.call("GET", "holdfast/v1/volumes/mem")).json;
      expect((await volume())["holders"]).toEqual([]);

      // Who has the volume is for all to see; the id, which lets go of the lock, is not.
      const shown = ["sh", "-c", "echo id $HOLDFAST_LOCK_ID; echo pid $$; exec sleep 600"];
      const shared = startLock(stage, ["run", "--shared", "--file=f", "mem/a", "--", ...shown]);
      await commandPid(shared);
      const id = /^id ([0-9a-f]{32})$/m.exec(shared.stdout())?.[1] ?? "none";
      expect(JSON.stringify(await volume())).toContain("lock run a ");
      expect(JSON.stringify(await volume())).not.toContain(id);
      shared.child.kill("SIGTERM");
      await shared.exit;
    },
  );
});
