// kill -9 of the daemon, of the plugin, of conmon, of runc and of other programs, at each program
// that install, enable, disable, upgrade and remove run: a part of all that there is.
import { expect } from "bun:test";
import { join } from "node:path";
import { runToEnd } from "../support/child.ts";
import { whenPossible } from "../support/needs.ts";
import { printedSeed } from "../support/random.ts";

const strikeCount = 14;
const testTimeoutMs = 240_000;

whenPossible(
  ["root", "mount", "docker-cli", "plugin-runtime", "unshare"],
  `${strikeCount} kills at programs: the state before or after, and nothing is left over`,
  async () => {
    const script = join(import.meta.dir, "kill-steps.ts");
    const seed = String(printedSeed("kill at programs"));
    const inNamespace = ["--mount", "--propagation", "private", process.execPath, script];
    const { exit, stdout, stderr } = await runToEnd(
      "unshare",
      [...inNamespace, seed, String(strikeCount)],
      { timeoutMs: testTimeoutMs },
    );
    if (exit !== 0) throw new Error(`${stderr.slice(-8_000)}`);
    const report: unknown = JSON.parse(stdout);
    expect(report).toMatchObject({ done: strikeCount });
    // Otherwise nothing was killed.
    const { struckCount } = report as { readonly struckCount: number }; // As the script says.
    expect(struckCount).toBeGreaterThan(strikeCount / 2);
  },
  testTimeoutMs,
);
