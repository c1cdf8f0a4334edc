// `holdfast lock` on a terminal: what is said while it waits, Control-C, Control-Z, a question.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";
import { commandOf, commandPid, lives, sleeper, startLock, until } from "./command-line.ts";
import { type LockStage, startedStage } from "./stage.ts";

/** A command line with a terminal of its own, which it is the foreground of. */
function onTerminal(stage: LockStage, words: readonly string[]) {
  let text = "";
  const child = Bun.spawn(commandOf(stage, words), {
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
    const running = startLock(stage, ["run", "wiki/a", "--", ...sleeper]);
    const pid = await commandPid(running);
    running.child.kill("SIGTSTP");
    const own = running.child.pid ?? 0;
    await until("both stopped", () => stateOf(pid) === "T" && stateOf(own) === "T");
    running.child.kill("SIGCONT");
    await until("both going on", () => stateOf(pid) === "S" && stateOf(own) !== "T");
    running.child.kill("SIGTERM");
    expect([await running.exit, lives(pid)]).toEqual([128 + 15, false]);
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
