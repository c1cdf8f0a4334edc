// The driver sshfs over a real sshd: every promise of a driver.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { runCheck } from "../../src/conformance/check.ts";
import { openDriverBench } from "../../src/conformance/driver-bench.ts";
import { volumeDriverChecks } from "../../src/conformance/volume-driver.ts";
import { parseHolderId, parseVolumeName } from "../../src/core/names.ts";
import { eventually } from "../support/child.ts";
import { commandLinesWith } from "../support/command-lines.ts";
import { type SshServer, startSshServer } from "../support/labs/ssh-server.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { testOperation } from "../support/operation.ts";
import { sshfsParts, sshfsPlaces } from "../support/sshfs-parts.ts";

const needed: readonly Requirement[] = ["root", "fuse", "mount", "sshd", "sshfs"];

let folder: string;
let server: SshServer | undefined;
beforeAll(async () => {
  folder = mkdtempSync("/dev/shm/holdfast-sshd-");
  if (needs(...needed).skip === undefined) server = await startSshServer(folder);
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

describe("driver sshfs", () => {
  const leftBehind: string[] = [];
  for (const check of volumeDriverChecks) {
    whenPossible(needed, check.promise, async () => {
      const outcome = await runCheck(check, () => {
        if (server === undefined) throw new Error("there is no server");
        const parts = sshfsParts(server);
        return openDriverBench({ ...parts, leftBehind: (what) => leftBehind.push(what) });
      });
      if (outcome.outcome === "broken") throw outcome.error;
    });
  }
  test("leaves nothing behind", () => expect(leftBehind).toEqual([]));
});

whenPossible(
  needed,
  "a hundred rounds leave nothing behind",
  async () => {
    if (server === undefined) throw new Error("there is no server");
    const places = sshfsPlaces(server);
    const driver = places.open();
    const [name, holder] = [parseVolumeName("round"), parseHolderId("container")];
    await driver.create({ name, options: { ...places.options, subpath: "x" } }, testOperation());
    for (let round = 0; round < 100; round++) {
      await driver.mount(name, holder, testOperation());
      await driver.unmount(name, holder, testOperation());
    }
    const commands = () => commandLinesWith(places.root).map(({ words }) => words.join(" "));
    await eventually(() => commands().length === 0 || undefined, {
      timeoutMs: 5_000,
      otherwise: () => `left: ${commands().join(", ")}`,
    });
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(places.root);
    await places.release();
  },
  300_000,
);
