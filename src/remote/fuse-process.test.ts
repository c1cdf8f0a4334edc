// FUSE tools that are none: what fails before there is a mount. Real ones are in the tests of sshfs
// and rclone.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { eventually } from "../../test/support/child.ts";
import { whenPossible } from "../../test/support/needs.ts";
import { testOperation } from "../../test/support/operation.ts";
import { EngineError } from "../core/errors.ts";
import type { KeptProcess } from "../core/host.ts";
import { linuxHost } from "../host/linux.ts";
import { makeStuckFolder } from "../host/stuck-folder.fixture.ts";
import { FuseLogs } from "./fuse-logs.ts";
import {
  type FuseStart,
  lookFuse,
  lookFuseMasked,
  maskValues,
  startFuse,
  stopFuse,
} from "./fuse-process.ts";

const host = linuxHost();
const logs = new FuseLogs();
const fuse = { host, logs };
let folder: string;
let runDirectory: string;
let target: string;
beforeEach(() => {
  folder = mkdtempSync("/dev/shm/holdfast-fuse-");
  [runDirectory, target] = [join(folder, "run"), join(folder, "data")];
  for (const each of [runDirectory, target]) mkdirSync(each);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function shell(script: string, more: Partial<FuseStart> = {}): FuseStart {
  return {
    ...{ program: "sh", args: ["-c", script], target, runDirectory, secrets: ["hunter22"] },
    explain: (words) => new EngineError("remote.denied", words),
    ...more,
  };
}

async function failure(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

const noted = (): KeptProcess =>
  JSON.parse(readFileSync(join(runDirectory, "process.json"), "utf8"));

function untilNoted(): Promise<KeptProcess> {
  const file = join(runDirectory, "process.json");
  return eventually(() => (existsSync(file) ? noted() : undefined), {
    timeoutMs: 5_000,
    otherwise: () => "nothing was noted",
  });
}

function isAlive({ pid, start }: KeptProcess): boolean {
  return host.processStart(pid) === start;
}

describe("a tool that does not mount", () => {
  test("is explained by its last words, without secrets, and leaves nothing", async () => {
    const script = "for i in $(seq 100); do echo line $i; done; echo no hunter22 here; exit 1";
    const thrown = await failure(startFuse(fuse, shell(script), testOperation()));
    expect(thrown).toMatchObject({ code: "remote.denied" });
    const { message = "" } = thrown as EngineError;
    expect(message).toEndWith("line 99\nline 100\nno **** here");
    expect(message.split("\n").length).toBe(20);
    expect(readdirSync(runDirectory)).toEqual([]);
    const silent = await failure(startFuse(fuse, shell("exit 3"), testOperation()));
    expect(silent).toMatchObject({ message: "sh ended without a word" });
    const missing = shell("", { program: "no-such-tool" });
    expect(await failure(startFuse(fuse, missing, testOperation()))).toMatchObject({
      code: "host.program_missing",
    });
  });

  test("is ended with what it started when it is not waited for any more", async () => {
    const controller = new AbortController();
    const start = shell("sleep 60 & wait");
    const starting = failure(startFuse(fuse, start, testOperation(controller.signal)));
    const kept = await untilNoted();
    const reason = new EngineError("driver.timed_out", "enough");
    controller.abort(reason);
    expect(await starting).toBe(reason);
    expect(isAlive(kept)).toBe(false);
    expect(readdirSync(runDirectory)).toEqual([]);
  });

  test("and was left by an earlier life is ended before the next one", async () => {
    const controller = new AbortController();
    const first = failure(startFuse(fuse, shell("sleep 60"), testOperation(controller.signal)));
    const earlier = await untilNoted();
    await failure(startFuse(fuse, shell("exit 1"), testOperation()));
    expect(isAlive(earlier)).toBe(false);
    await first;
  });
});

test("the end takes the process that is noted, and the note", async () => {
  const controller = new AbortController();
  const script = "trap '' TERM; echo ready; while :; do sleep 0.02; done";
  const starting = failure(startFuse(fuse, shell(script), testOperation(controller.signal)));
  await untilNoted();
  const log = join(runDirectory, "fuse.log");
  const untilSaid = (words: string) =>
    eventually(() => readFileSync(log, "utf8").includes(words) || undefined, {
      timeoutMs: 5_000,
      otherwise: () => readFileSync(log, "utf8"),
    });
  await untilSaid("ready");
  const kept = noted();
  await stopFuse(fuse, { target, runDirectory }, { isLost: true }, testOperation());
  expect(isAlive(kept)).toBe(false);
  await starting;
  expect(readdirSync(runDirectory)).toEqual([]);
});

whenPossible(["root", "mount", "fuse"], "a mount whose process is gone is stale", async () => {
  await using stuck = await makeStuckFolder();
  const waiting = failure(host.askStorage(stuck.path, testOperation()));
  await stuck.untilAsked();
  const at = { target: stuck.path, runDirectory, program: "sh", secrets: ["hunter22"] };
  const note = join(runDirectory, "process.json");
  writeFileSync(join(runDirectory, "fuse.log"), "first\nkilled over hunter22\n");
  // A crash may come before there is a note, and in the middle of it.
  expect(lookFuse(fuse, at)).toEqual({});
  writeFileSync(note, '{"pid":');
  expect(lookFuse(fuse, at)).toEqual({});
  const start = host.processStart(process.pid);
  writeFileSync(note, JSON.stringify({ pid: process.pid, start }));
  expect(lookFuse(fuse, at)).toEqual({});
  writeFileSync(note, JSON.stringify({ pid: process.pid, start: "another one" }));
  expect(lookFuse(fuse, at)).toEqual({
    stale: "its sh process has ended: killed over ****",
  });
  const masked = (secrets: () => Promise<readonly string[]>) => lookFuseMasked(fuse, at, secrets);
  expect(await masked(async () => ["hunter22"])).toEqual({
    stale: "its sh process has ended: killed over ****",
  });
  // Of a secret that is gone nobody knows which words it was.
  const gone = () => Promise.reject(new EngineError("secret.not_found", "it is gone"));
  expect(await masked(gone)).toEqual({ stale: "its sh process has ended" });
  expect(lookFuse(fuse, { ...at, target })).toEqual({});
  await stopFuse(fuse, at, { isLost: true }, testOperation());
  expect(await waiting).toMatchObject({ details: { isGone: true } });
  expect(host.mounts().some((mount) => mount.target === stuck.path)).toBe(false);
});

test("a log begins anew when it is large, whoever looks", async () => {
  const log = join(runDirectory, "fuse.log");
  const grow = () => writeFileSync(log, "x".repeat(2 ** 20 + 1));
  grow();
  lookFuse(fuse, { target, runDirectory, program: "sh" });
  expect(statSync(log).size).toBe(0);
  grow();
  await eventually(() => statSync(log).size === 0 || undefined, {
    timeoutMs: 5_000,
    otherwise: () => "it is as long as before",
  });
  await stopFuse(fuse, { target, runDirectory }, { isLost: true }, testOperation());
  grow();
  logs.release(log);
  expect(statSync(log).size).toBeGreaterThan(0);
});

test("each line of a secret is masked, and short ones are not", () => {
  const secret = "-----BEGIN KEY-----\nabcdefgh\nxy\n-----END KEY-----\n";
  expect(maskValues("bad line abcdefgh of xy", [secret])).toBe("bad line **** of xy");
});
