// `holdfast lock acquire`, `renew`, `release`, `ls` and `steal` against a real daemon.
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runToEnd } from "../support/child.ts";
import { holdfastCommand, temporaryDirectory } from "../support/daemon.ts";
import { commandPid, lock, sleeper, startLock, until } from "./command-line.ts";
import { type LockStage, startedStage } from "./stage.ts";

/** A script with `holdfast` in front of its lines' `lock`. */
function script(stage: LockStage, text: string) {
  const file = join(temporaryDirectory(), "script");
  const words = [...holdfastCommand(), "--host", `unix://${stage.daemon.socketPath}`];
  writeFileSync(
    file,
    `holdfast() { ${words.map((word) => `'${word}'`).join(" ")} "$@"; }\n${text}`,
  );
  return runToEnd("sh", [file], { timeoutMs: 30_000 });
}

describe("a script", () => {
  test("has its lock until it ends, wherever in it the lock was taken", async () => {
    await using stage = await startedStage();
    const ended = await script(
      stage,
      "a=$(holdfast lock acquire wiki/a) || exit\n" +
        'b=$(holdfast lock acquire --volume wiki --format "{{.Token}} {{.Fence}}" b | cat)\n' +
        'echo "$a"; echo "$b"; echo $$\n' +
        "holdfast lock ls --format '{{.Volume}}/{{.Lock}} {{.Holder}}'\n",
    );
    const [a, b, pid, ...held] = ended.stdout.trim().split("\n");
    expect(a).toMatch(/^wiki\/a\/[0-9a-f]{32}$/);
    expect(b).toMatch(/^wiki\/b\/[0-9a-f]{32} \d{16}$/);
    expect(held).toEqual([`wiki/a sh (${pid})`, `wiki/b sh (${pid})`]);
    await until("their end", async () => (await stage.held()).length === 0);
  });

  test("has it too where it takes it through sudo, timeout or another shell", async () => {
    await using stage = await startedStage();
    const words = [...holdfastCommand(), "--host", `unix://${stage.daemon.socketPath}`];
    const acquire = `${words.join(" ")} lock acquire wiki`;
    const ended = await script(
      stage,
      `a=$(timeout 20 ${acquire}/a) || exit\n` +
        `b=$(setsid --wait timeout 20 sh -c "${acquire}/b") || exit\n` +
        "echo $$\n" +
        "holdfast lock ls --format '{{.Volume}}/{{.Lock}} {{.Holder}}'\n",
    );
    const [pid, ...held] = ended.stdout.trim().split("\n");
    expect(held).toEqual([`wiki/a sh (${pid})`, `wiki/b sh (${pid})`]);
    await until("their end", async () => (await stage.held()).length === 0);
  });

  test("gives it back before, and hears that it has lost it", async () => {
    await using stage = await startedStage();
    const ended = await script(
      stage,
      "a=$(holdfast lock acquire --ttl 20s wiki/a) || exit\n" +
        'holdfast lock renew --ttl 1h "$a" && holdfast lock release "$a"; echo $?\n' +
        'holdfast lock release "$a"; echo $?\n' +
        "a=$(holdfast lock acquire wiki/a) || exit\n" +
        "holdfast lock steal --force wiki/a; echo $?\n" +
        'holdfast lock renew "$a"; echo $?\n' +
        "holdfast lock steal --force wiki/a; echo $?\n" +
        "holdfast lock release wiki/a; echo $?\n",
    );
    const [until1h, ...rest] = ended.stdout.trim().split("\n");
    expect(Date.parse(until1h ?? "")).toBeGreaterThan(Date.now() + 3_500_000);
    expect(rest).toEqual(["0", "3", "wiki/a", "0", "4", "3", "2"]);
  });
});

describe("lock acquire", () => {
  test("waits as it is told, hangs on no process where that is asked, prints JSON", async () => {
    await using stage = await startedStage();
    const words = ["acquire", "--no-process", "--json", "wiki/a"];
    expect((await lock(stage, words)).exit).toBe(2);
    const taken = await lock(stage, [...words, "--ttl", "1m", "--label", "upload"]);
    const { token, id, fence, ...granted } = JSON.parse(taken.stdout);
    expect(token).toBe(`wiki/a/${id}`);
    expect(fence).toMatch(/^\d{16}$/);
    expect(granted).toMatchObject({ volume: "wiki", lock: "a", mode: "exclusive" });
    const refused = await lock(stage, ["acquire", "-n", "wiki/a"]);
    expect([refused.exit, refused.stdout]).toEqual([75, ""]);
    expect((await lock(stage, ["acquire", "-w", "0.2", "-E", "1", "wiki/a"])).exit).toBe(1);
    const waiting = startLock(stage, ["acquire", "--no-process", "--ttl=1m", "wiki/a"]);
    await until("who waits", async () => (await stage.held())[0]?.["waiting"] === 1);
    expect((await lock(stage, ["release", token])).exit).toBe(0);
    expect(await waiting.exit).toBe(0);
  });

  test("hangs on the process that is named", async () => {
    await using stage = await startedStage();
    const other = startLock(stage, ["run", "wiki/other", "--", ...sleeper]);
    const pid = await commandPid(other);
    expect((await lock(stage, ["acquire", "--pid", String(pid), "wiki/a"])).exit).toBe(0);
    expect(await stage.held()).toHaveLength(2);
    other.child.kill("SIGTERM");
    await other.exit;
    await until("their end", async () => (await stage.held()).length === 0);
  });
});

