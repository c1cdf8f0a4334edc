// `holdfast lock` on a terminal: what is said while it waits, Control-C, Control-Z, a question; and
// a terminal that hangs up, or that nobody reads.
import { describe, expect, test } from "bun:test";
import { closeSync, constants, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { runToEnd } from "../support/child.ts";
import { temporaryDirectory } from "../support/daemon.ts";
import { commandOf, commandPid, lives, lock, sleeper, startLock, until } from "./command-line.ts";
import { type LockStage, startedStage } from "./stage.ts";

/** A command line with a terminal of its own, which it is the foreground of. */
function onTerminal(stage: LockStage, words: readonly string[]) {
  return commandOnTerminal(commandOf(stage, words));
}

function commandOnTerminal(command: readonly string[]) {
  let text = "";
  const child = Bun.spawn([...command], {
    env: { ...process.env, TERM: "dumb" },
    terminal: {
      cols: 300,
      rows: 50,
      data: (_, chunk) => {
        text += new TextDecoder().decode(chunk);
      },
    },
  });
  return {
    child,
    text: () => stripVTControlCharacters(text),
    type: (typed: string) => child.terminal?.write(typed),
    hangUp: () => child.terminal?.close(),
  };
}

function stateOf(pid: number): string {
  return /^State:\s*(\w)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
}

async function pidIn(text: () => string): Promise<number> {
  return Number(await until("the command", () => /pid (\d+)/.exec(text())?.[1]));
}

describe("on a terminal", () => {
  test("a wait is told: who has it, and how many are before us", async () => {
    await using stage = await startedStage();
    const holder = startLock(stage, ["run", "wiki/a", "--", ...sleeper]);
    await commandPid(holder);
    const has = `waiting for the lock wiki/a: sh (${holder.child.pid}) has it; `;
    const first = onTerminal(stage, ["run", "wiki/a", "--", ...sleeper]);
    await until("the first", () => first.text().includes(`${has}we are next`));
    const second = onTerminal(stage, ["run", "-w", "30", "wiki/a", "--", "echo", "ran"]);
    await until("the second", () => second.text().includes(`${has}1 more before us`));
    // Control-C while it waits: nothing was started.
    second.type("\x03");
    expect(await second.child.exited).toBe(130);
    expect(second.text()).not.toContain("ran");
    await until("the queue", async () => (await stage.held())[0]?.["waiting"] === 1);
    holder.child.kill("SIGTERM");
    await holder.exit;
    process.kill(await pidIn(first.text), "SIGTERM");
    expect(await first.child.exited).toBe(128 + 15);
  });

  test("Control-C reaches the command once, which may go on", async () => {
    await using stage = await startedStage();
    const script = "n=0; trap 'n=$((n+1)); echo int $n' INT; echo pid $$; ";
    const loop = 'while ! read line; do :; done; echo "all $n"; exit 9';
    const running = onTerminal(stage, ["run", "wiki/a", "--", "sh", "-c", script + loop]);
    await pidIn(running.text);
    running.type("\x03");
    await until("the signal", () => running.text().includes("int 1"));
    running.type("end\n");
    expect(await running.child.exited).toBe(9);
    expect(running.text()).toContain("all 1");
  });

  test("a stop stops the command as well, and both go on", async () => {
    await using stage = await startedStage();
    const { running, own, pid } = await stoppedJob(stage, "30s", "read line; fg; echo code $?");
    running.type("go on\n");
    await until("both going on", () => stateOf(pid) === "S" && stateOf(own) !== "T");
    process.kill(own, "SIGTERM");
    await running.child.exited;
    expect(running.text()).toContain(`code ${128 + 15}`);
    expect(lives(pid)).toBe(false);
  });

  test("a theft is asked for by name", async () => {
    await using stage = await startedStage();
    const holder = startLock(stage, ["run", "--label", "nightly", "wiki/a", "--", ...sleeper]);
    await commandPid(holder);
    const wrong = onTerminal(stage, ["steal", "wiki/a"]);
    const question = `takes wiki/a away from nightly (${holder.child.pid}), which has it for `;
    await until("the question", () => wrong.text().includes("Type wiki/a to go on: "));
    expect(wrong.text()).toContain(question);
    wrong.type("yes\n");
    expect(await wrong.child.exited).toBe(2);
    expect(await stage.held()).toHaveLength(1);
    const right = onTerminal(stage, ["steal", "wiki/a"]);
    await until("the question", () => right.text().includes("Type wiki/a to go on: "));
    right.type("wiki/a\n");
    expect([await right.child.exited, await holder.exit]).toEqual([0, 79]);
  });
});

/** A job of a shell that Control-Z has stopped; the shell does then as it is told. */
async function stoppedJob(stage: LockStage, ttl: string, then: string) {
  const words = commandOf(stage, ["run", "--ttl", ttl, "wiki/a", "--", ...sleeper]);
  const running = commandOnTerminal(["bash", "-c", `set -m; "$@"; ${then}`, "bash", ...words]);
  const pid = await pidIn(running.text);
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const own = Number(/^PPid:\s*(\d+)/m.exec(status)?.[1]);
  running.type("\x1a");
  await until("both stopped", () => stateOf(pid) === "T" && stateOf(own) === "T");
  return { running, own, pid };
}

/** The same, until its lock was lost. */
async function stoppedByShell(stage: LockStage, then: string) {
  const job = await stoppedJob(stage, "1", then);
  await until("the loss", async () => (await stage.held()).length === 0);
  return job;
}

/** A pipe that is full, with a name. */
async function fullPipe(): Promise<{ readonly path: string } & Disposable> {
  const path = join(temporaryDirectory(), "full");
  await runToEnd("mkfifo", [path], { timeoutMs: 10_000 });
  const end = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const page = new Uint8Array(4_096);
  try {
    for (;;) writeSync(end, page);
  } catch {
    // EAGAIN: it is full.
  }
  return { path, [Symbol.dispose]: () => closeSync(end) };
}

describe("a terminal that is gone", () => {
  test("a hang-up is the command's, and its end is ours", async () => {
    await using stage = await startedStage();
    const running = onTerminal(stage, ["run", "wiki/a", "--", ...sleeper]);
    const pid = await pidIn(running.text);
    running.hangUp();
    expect([await running.child.exited, lives(pid)]).toEqual([128 + 1, false]);
    await until("the release", async () => (await stage.held()).length === 0);
  });

  test("so it is while both are stopped, and the lock is lost", async () => {
    await using stage = await startedStage();
    const { running, own, pid } = await stoppedByShell(stage, "read line");
    running.hangUp();
    await until("the end of both", () => !lives(own) && !lives(pid));
    await running.child.exited;
  });

  test("what follows events ends", async () => {
    await using stage = await startedStage();
    const [...client] = commandOf(stage, []).slice(0, -1);
    for (const words of [["events"], ["events", "--cursor"]]) {
      const following = commandOnTerminal([...client, ...words]);
      await until("an event", async () => {
        await stage.call("POST", "volumes/create", { Name: `v${performance.now()}` });
        return following.text().includes("create");
      });
      following.hangUp();
      await following.child.exited;
      expect(following.child.signalCode).toBe("SIGHUP");
    }
  });
});

describe("a command that does not go on", () => {
  test("ends where the lock was lost while it and we stood still", async () => {
    await using stage = await startedStage();
    const shell = "read line; fg >/dev/null; echo code $?";
    const { running, pid } = await stoppedByShell(stage, shell);
    running.type("go on\n");
    await running.child.exited;
    expect(running.text()).toMatch(/the lock wiki\/a \(fence \d+\) is lost/);
    expect(running.text()).toContain("code 79");
    expect(lives(pid)).toBe(false);
  });

  test("gets SIGTERM though it alone is stopped", async () => {
    await using stage = await startedStage();
    const words = ["run", "--kill-after", "10m", "wiki/a", "--", ...sleeper];
    const running = startLock(stage, words);
    const pid = await commandPid(running);
    process.kill(pid, "SIGSTOP");
    await until("the stop", () => stateOf(pid) === "T");
    await lock(stage, ["steal", "--force", "wiki/a"]);
    expect([await running.exit, lives(pid)]).toEqual([79, false]);
  });

  test("is killed in time though nobody reads that the lock is lost", async () => {
    await using stage = await startedStage();
    using full = await fullPipe();
    const script = "trap '' TERM; echo pid $$; while :; do sleep 0.1; done";
    const words = ["run", "--kill-after", "1", "wiki/a", "--", "sh", "-c", script];
    const running = startLock(stage, words, ["sh", "-c", 'exec "$@" 2>"$0"', full.path]);
    const pid = await commandPid(running);
    await lock(stage, ["steal", "--force", "wiki/a"]);
    expect([await running.exit, lives(pid)]).toEqual([79, false]);
  });
});

test("a daemon that does not answer keeps nobody who has nothing left to do", async () => {
  await using stage = await startedStage();
  const running = startLock(stage, ["run", "--ttl", "2", "wiki/a", "--", ...sleeper]);
  await commandPid(running);
  process.kill(stage.daemon.pid, "SIGSTOP");
  try {
    running.child.kill("SIGTERM");
    // The next renewal would come before the answer to the release does.
    expect(await running.exit).toBe(128 + 15);
  } finally {
    process.kill(stage.daemon.pid, "SIGCONT");
  }
});
