// kill -9 while a secret is replaced again and again: the last value or the one after it is there.
import { expect, test } from "bun:test";
import { once } from "node:events";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startChild } from "../../test/support/child.ts";
import { temporaryDirectory } from "../../test/support/daemon.ts";
import { numberedValue } from "../../test/support/secret-writer.ts";
import { silentLog } from "../core/operation.ts";
import { linuxHost } from "../host/linux.ts";
import { openSecrets } from "./disk-secrets.ts";

const writer = fileURLToPath(new URL("../../test/support/secret-writer.ts", import.meta.url));
const killCount = 30;
/** Longest time from the first acknowledged value to the kill, in milliseconds. */
const writingMsMax = 30;
const limitMs = 120_000;

/** Kills a writer after a while; the last number that it has acknowledged. */
async function killed(root: string, keyPath: string, first: number): Promise<number> {
  const child = startChild(process.execPath, [writer, root, keyPath, String(first)]);
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    if (output === "") setTimeout(() => child.kill("SIGKILL"), Math.random() * writingMsMax);
    output += chunk.toString("utf8");
  });
  let errors = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    errors += chunk.toString("utf8");
  });
  await once(child, "close");
  expect(errors).toBe("");
  return Number(output.trim().split("\n").at(-1));
}

test(
  `a value that was acknowledged, or the next, is there after each of ${killCount} kills`,
  async () => {
    const folder = temporaryDirectory();
    try {
      const root = join(folder, "root");
      const keyPath = join(folder, "secret.key");
      mkdirSync(root);
      let unfinishedCount = 0;
      for (let round = 0, next = 0; round < killCount; round++) {
        const last = await killed(root, keyPath, next);
        unfinishedCount += readdirSync(join(root, "secrets")).length - 1;
        const store = openSecrets({ root, keyPath, host: linuxHost(), log: silentLog });
        const text = (await store.read("nas")).revealText();
        expect([numberedValue(last), numberedValue(last + 1)]).toContain(text);
        expect(readdirSync(join(root, "secrets"))).toEqual(["nas"]);
        next = last + 2;
      }
      // Otherwise none of them was killed while it wrote.
      expect(unfinishedCount).toBeGreaterThan(0);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  limitMs,
);
