// One daemon per root: a second one is refused in a sentence, and a kill frees the root at once.
import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { type Ended, runToEnd } from "../support/child.ts";
import {
  holdfastCommand,
  startDaemon,
  temporaryDirectory,
  withoutPlugins,
} from "../support/daemon.ts";
import { Client } from "./client.ts";

async function secondDaemon(folder: string, root: string): Promise<Ended> {
  const [program, ...first] = holdfastCommand();
  const host = `unix://${join(folder, "second.sock")}`;
  const place = ["--root", root, "--host", host, ...withoutPlugins];
  const words = [...first, "daemon", ...place];
  return await runToEnd(program, words, { timeoutMs: 30_000 });
}

test("a second daemon on the same root is refused with the first one's pid", async () => {
  const folder = temporaryDirectory();
  const root = join(folder, "root");
  try {
    await using first = await startDaemon({ root });
    const client = new Client(first.socketPath);
    await client.expect(201, "POST", "/volumes/create", { Name: "kept" });

    for (const sameRoot of [root, `${root}/`, join(root, "volumes/..")]) {
      const ended = await secondDaemon(folder, sameRoot);
      expect(ended.exit).toBe(1);
      expect(ended.stdout).not.toContain("ready");
      const [sentence, wayOut, ...rest] = ended.stderr.trim().split("\n");
      expect(sentence).toBe(
        `holdfast: the root ${root} is in use by another daemon (pid ${first.pid})`,
      );
      expect(wayOut).toContain("Stop the daemon");
      expect(rest).toEqual([]);
    }

    await client.expect(200, "GET", "/volumes/kept");
    await first.kill();
    // Nothing to clean up, nothing to wait for.
    await using next = await startDaemon({ root });
    await new Client(next.socketPath).expect(200, "GET", "/volumes/kept");
    expect((await secondDaemon(folder, root)).stderr).toContain(`(pid ${next.pid})`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("of several daemons that start at once on a killed one's root exactly one runs", async () => {
  const folder = temporaryDirectory();
  const root = join(folder, "root");
  try {
    const killed = await startDaemon({ root });
    await killed.kill();
    const starts = Array.from({ length: 4 }, () => startDaemon({ root }));
    const settled = await Promise.allSettled(starts);
    const running = settled.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    const refusals = settled.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
    const pids = running.map(({ pid }) => pid);
    await Promise.all(running.map((daemon) => daemon.stop()));
    expect(pids).toHaveLength(1);
    for (const refusal of refusals) {
      expect(String(refusal)).toContain(`is in use by another daemon (pid ${pids[0]})`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
