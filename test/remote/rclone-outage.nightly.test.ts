// A server that is away for longer than rclone tries to fetch the rest of a file that was closed.
import { expect } from "bun:test";
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { parseHolderId, parseVolumeName } from "../../src/core/names.ts";
import { eventually } from "../support/child.ts";
import { whenPossible } from "../support/needs.ts";
import { testOperation } from "../support/operation.ts";
import { openRcloneStage } from "../support/rclone-stage.ts";

const name = parseVolumeName("wiki");
const holder = parseHolderId("c1");
const operation = testOperation();

whenPossible(
  ["root", "mount", "fuse", "rclone"],
  "files that rclone gives up are sent before the last holder has ended",
  async () => {
    await using at = await openRcloneStage();
    await at.driver.create({ name, options: at.options }, operation);
    const path = join(at.server.folder, "log");
    writeFileSync(path, Buffer.alloc(1_000_000, "A"));
    const data = await at.driver.mount(name, holder, operation);
    const log = openSync(join(data, "log"), "a");
    writeSync(log, "one");
    await at.server.kill();
    writeSync(log, "two");
    closeSync(log);
    await eventually(
      async () => {
        const health = await at.driver.health?.check(name, operation);
        const said = readFileSync(join(at.root, "run/remote/rclone", name, "fuse.log"), "utf8");
        return said.includes("missing parts") && health?.unsaved?.fileCount === 1
          ? true
          : undefined;
      },
      { timeoutMs: 300_000, otherwise: () => "rclone never gives up" },
    );
    await at.server.start();
    await at.driver.unmount(name, holder, operation);
    expect(readFileSync(path, "utf8")).toBe(`${"A".repeat(1_000_000)}onetwo`);
  },
  400_000,
);
