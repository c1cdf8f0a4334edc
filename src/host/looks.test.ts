// An unmount that one of our own looks is in the way of waits for its end, and for nobody else's.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { runToEnd } from "../../test/support/child.ts";
import { failureOf } from "../../test/support/engine-bench.ts";
import { whenPossible } from "../../test/support/needs.ts";
import { testOperation } from "../../test/support/operation.ts";
import { makeLooks } from "./looks.ts";
import { readMountTable } from "./mount-table.ts";
import { makeMounts } from "./mounts.ts";
import { startProgram } from "./programs.ts";

let target: string;
beforeEach(() => {
  target = mkdtempSync("/dev/shm/holdfast-looks-");
});
afterEach(async () => {
  await runToEnd("umount", ["-l", target], { timeoutMs: 10_000 });
  rmSync(target, { recursive: true, force: true });
});

test("looks at the same place are counted", async () => {
  const looks = makeLooks();
  const first = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  const looking = [
    looks.during("/data/below", () => first.promise),
    looks.during("/data/below", () => second.promise),
  ];
  expect([looks.isLookedAt("/data"), looks.isLookedAt("/dat")]).toEqual([true, false]);
  first.reject(new Error("failed"));
  expect(await looking[0]?.catch(String)).toBe("Error: failed");
  expect(looks.isLookedAt("/data")).toBe(true);
  second.resolve();
  await looking[1];
  expect(looks.isLookedAt("/data")).toBe(false);
});

for (const isOurs of [true, false]) {
  const outcome = isOurs ? "waited for" : "an error at once";
  whenPossible(["root", "mount"], `what is open there is ${outcome}`, async () => {
    const looks = makeLooks();
    const { isLookedAt } = looks;
    const mounts = makeMounts({ start: startProgram, table: readMountTable, isLookedAt });
    const request = { type: "tmpfs", device: "tmpfs", target, options: "size=64k" };
    await mounts.mount(request, testOperation());
    const descriptor = openSync(target, "r");
    const look = Promise.withResolvers<void>();
    const looking = isOurs ? looks.during(target, () => look.promise) : undefined;
    const unmounting = mounts.unmount(target, testOperation());
    if (!isOurs) expect((await failureOf(unmounting)).code).toBe("volume.unmount_failed");
    setTimeout(() => {
      closeSync(descriptor);
      look.resolve();
    }, 100);
    await looking;
    if (isOurs) await unmounting;
    const isThere = readMountTable().some((line) => line.target === target);
    expect(isThere).toBe(!isOurs);
  });
}