describe("lock acquire", () => {
  test.each([
    ["a template that cannot be read", 'holdfast lock acquire --format "{{.Bad}}" wiki/a'],
    ["an output that takes nothing", "holdfast lock acquire wiki/a > /dev/full"],
  ])("keeps no lock whose word was not printed: %s", async (_, line) => {
    await using stage = await startedStage();
    const ended = await script(stage, `${line}; echo $?\nholdfast lock ls -q\n`);
    expect(ended.stdout).toBe("1\n");
  });

  test("waits over a restart of the daemon", async () => {
    await using stage = await startedStage();
    const socketPath = join(temporaryDirectory(), "socket");
    await stage.daemon.stop();
    await stage.start({ socketPath });
    const words = ["acquire", "--no-process", "--ttl=5m", "wiki/a"];
    const { stdout } = await lock(stage, words);
    const waiting = startLock(stage, words);
    await until("who waits", async () => (await stage.held())[0]?.["waiting"] === 1);
    await stage.daemon.stop();
    await stage.start({ socketPath });
    await until("who waits again", async () => (await stage.held())[0]?.["waiting"] === 1);
    expect((await lock(stage, ["release", stdout.trim()])).exit).toBe(0);
    expect([await waiting.exit, waiting.stderr()]).toEqual([0, ""]);
  });
});

/** With the daemon at one place over its lives, and `wiki/a` held. */
async function heldStage() {
  const stage = await startedStage();
  const socketPath = join(temporaryDirectory(), "socket");
  await stage.daemon.stop();
  await stage.start({ socketPath });
  const { stdout } = await lock(stage, ["acquire", "--no-process", "--ttl=5m", "wiki/a"]);
  return { stage, token: stdout.trim(), again: () => stage.start({ socketPath }) };
}

describe("a daemon that is killed", () => {
  test("is waited for by lock acquire, which has one lock in the end", async () => {
    const { stage, token, again } = await heldStage();
    await using _stage = stage;
    const waiting = startLock(stage, ["acquire", "--no-process", "--ttl=5m", "wiki/a"]);
    await until("who waits", async () => (await stage.held())[0]?.["waiting"] === 1);
    await stage.daemon.kill();
    await again();
    await until("who waits again", async () => (await stage.held())[0]?.["waiting"] === 1);
    expect((await lock(stage, ["release", token])).exit).toBe(0);
    expect([await waiting.exit, waiting.stderr()]).toEqual([0, ""]);
    expect(await stage.held()).toHaveLength(1);
  });

  test("also where the wait is over, to say for sure that there is no lock", async () => {
    const { stage, again } = await heldStage();
    await using _stage = stage;
    const words = ["acquire", "--no-process", "--ttl=5m", "--wait=5s", "wiki/a"];
    const startedMs = performance.now();
    const waiting = startLock(stage, words);
    await until("who waits", async () => (await stage.held())[0]?.["waiting"] === 1);
    await stage.daemon.kill();
    await until("the end of the wait", () => performance.now() - startedMs > 6_000);
    await again();
    expect([await waiting.exit, waiting.stderr()]).toEqual([75, expect.stringContaining("has")]);
  });

  test("gives again what it had given, to who asks by the same id", async () => {
    const { stage, again } = await heldStage();
    await using _stage = stage;
    const body = { ttl: 300, id: "0123456789abcdef".repeat(2) };
    const { json } = await stage.take("b", body);
    expect(json["id"]).toBe(body.id);
    await stage.daemon.kill();
    await again();
    const after = await stage.take("b", body);
    expect([after.status, after.json["fence"]]).toEqual([200, json["fence"]]);
    expect(await stage.held()).toHaveLength(2);
  });
});

describe("lock steal", () => {
  test("wants a fence where several share the lock", async () => {
    await using stage = await startedStage();
    const readers = [1, 2].map(() => startLock(stage, ["run", "-s", "wiki/a", "--", ...sleeper]));
    await Promise.all(readers.map(commandPid));
    const refused = await lock(stage, ["steal", "-f", "wiki/a"]);
    expect([refused.exit, refused.stderr]).toEqual([2, expect.stringContaining("by --fence")]);
    const fence = String((await stage.held())[0]?.["fence"]);
    expect((await lock(stage, ["steal", "-f", "--fence", fence, "wiki/a"])).exit).toBe(0);
    expect((await stage.held()).map((one) => one["fence"])).not.toContain(fence);
    expect(await Promise.race(readers.map(({ exit }) => exit))).toBe(79);
    for (const { child } of readers) child.kill("SIGTERM");
    await Promise.all(readers.map(({ exit }) => exit));
  });
});
