// Owner and mode of data: at once on this machine's disks, by programs where something is mounted.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { failureOf } from "../../test/support/engine-bench.ts";
import { whenPossible } from "../../test/support/needs.ts";
import { testOperation } from "../../test/support/operation.ts";
import { linuxHost } from "../host/linux.ts";
import { ownData } from "./own-data.ts";

let data: string;
let programs: string[];
beforeEach(() => {
  data = mkdtempSync("/dev/shm/holdfast-own-");
  programs = [];
});
afterEach(() => rmSync(data, { recursive: true, force: true }));

function hostWith(isMountPoint: boolean) {
  const host = linuxHost();
  return {
    own: host.own,
    isMountPoint: () => isMountPoint,
    run(...[program, args, operation]: Parameters<typeof host.run>) {
      programs.push([program, ...args.slice(0, -2)].join(" "));
      return host.run(program, args, operation);
    },
  };
}

function found(): string {
  const { uid, gid, mode } = statSync(data);
  return `${uid}:${gid} ${(mode & 0o7777).toString(8)}`;
}

for (const isMountPoint of [false, true]) {
  const where = isMountPoint ? "what is mounted" : "a directory";
  whenPossible(["root"], `${where} is given its owner and mode, once`, async () => {
    const wanted = { userId: 999, groupId: 998, mode: 0o2750 };
    await ownData(hostWith(isMountPoint), data, wanted, testOperation());
    expect(found()).toBe("999:998 2750");
    const look = "stat --format=%u %g %a";
    const changes = ["chown --no-dereference 999:998", look, "chmod 2750"];
    expect(programs).toEqual(isMountPoint ? [look, ...changes] : []);
    programs = [];
    await ownData(hostWith(isMountPoint), data, wanted, testOperation());
    expect(programs).toEqual(isMountPoint ? [look, look] : []);
    await ownData(hostWith(isMountPoint), data, { userId: 5 }, testOperation());
    expect(found()).toBe("5:998 2750");
  });
}

test("the program's own words say why it could not be done", async () => {
  rmSync(data, { recursive: true });
  const owning = ownData(hostWith(true), data, { mode: 0o700 }, testOperation());
  const { code, message } = await failureOf(owning);
  expect([code, message]).toEqual(["storage.failed", expect.stringContaining("No such file")]);
});
