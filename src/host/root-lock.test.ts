// One daemon per root, whatever way the other one ends.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { whenPossible } from "../../test/support/needs.ts";
import { EngineError } from "../core/errors.ts";
import { makeOperationId } from "../core/names.ts";
import { silentLog, systemCaller } from "../core/operation.ts";
import { linuxHost } from "./linux.ts";
import { startProgram } from "./programs.ts";
import { lockRoot } from "./root-lock.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync("/dev/shm/holdfast-lock-");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function refusal(): EngineError {
  try {
    lockRoot(root).release();
  } catch (thrown) {
    if (thrown instanceof EngineError) return thrown;
    throw thrown;
  }
  throw new Error("the lock was given");
}

/** Another daemon, as far as the lock is concerned: ready when it has printed a line. */
async function otherProcess() {
  const module = new URL("./root-lock.ts", import.meta.url).pathname;
  const code = `
    const { lockRoot } = await import(${JSON.stringify(module)});
    try { lockRoot(${JSON.stringify(root)}); console.log("locked"); setInterval(() => {}, 1000); }
    catch (error) { console.log(error.code + " " + error.message); }
  `;
  const child = Bun.spawn([process.execPath, "-e", code], { stdout: "pipe", stderr: "inherit" });
  const { value } = await child.stdout.getReader().read();
  return { child, said: new TextDecoder().decode(value).trim() };
}

describe("lockRoot", () => {
  test("refuses a second holder with the pid and the root, until it is released", () => {
    const lock = lockRoot(root);
    const { code, message, details } = refusal();
    expect(code).toBe("state.locked");
    expect(message).toContain(root);
    expect(message).toContain(`pid ${process.pid}`);
    expect(details).toEqual({ root, pid: process.pid });
    lock.release();
    lock.release();
    lockRoot(root).release();
  });

  test("keeps the pid as text in a file that only its owner reads", () => {
    const lock = lockRoot(root);
    expect(readFileSync(join(root, "lock"), "utf8").trim()).toBe(String(process.pid));
    expect(statSync(join(root, "lock")).mode & 0o777).toBe(0o600);
    lock.release();
    chmodSync(join(root, "lock"), 0o666);
    lockRoot(root).release();
    expect(statSync(join(root, "lock")).mode & 0o777).toBe(0o600);
  });

  test("holds against another process, and kill -9 of the holder releases it", async () => {
    const lock = lockRoot(root);
    const refused = await otherProcess();
    await refused.child.exited;
    expect(refused.said).toContain("state.locked");
    expect(refused.said).toContain(`pid ${process.pid}`);
    lock.release();

    const holder = await otherProcess();
    expect(holder.said).toBe("locked");
    expect(refusal().message).toContain(`pid ${holder.child.pid}`);
    holder.child.kill("SIGKILL");
    await holder.child.exited;
    lockRoot(root).release();
  });

  test("is not kept by programs that were started meanwhile", async () => {
    // A program has the descriptor until its exec: more than one try, to meet that moment.
    for (let round = 0; round < 10; round++) {
      const lock = lockRoot(root);
      const running = startProgram("sleep", ["60"]);
      const bare = Bun.spawn(["sleep", "60"]);
      lock.release();
      lockRoot(root).release();
      running.kill();
      bare.kill();
      await Promise.all([running.result, bare.exited]);
    }
  });

  test("follows no symbolic link and says what is wrong with the root", () => {
    symlinkSync("/dev/null", join(root, "lock"));
    expect(refusal().code).toBe("storage.failed");
    expect(() => lockRoot(join(root, "none"))).toThrow(
      `error while locking the root ${root}/none: `,
    );
  });

  whenPossible(["root", "mount"], "names read-only storage", async () => {
    const host = linuxHost();
    const signal = AbortSignal.timeout(20_000);
    const operation = { id: makeOperationId("t"), caller: systemCaller, log: silentLog, signal };
    const request = { type: "tmpfs", device: "tmpfs", target: root, options: "ro,size=64k" };
    await host.mount(request, operation);
    expect(refusal().code).toBe("storage.read_only");
    await host.unmount(root, operation);
  });
});
