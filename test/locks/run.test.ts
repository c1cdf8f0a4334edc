// `holdfast lock run` as a process against a real daemon: who runs when, and how everything ends.
import { describe, expect, test } from "bun:test";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../support/daemon.ts";
import {
  commandPid,
  lives,
  lock,
  type Running,
  sleeper,
  startLock,
  until,
} from "./command-line.ts";
import { LockStage, startedStage } from "./stage.ts";

function heldBy(stage: LockStage): Promise<unknown> {
  return until("a holder", async () => (await stage.held()).length > 0);
}

/** A command that counts a signal, and ends at a line of its input. */
function counter(name: string): readonly string[] {
  const script = `n=0; trap 'n=$((n+1)); echo "${name} $n"' ${name}; echo pid $$;`;
  return ["sh", "-c", `${script} while ! read line; do :; done; echo "all $n"; exit 9`];
}

describe("a command", () => {
  test("gets words, input and environment as they are, and gives what it prints", async () => {
    await using stage = await startedStage();
    const words = ["a b", "$HOME", "*", "", "ü", "--json", "-n"];
    const script = 'cat; printf "<%s>" "$@"; echo; env | grep ^HOLDFAST_; echo err >&2; exit 7';
    const command = ["sh", "-c", script, "sh", ...words];
    const ended = await lock(
      stage,
      ["run", "--volume", "wiki", "a", "--", ...command],
      "in\0put\n",
    );
    const lines = ended.stdout.split("\n");
    const [held = "", ...rest] = lines.filter((line) => line.includes("FENCE"));
    expect(rest).toEqual([]);
    expect(held).toMatch(/^HOLDFAST_LOCK_FENCE=\d{16}$/);
    expect(ended.stdout).toStartWith(`in\0put\n${words.map((word) => `<${word}>`).join("")}\n`);
    expect(ended.stdout).toContain("HOLDFAST_VOLUME=wiki\n");
    expect(ended.stdout).toContain("HOLDFAST_LOCK_NAME=a\n");
    expect(ended.stdout).toMatch(/^HOLDFAST_LOCK_ID=[0-9a-f]{32}$/m);
    expect([ended.exit, ended.stderr]).toEqual([7, "err\n"]);
    expect(await stage.held()).toEqual([]);
  });

  test("gets bytes that are no text, descriptors and limits", async () => {
    await using stage = await startedStage();
    const file = join(temporaryDirectory(), "in");
    writeFileSync(file, "from nine\n");
    // Perl hands on bytes and a descriptor, which neither Node nor Bun can.
    const code =
      'use Fcntl; open(F, "<", shift) or die; require POSIX; POSIX::dup2(fileno(F), 9);' +
      '$ENV{ODD} = "e\\xff"; push @ARGV, "w\\xfe"; exec @ARGV';
    const limited = 'ulimit -Sn 300; "$@"; exit $?';
    const through = ["sh", "-c", limited, "sh", "perl", "-e", code, file];
    const script =
      'cat <&9; printf %s "$1$ODD" | od -An -tx1; ulimit -n; grep SigIgn /proc/self/status';
    const running = startLock(stage, ["run", "wiki/a", "--", "sh", "-c", script, "sh"], through);
    expect([await running.exit, running.stderr()]).toEqual([0, ""]);
    const [nine, bytes, limit, ignored] = running.stdout().split("\n");
    expect([nine, bytes, limit]).toEqual(["from nine", " 77 fe 65 ff", "300"]);
    // Neither SIGPIPE (13) nor SIGXFSZ (25), which our runtime ignores.
    const mask = BigInt(`0x${ignored?.split(/\s+/)[1]}`);
    expect(mask & ((1n << 12n) | (1n << 24n))).toBe(0n);
  });

  test("that cannot be started ends as a shell says it, and the lock is free", async () => {
    await using stage = await startedStage();
    const words = ["run", "wiki/a", "--", "there-is-no-such-program", "--json"];
    const missing = await lock(stage, words);
    expect([missing.exit, missing.stderr]).toEqual([
      127,
      'holdfast: there is no program "there-is-no-such-program"\n',
    ]);
    const file = await lock(stage, ["run", "wiki/a", "--", "/etc/passwd"]);
    expect([file.exit, file.stderr]).toEqual([126, "holdfast: /etc/passwd cannot be executed\n"]);
    const killed = await lock(stage, ["run", "wiki/a", "--", "sh", "-c", "kill -KILL $$"]);
    expect(killed.exit).toBe(128 + 9);
    const nowhere = await lock(stage, ["run", "nowhere/a", "--", "true"]);
    expect([nowhere.exit, nowhere.stderr]).toEqual([
      125,
      expect.stringContaining("no such volume"),
    ]);
    expect((await lock(stage, ["run", "a", "--", "true"])).exit).toBe(125);
    expect((await lock(stage, ["run", "wiki/a"])).exit).toBe(125);
    expect(await stage.held()).toEqual([]);
  });
});

