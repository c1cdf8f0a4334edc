// /run is empty after a boot: what the daemon makes there leaves the way to its socket open.
import { afterEach, beforeEach, expect } from "bun:test";
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { holdfastCommand, startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { whenPossible } from "../support/needs.ts";

let folder: string;
beforeEach(() => {
  folder = temporaryDirectory();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The daemon in a mount namespace of its own, with a /run in which this was done before. */
function withRun(before: string): readonly [string, ...string[]] {
  const script = `mount -t tmpfs -o mode=755 run /run && ${before} && exec "$0" "$@"`;
  const enter = ["unshare", "--mount", "--propagation", "private"] as const;
  return [...enter, "sh", "-c", script, ...holdfastCommand()];
}

for (const [what, before] of [
  ["after a boot", "true"],
  ["after an older daemon, which let nobody in", "mkdir -m 700 /run/holdfast"],
] as const) {
  whenPossible(["root", "unshare", "mount"], `members of the group get there ${what}`, async () => {
    await using daemon = await startDaemon({
      root: join(folder, "root"),
      command: withRun(before),
    });
    const parent = `/proc/${daemon.pid}/root/run/holdfast`;
    expect(statSync(parent).mode & 0o777).toBe(0o755);
    const [own = ""] = readdirSync(parent);
    expect(own).toMatch(/^[0-9a-f]{12}$/);
    expect(statSync(join(parent, own)).mode & 0o777).toBe(0o700);
  });
}
