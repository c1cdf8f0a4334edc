// `verify driver`: nothing of the user's is touched, whatever is mounted and whatever fails.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { temporaryFolder } from "../../test/support/driver-benches.ts";
import { whenPossible } from "../../test/support/needs.ts";
import type { VerifyRequest } from "../cli/verify.ts";
import { EngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { makeOperationId } from "../core/names.ts";
import { silentLog, systemCaller } from "../core/operation.ts";
import { linuxHost } from "../host/linux.ts";
import { verifyBuiltInDriver } from "./verify.ts";

let folder: string;
let device: string;
let root: string;
/** Descriptors of what a test has open. */
const held: number[] = [];
/** Checks of a test that was too slow go on for a while, and would mount again. */
let endedCount = 0;

/** Names that the checks use as well. */
const precious = { data: "mine", "from-first": "mine, too", "below/data": "and this" };

beforeEach(() => {
  folder = temporaryFolder("verify");
  device = join(folder, "device");
  root = join(folder, "root");
  mkdirSync(join(device, "below"), { recursive: true });
  for (const [file, text] of Object.entries(precious)) writeFileSync(join(device, file), text);
});

afterEach(async () => {
  endedCount += 1;
  for (const descriptor of held.splice(0)) closeSync(descriptor);
  await unmountAll();
  rmSync(folder, { recursive: true, force: true });
});

function operation() {
  const { signal } = new AbortController();
  return { id: makeOperationId("test"), caller: systemCaller, signal, log: silentLog };
}

const mountedBelow = () =>
  linuxHost()
    .mounts()
    .map(({ target }) => target)
    .filter((target) => target.startsWith(`${folder}/`));

async function unmountAll(): Promise<void> {
  for (const target of mountedBelow()) await linuxHost().detach(target, operation());
}

function bindTo(path: string, o = "bind"): VerifyRequest {
  return { driver: "local", root, options: { type: "none", o, device: path } };
}

function expectDeviceWhole(): void {
  for (const [file, text] of Object.entries(precious)) {
    expect(readFileSync(join(device, file), "utf8")).toBe(text);
  }
  const names = readdirSync(device).filter((name) => !name.startsWith("holdfast-verify-"));
  expect(names.toSorted()).toEqual(["below", "data", "from-first"]);
}

/** What the checks made and is still there. */
const left = () => [device, root].flatMap((place) => readdirSync(place)).filter(isOurs);
const isOurs = (name: string) => name.startsWith("holdfast-verify-");

test("keeps every promise on a plain directory, and leaves it empty", async () => {
  const report = await verifyBuiltInDriver({ driver: "local", root, options: {} });
  expect(report).toMatchObject({ isWhole: true, leftBehind: [] });
  expect(readdirSync(root)).toEqual([]);
});

describe("a bind mount", () => {
  whenPossible(["root", "mount"], "has a directory of its own on the device", async () => {
    symlinkSync("device", join(folder, "link"));
    for (const [path, o] of [
      [device, "bind"],
      [join(folder, "link"), "ro,rbind"],
    ] as const) {
      const devices = new Set<string>();
      const watching: Host = {
        ...linuxHost(),
        async mount(request, inner) {
          await linuxHost().mount(request, inner);
          devices.add(request.device);
        },
      };
      const report = await verifyBuiltInDriver(bindTo(path, o), watching);
      // Two volumes on one device share it, which breaks promises; nothing is left of it.
      expect(report.isWhole).toBe(false);
      expect(report.leftBehind).toEqual([]);
      const [used = "", ...others] = devices;
      expect(used).toStartWith(`${device}/holdfast-verify-`);
      expect(others).toEqual([]);
      expectDeviceWhole();
      expect([...left(), ...mountedBelow()]).toEqual([]);
    }
  });

  whenPossible(["root", "mount"], "that stays is named, and nothing is removed", async () => {
    const host = linuxHost();
    const before = endedCount;
    const isOver = () => endedCount !== before;
    const holding: Host = {
      ...host,
      async mount(request, inner) {
        if (isOver()) throw new Error("the test is over");
        await host.mount(request, inner);
        if (isOver()) return await host.detach(request.target, inner);
        // As a process does that has something open there: its unmount is refused as busy.
        held.push(openSync(request.target, "r"));
      },
    };
    const report = await verifyBuiltInDriver(bindTo(device), holding);
    expectDeviceWhole();
    expect(mountedBelow().length).toBeGreaterThan(0);
    expect(report.isWhole).toBe(false);
    const [onRoot = "", onDevice = ""] = report.leftBehind.slice(-2);
    expect(onRoot).toStartWith(`directory ${root}/holdfast-verify-`);
    expect(onRoot).toContain("target is busy");
    expect(onDevice).toStartWith(`directory ${device}/holdfast-verify-`);
    expect(report.text).toContain(`left behind: ${onRoot}\n`);
    for (const each of left()) expect(report.text).toContain(each);
    expect(left()).toHaveLength(2);
  });

  whenPossible(["root", "mount"], "that the driver cannot undo is undone at the end", async () => {
    const host = linuxHost();
    const busy = new EngineError("volume.unmount_failed", "busy");
    const refused = new Set<string>();
    const stubborn: Host = {
      ...host,
      unmount(target, inner) {
        // The driver tries each several times; only the end has an operation of that name.
        if (inner.id === "verify-removal") return host.unmount(target, inner);
        refused.add(basename(target));
        return Promise.reject(busy);
      },
    };
    const report = await verifyBuiltInDriver(bindTo(device), stubborn);
    expect([...refused]).toEqual(["_data"]);
    expect(report).toMatchObject({ isWhole: false, leftBehind: [] });
    expectDeviceWhole();
    expect([...left(), ...mountedBelow()]).toEqual([]);
  });

  test("of what is no directory is refused before anything is made", async () => {
    for (const path of [join(device, "data"), join(folder, "missing")]) {
      const failure = await verifyBuiltInDriver(bindTo(path)).catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: "volume.option_invalid" });
      expect(String(failure)).toContain(path);
    }
    expectDeviceWhole();
    expect(left()).toEqual([]);
  });
});

test("what is wrong with the request says so by its kind, and leaves nothing", async () => {
  const { options, ...request } = bindTo(device);
  const noDriver = verifyBuiltInDriver({ ...request, options, driver: "x" });
  expect(noDriver).rejects.toMatchObject({ code: "driver.not_found" });
  await noDriver.catch(() => undefined);
  const noOption = verifyBuiltInDriver({ ...request, options: { color: "red" } });
  expect(noOption).rejects.toMatchObject({ code: "volume.option_invalid" });
  await noOption.catch(() => undefined);
  expect(left()).toEqual([]);
});