describe("waiting", () => {
  test("ends in time with 75 or what is asked for, and nothing has been started", async () => {
    await using stage = await startedStage();
    const holder = startLock(stage, ["run", "wiki/a", "--", ...sleeper]);
    await commandPid(holder);
    const at = performance.now();
    const refused = await lock(stage, ["run", "--nonblock", "wiki/a", "--", "echo", "ran"]);
    expect([refused.exit, refused.stdout]).toEqual([75, ""]);
    expect(refused.stderr).toContain("the lock wiki/a was not free in time: ");
    const late = await lock(stage, ["run", "-w", "0.3", "-E", "9", "wiki/a", "--", "echo", "ran"]);
    expect([late.exit, late.stdout]).toEqual([9, ""]);
    expect(performance.now() - at).toBeGreaterThan(300);
    const other = await lock(stage, ["run", "--nonblock", "wiki/b", "--", "echo", "ran"]);
    expect([other.exit, other.stdout]).toEqual([0, "ran\n"]);
    holder.child.kill("SIGTERM");
    expect(await holder.exit).toBe(128 + 15);
  });

  test("is first come first served, never two at once, and shared ones run together", async () => {
    await using stage = await startedStage();
    const log = join(temporaryDirectory(), "log");
    const holder = startLock(stage, ["run", "wiki/a", "--", ...sleeper]);
    await commandPid(holder);
    const waiting: Running[] = [];
    for (let number = 1; number <= 5; number++) {
      const script = `echo +${number} >>"$1"; sleep 0.05; echo -${number} >>"$1"`;
      waiting.push(startLock(stage, ["run", "wiki/a", "--", "sh", "-c", script, "sh", log]));
      await until("its place", async () => (await stage.held())[0]?.["waiting"] === number);
    }
    holder.child.kill("SIGTERM");
    expect(await Promise.all(waiting.map(({ exit }) => exit))).toEqual([0, 0, 0, 0, 0]);
    const inTurn = [1, 2, 3, 4, 5].map((number) => `+${number}\n-${number}\n`).join("");
    expect(readFileSync(log, "utf8")).toBe(inTurn);

    const readers = [1, 2].map(() => startLock(stage, ["run", "-s", "wiki/a", "--", ...sleeper]));
    await Promise.all(readers.map(commandPid));
    expect((await lock(stage, ["run", "-n", "wiki/a", "--", "true"])).exit).toBe(75);
    for (const { child } of readers) child.kill("SIGTERM");
    await Promise.all(readers.map(({ exit }) => exit));
  });
});

