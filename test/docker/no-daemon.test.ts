// Without a daemon a command says so in a line, and ends.
import { expect, test } from "bun:test";
import { runToEnd } from "../support/child.ts";
import { holdfastCommand } from "../support/daemon.ts";

const host = "unix:///nonexistent/holdfast.sock";
const lines =
  `Cannot connect to the Holdfast daemon at ${host}. Is it running? ` +
  "Start it with: holdfast daemon\n";

/** Commands that ask the daemon in ways of their own. */
const commands = [
  "volume create site",
  "volume create -d sshfs -o host=web@nas site",
  "volume ls",
  "volume inspect site",
  "volume rm site",
  "volume conflicts site",
  "volume publish --rollback site:/www",
  "doctor site",
  "events",
  "lock ls",
  "lock run --volume site publish -- true",
  "plugin ls",
  "secret ls",
  "trash ls",
];

for (const each of commands) {
  test(`holdfast ${each}`, async () => {
    const [program, ...first] = holdfastCommand();
    const words = [...first, "--host", host, ...each.split(" ")];
    const ended = await runToEnd(program, words, { timeoutMs: 20_000 });
    // `docker inspect` prints what it has, which is nothing.
    expect(ended.stdout).toBe(each.includes(" inspect ") ? "[]\n" : "");
    expect(ended.stderr).toContain(lines);
    // Neither a stack nor a second thing that went wrong.
    expect(ended.stderr.trim().split("\n").length).toBeLessThanOrEqual(2);
    expect(ended.exit).toBeGreaterThan(0);
  });
}
