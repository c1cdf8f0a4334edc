// What is taken away, when it cannot be at first.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../../test/support/child.ts";
import { temporaryDirectory } from "../../../test/support/daemon.ts";
import { testOperation } from "../../../test/support/operation.ts";
import type { MountBelow } from "../../core/peer-mount.ts";
import { linuxHost } from "../../host/linux.ts";
import { Leftovers } from "./leftovers.ts";

let root: string;

beforeEach(() => {
  root = temporaryDirectory();
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

test("what has gone meanwhile, and is there anew, is not taken away later", async () => {
  let isBusy = true;
  const leftovers = new Leftovers({
    host: {
      ...linuxHost(),
      // A container that has just been started shows everything for a moment.
      mountsBelow: async () => ({ mounts: isBusy ? [shown()] : [], isWhole: true }),
    },
    operation: testOperation,
  });
  const [first, second] = [join(root, "first"), join(root, "second")];
  for (const directory of [first, second]) mkdirSync(directory);
  await leftovers.destroy([first, second]);
  expect([first, second].filter(existsSync)).toEqual([first, second]);
  isBusy = false;
  await leftovers.destroy([first]);
  expect(existsSync(first)).toBe(false);
  mkdirSync(first);
  await eventually(() => (existsSync(second) ? undefined : true), {
    timeoutMs: 10_000,
    otherwise: () => "it is not tried again",
  });
  await leftovers.stop();
  expect(existsSync(first)).toBe(true);
});

function shown(): MountBelow {
  return { directory: root, container: "0123456789ab", pid: 4711, target: "/somewhere" };
}
