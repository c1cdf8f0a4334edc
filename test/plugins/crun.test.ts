// Managed plugins run with crun where runc is not there.
import { expect } from "bun:test";
import { join } from "node:path";
import { runToEnd } from "../support/child.ts";
import { whenPossible } from "../support/needs.ts";

whenPossible(["root", "plugin-runtime", "crun", "unshare"], "crun runs plugins, too", async () => {
  const script = join(import.meta.dir, "../support/crun-round.ts");
  const words = ["--mount", process.execPath, script];
  const { stdout, stderr } = await runToEnd("unshare", words, { timeoutMs: 50_000 });
  expect(stderr).toBe("");
  const told: unknown = JSON.parse(stdout);
  expect(told).toEqual({
    mounted: { Err: "", Mountpoint: "/mnt/volumes/v" },
    seccomp: "2",
    mountCount: 1,
    traces: [],
    refusal: expect.stringMatching(
      /failed to create shim task: OCI runtime create failed: .*\/bin\/nothere.*: unknown$/,
    ),
  });
});
