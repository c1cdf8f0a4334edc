// Managed plugins on machines of other kinds: without runc, and with a shared root.
import { expect } from "bun:test";
import { join } from "node:path";
import { runToEnd } from "../support/child.ts";
import { whenPossible } from "../support/needs.ts";

/** What a plugin of test/support/plugin-round.ts tells. */
async function roundOf(way: "crun" | "shared"): Promise<unknown> {
  const script = join(import.meta.dir, "../support/plugin-round.ts");
  const words = ["--mount", process.execPath, script, way];
  const { stdout, stderr } = await runToEnd("unshare", words, { timeoutMs: 50_000 });
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

const needed = ["root", "plugin-runtime", "unshare"] as const;

const isWell = {
  mounted: { Err: "", Mountpoint: "/mnt/volumes/v" },
  seccomp: "2",
  // Nothing of its own root arrives on the host, and each of its mounts once.
  mounts: ["a/propagated-mount", "a/propagated-mount/v"],
  traces: [],
};

whenPossible([...needed, "crun"], "crun runs plugins where runc is not there", async () => {
  const refusal = expect.stringMatching(
    /failed to create shim task: OCI runtime create failed: .*\/bin\/nothere.*: unknown$/,
  );
  expect(await roundOf("crun")).toEqual({ ...isWell, refusal });
});

whenPossible(needed, "mounts arrive once, and alone, where `/` is shared", async () => {
  expect(await roundOf("shared")).toMatchObject(isWell);
});