describe("signals", () => {
  test.each(["INT", "TERM", "HUP", "QUIT", "USR1", "USR2"] as const)(
    "SIG%s reaches the command once, and the command decides",
    async (name) => {
      await using stage = await startedStage();
      const running = startLock(stage, ["run", "wiki/a", "--", ...counter(name)]);
      await commandPid(running);
      running.child.kill(`SIG${name}`);
      await until("the signal", () => running.stdout().includes(`${name} 1`));
      running.child.stdin?.write("end\n");
      expect(await running.exit).toBe(9);
      expect(running.stdout()).toContain("all 1\n");
      expect(await stage.held()).toEqual([]);
    },
  );

  test("are the command's without setpriv(1), too, and so is our end", async () => {
    await using stage = await startedStage();
    const without = temporaryDirectory();
    for (const program of ["sh", "sleep"]) {
      symlinkSync(Bun.which(program) ?? "", join(without, program));
    }
    const words = ["run", "wiki/a", "--", "sh", "-c", 'echo pid $$; test "$PATH" && sleep 600'];
    const running = startLock(stage, words, ["env", `PATH=${without}`]);
    const pid = await commandPid(running);
    expect((await stage.held())[0]).toMatchObject({ holder: { label: "sh" } });
    running.child.kill("SIGKILL");
    await until("the command's end", () => !lives(pid));
    await until("the end of the lock", async () => (await stage.held()).length === 0);
  });

  test("what nohup ignores stays ignored", async () => {
    await using stage = await startedStage();
    const running = startLock(stage, ["run", "wiki/a", "--", ...sleeper], ["nohup"]);
    const pid = await commandPid(running);
    const ignored = /SigIgn:\s*(\w+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    expect(BigInt(`0x${ignored}`) & 1n).toBe(1n);
    running.child.kill("SIGHUP");
    running.child.kill("SIGTERM");
    expect(await running.exit).toBe(128 + 15);
  });

  test("kill -9 of lock run ends the command, and frees the lock at once", async () => {
    await using stage = await startedStage();
    const running = startLock(stage, ["run", "wiki/a", "--", ...sleeper]);
    const pid = await commandPid(running);
    const next = startLock(stage, ["run", "wiki/a", "--", "echo", "mine"]);
    await until("who waits", async () => (await stage.held())[0]?.["waiting"] === 1);
    const at = performance.now();
    running.child.kill("SIGKILL");
    await until("the command's end", () => !lives(pid));
    expect(await next.exit).toBe(0);
    expect([next.stdout(), performance.now() - at < 5_000]).toEqual(["mine\n", true]);
  });
});

test("a lock is renewed for as long as the command runs", async () => {
  await using stage = await startedStage();
  const running = startLock(stage, ["run", "--ttl", "2s", "wiki/a", "--", "sleep", "5"]);
  expect([await running.exit, running.stderr()]).toEqual([0, ""]);
});

describe("a lost lock", () => {
  test("ends the command and what it started: SIGTERM, then SIGKILL", async () => {
    await using stage = await startedStage();
    const script = "trap '' TERM; echo pid $$; sleep 600 & while :; do wait; sleep 0.1; done";
    const words = ["run", "--kill-after", "0.3", "wiki/a", "--", "sh", "-c", script];
    const running = startLock(stage, words);
    const pid = await commandPid(running);
    const children = () => readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    const started = Number(await until("its child", () => children()));
    const stolen = await lock(stage, ["steal", "--force", "wiki/a"]);
    expect([stolen.exit, stolen.stdout]).toEqual([0, "wiki/a\n"]);
    expect(await running.exit).toBe(79);
    expect([lives(pid), lives(started)]).toEqual([false, false]);
    const said = running.stderr();
    expect(said).toMatch(/^holdfast: the lock wiki\/a \(fence \d+\) is lost: .* taken away by .*;/);
    expect(said).toEndWith("; SIGTERM to the command, and SIGKILL in 0.3 s\n");
  });

  test("is 79 also where the command ends well; --on-lost=ignore leaves it alone", async () => {
    await using stage = await startedStage();
    const polite = ["sh", "-c", "trap 'exit 0' TERM; echo pid $$; while :; do sleep 0.05; done"];
    const running = startLock(stage, ["run", "wiki/a", "--", ...polite]);
    await commandPid(running);
    await lock(stage, ["steal", "-f", "wiki/a"]);
    expect(await running.exit).toBe(79);
    const free = startLock(stage, ["run", "--on-lost=ignore", "wiki/a", "--", ...counter("USR1")]);
    await commandPid(free);
    await lock(stage, ["steal", "-f", "wiki/a"]);
    await until("the word of it", () => free.stderr().includes("goes on without it"));
    free.child.stdin?.write("end\n");
    expect(await free.exit).toBe(9);
  });

  test("a holder that stood still loses it, and its command ends when it wakes", async () => {
    await using stage = await startedStage();
    const running = startLock(stage, ["run", "--ttl", "1s", "wiki/a", "--", ...sleeper]);
    const pid = await commandPid(running);
    running.child.kill("SIGSTOP");
    const next = await lock(stage, ["run", "wiki/a", "--", "echo", "mine"]);
    expect([next.exit, next.stdout, lives(pid)]).toEqual([0, "mine\n", true]);
    running.child.kill("SIGCONT");
    expect(await running.exit).toBe(79);
    expect(lives(pid)).toBe(false);
  });
});

describe("the daemon's death", () => {
  test("is survived with the same fence, where it comes back", async () => {
    await using stage = new LockStage();
    const socketPath = join(temporaryDirectory(), "socket");
    await stage.start({ socketPath });
    await stage.call("POST", "volumes/create", { Name: "wiki" });
    const running = startLock(stage, ["run", "--ttl", "10s", "wiki/a", "--", ...counter("USR1")]);
    await commandPid(running);
    const [before] = await stage.held();
    await stage.daemon.kill();
    await stage.start({ socketPath });
    await until("a renewal", async () => {
      const [now] = await stage.held();
      return now?.["expires"] !== before?.["expires"];
    });
    const [after] = await stage.held();
    expect(after?.["fence"]).toBe(before?.["fence"]);
    expect((await lock(stage, ["run", "-n", "wiki/a", "--", "true"])).exit).toBe(75);
    running.child.stdin?.write("end\n");
    expect([await running.exit, running.stderr()]).toEqual([9, ""]);
    expect(await stage.held()).toEqual([]);
  });

  test.each(["kill", "stop"] as const)("is survived by whoever waits (%s)", async (end) => {
    await using stage = new LockStage();
    const socketPath = join(temporaryDirectory(), "socket");
    await stage.start({ socketPath });
    await stage.call("POST", "volumes/create", { Name: "wiki" });
    const taken = await lock(stage, ["acquire", "--no-process", "--ttl", "5m", "wiki/a"]);
    const waiting = startLock(stage, ["run", "wiki/a", "--", "echo", "mine"]);
    await until("who waits", async () => (await stage.held())[0]?.["waiting"] === 1);
    await stage.daemon[end]();
    await stage.start({ socketPath });
    await until("who waits again", async () => (await stage.held())[0]?.["waiting"] === 1);
    await lock(stage, ["release", taken.stdout.trim()]);
    expect([await waiting.exit, waiting.stdout()]).toEqual([0, "mine\n"]);
  });

  test("is the loss of the lock after its time, where it does not", async () => {
    await using stage = await startedStage();
    const running = startLock(stage, ["run", "--ttl", "1s", "wiki/a", "--", ...sleeper]);
    const pid = await commandPid(running);
    await heldBy(stage);
    await stage.daemon.kill();
    expect(await running.exit).toBe(79);
    expect(lives(pid)).toBe(false);
    expect(running.stderr()).toContain("the daemon does not answer");
  });
});
