// All kills of kill-steps.test.ts, each of them.
import { join } from "node:path";
import { runToEnd } from "../support/child.ts";
import { whenPossible } from "../support/needs.ts";

const testTimeoutMs = 1_800_000;

whenPossible(
  ["root", "mount", "docker-cli", "plugin-runtime", "unshare"],
  "every victim before and after every program of every verb",
  async () => {
    const script = join(import.meta.dir, "kill-steps.ts");
    const words = ["--mount", "--propagation", "private", process.execPath, script, "1", "all"];
    const { exit, stdout, stderr } = await runToEnd("unshare", words, { timeoutMs: testTimeoutMs });
    if (exit !== 0) throw new Error(stderr.slice(-8_000));
    console.log(stdout);
  },
  testTimeoutMs,
);
