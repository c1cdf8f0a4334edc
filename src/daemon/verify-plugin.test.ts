// `verify plugin` over real sockets: a sound plugin, broken ones, and what is left where it was.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { modelPluginCalls, type PluginCalls } from "../../test/support/model-plugin.ts";
import { whenPossible } from "../../test/support/needs.ts";
import { servePlugin } from "../../test/support/served-plugin.ts";
import type { VerifyReport } from "../cli/verify.ts";
import { EngineError } from "../core/errors.ts";
import { linuxHost } from "../host/linux.ts";
import { verifyPlugin } from "./verify-plugin.ts";

let folder: string;
let socket: string;
const { TMPDIR: usualPlace } = process.env;
beforeEach(() => {
  folder = mkdtempSync(join("/dev/shm", "hf-verify-plugin-"));
  // Others on this machine may verify something at the same time.
  process.env["TMPDIR"] = folder;
  socket = join(folder, "disks.sock");
  mkdirSync(join(folder, "volumes"));
});
afterEach(() => {
  if (usualPlace === undefined) delete process.env["TMPDIR"];
  else process.env["TMPDIR"] = usualPlace;
  rmSync(folder, { recursive: true, force: true });
});

function calls(): PluginCalls {
  return modelPluginCalls(join(folder, "volumes"));
}

async function verify(options: Readonly<Record<string, string>> = {}): Promise<VerifyReport> {
  return await verifyPlugin({ plugin: socket, options, managed: undefined });
}

function broken({ promises }: VerifyReport): readonly string[] {
  return promises.flatMap(({ promise, outcome }) => (outcome === "broken" ? [promise] : []));
}

function placesLeft(): readonly string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith("holdfast-verify-"));
}

whenPossible(["root"], "a sound plugin keeps all, and nothing of the checks stays", async () => {
  await using _plugin = await servePlugin(socket, calls());
  mkdirSync(join(folder, "volumes/precious"));
  writeFileSync(join(folder, "volumes/precious/data"), "mine");
  const before = placesLeft();
  const report = await verify({ size: "1g" });
  expect(broken(report)).toEqual([]);
  expect(report.isWhole).toBe(true);
  expect(report.text).toContain("kept    `Plugin.Activate` MUST answer an `Implements` list");
  expect(report.text).toContain("kept    Two holders see the same data.");
  expect(report.text).toMatch(/\n- {7}\d+ are not applicable\n\nplugin disks: /);
  expect(report.text).toMatch(/: \d+ promises kept, 0 broken, \d+ not applicable; 0/);
  expect(report.text.match(/^-/gm)).toHaveLength(1);
  expect(readdirSync(join(folder, "volumes"))).toEqual(["precious"]);
  expect(placesLeft()).toEqual(before);
  expect(
    linuxHost()
      .mounts()
      .some(({ target }) => target.includes(folder)),
  ).toBe(false);
});

whenPossible(["root"], "a plugin that unmounts for everybody is caught by both", async () => {
  const sound = calls();
  const forAll: PluginCalls = {
    ...sound,
    "VolumeDriver.Unmount": ({ Name = "" }) => {
      const place = join(folder, "volumes", Name);
      for (const each of existsSync(place) ? readdirSync(place) : []) {
        rmSync(join(place, each), { recursive: true });
      }
      return {};
    },
  };
  await using _plugin = await servePlugin(socket, forAll);
  const report = await verify();
  expect(report.isWhole).toBe(false);
  expect(broken(report)).toContain("`Unmount` of one ID MUST leave what another has mounted.");
  expect(broken(report)).toContain("What was written is there again at the next mount.");
});

test("a plugin that wants another content type is caught", async () => {
  await using _plugin = await servePlugin(socket, calls(), { refusedType: "text/plain" });
  const report = await verify();
  expect(broken(report)).toEqual(["The content type of a request MUST NOT matter."]);
});

test("one that wants options is given the advice to say them", async () => {
  const sound = calls();
  const choosy: PluginCalls = {
    ...sound,
    "VolumeDriver.Create": (body) => {
      if (body.Opts?.["remote"] === undefined) throw new Error("remote is needed");
      return sound["VolumeDriver.Create"]?.(body);
    },
  };
  await using _plugin = await servePlugin(socket, choosy);
  expect((await verify()).text).toContain(
    "\nMost checks had no volume: where Create wants options",
  );
  expect((await verify({ remote: "x" })).text).not.toContain("Most checks");
});

test("what is only wished for fails nothing", async () => {
  const sound = calls();
  const ids = new Set<string>();
  const counting: PluginCalls = {
    ...sound,
    "VolumeDriver.Mount": (body) => {
      ids.add(`${body.Name} ${body.ID}`);
      return sound["VolumeDriver.Mount"]?.(body);
    },
    "VolumeDriver.Unmount": (body) => {
      if (!ids.delete(`${body.Name} ${body.ID}`)) throw new Error("not mounted");
      return sound["VolumeDriver.Unmount"]?.(body);
    },
  };
  await using _plugin = await servePlugin(socket, counting);
  const report = await verify();
  expect(report.promises.filter(({ outcome }) => outcome === "broken")).toMatchObject([
    { promise: "`Unmount` of what is not mounted SHOULD succeed.", isAdvice: true },
  ]);
  expect(report.text).toContain("NOT SO  `Unmount` of what is not mounted SHOULD succeed.");
  expect(report.isWhole).toBe(true);
});

test("what is not there is told", async () => {
  const code = async (plugin: string): Promise<string> => {
    const asking = verifyPlugin({ plugin, options: {}, managed: undefined });
    const error: unknown = await asking.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    return error instanceof EngineError ? `${error.code}: ${error.message}` : String(error);
  };
  const nowhere = join(folder, "nosuch.sock");
  expect(await code(nowhere)).toStartWith(`plugin.not_found: there is no socket ${nowhere}`);
  expect(await code("nosuchplugin")).toStartWith('plugin.not_found: plugin "nosuchplugin" not');
});
