// The look at the key of the secrets, on real files.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { testOperation } from "../../test/support/operation.ts";
import { linuxHost } from "../host/linux.ts";
import type { Machine } from "./machine.ts";
import { lookAtSecretKey } from "./secret-key.ts";

let folder: string;
let machine: Machine;
beforeEach(() => {
  folder = mkdtempSync("/dev/shm/holdfast-key-");
  machine = {
    ...{ host: linuxHost(), userId: process.getuid?.() ?? 0, fileRoot: folder },
    dataRoot: join(folder, "root"),
    secretKey: join(folder, "etc", "secret.key"),
    sockets: { api: join(folder, "a"), plugin: undefined, docker: join(folder, "d") },
  };
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function put(file: string, text: string): void {
  mkdirSync(join(folder, dirname(file)), { recursive: true });
  writeFileSync(join(folder, file), text);
}

/** `severity found`. */
async function lines(changes: Partial<Machine> = {}): Promise<readonly string[]> {
  const findings = await lookAtSecretKey({ ...machine, ...changes }, testOperation());
  return findings.map(({ severity, found }) => `${severity} ${found}`);
}

describe("the key of the secrets", () => {
  const found = () => lines();
  const disk = (): Machine["host"] => ({ ...linuxHost(), mounts: () => [] });

  test("is needed once there are secrets", async () => {
    expect(await found()).toEqual(["ok no secret is kept yet"]);
    put("/root/secrets/.new-1", "");
    expect(await found()).toEqual(["ok no secret is kept yet"]);
    put("/root/secrets/nas", "");
    const words = `problem ${machine.secretKey} is not there, and secrets are sealed with it`;
    expect(await found()).toEqual([words]);
  });

  test("is for the daemon alone, on a disk, outside of the data root", async () => {
    put("/etc/secret.key", "");
    chmodSync(machine.secretKey, 0o644);
    expect((await found())[0]).toContain("(mode 0644), and so it is refused");
    chmodSync(machine.secretKey, 0o600);
    expect((await found())[0]).toStartWith(`warning ${machine.secretKey} is in memory (tmpfs)`);
    const [fine] = await lines({ host: disk() });
    expect(fine).toBe(`ok ${machine.secretKey}, mode 0600, outside of the data root`);
    put("/root/key", "");
    chmodSync(join(folder, "root/key"), 0o600);
    symlinkSync(join(folder, "root/key"), join(folder, "link"));
    const inside = await lines({ secretKey: join(folder, "link") });
    expect(inside[0]).toStartWith(`problem ${join(folder, "root/key")} lies in the data root`);
    mkdirSync(join(folder, "directory"));
    const other = await lines({ secretKey: join(folder, "directory") });
    expect(other[0]).toEndWith("is no file but a directory");
  });
});
