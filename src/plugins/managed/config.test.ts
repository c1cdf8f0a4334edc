// What is read of a config.json, what is refused, and that Docker would show the same of it.

import { expect, test } from "bun:test";
import {
  recordedConfig,
  recordedConfigJson,
  recordedLayer,
  recordedMinimal,
} from "../../../test/support/recorded-plugin.ts";
import { renderPluginConfig } from "../../core/plugin-json.ts";
import { CONFIG_BYTES_MAX, parsePluginConfig, pluginConfigOf } from "./config.ts";

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

test("what Docker shows of the recorded plugin is what is read of its config.json", () => {
  const rootfs = { type: "layers", diff_ids: [recordedLayer] };
  const config = parsePluginConfig(encode({ ...recordedConfigJson, rootfs }));
  expect(renderPluginConfig(config)).toEqual(recordedConfig);
});

test("keys count in any case, and what Docker shows is read back as it was", () => {
  const config = pluginConfigOf(recordedConfig);
  expect(renderPluginConfig(pluginConfigOf(renderPluginConfig(config)))).toEqual(recordedConfig);
  const loud = { DESCRIPTION: "a", Ipchost: true, LINUX: { ALLOWALLDEVICES: true } };
  const read = pluginConfigOf(loud);
  expect(read.description).toBe("a");
  expect(read.ipcHost).toBe(true);
  expect(read.linux.allowAllDevices).toBe(true);
});

test("lists that are missing are null, empty ones are empty, null is as missing", () => {
  expect(renderPluginConfig(pluginConfigOf(recordedMinimal.json))).toEqual(recordedMinimal.shown);
  const config = pluginConfigOf({ env: [], mounts: null, entrypoint: [], user: { uid: 3 } });
  expect(config.env).toEqual([]);
  expect(config.mounts).toBeNull();
  expect(config.entrypoint).toEqual([]);
  expect(config.user).toEqual({ uid: 3, gid: 0 });
  expect(renderPluginConfig(config)["User"]).toEqual({ UID: 3 });
});

test("a source, path or value that is null is kept apart from an empty one", () => {
  const config = pluginConfigOf({
    mounts: [{ source: null }, { source: "" }],
    env: [
      { name: "A", value: null },
      { name: "B", value: "" },
    ],
    linux: { devices: [{ name: "d" }] },
  });
  expect(config.mounts?.map(({ source }) => source)).toEqual([null, ""]);
  expect(config.env?.map(({ value }) => value)).toEqual([null, ""]);
  expect(config.linux.devices?.[0]?.path).toBeNull();
});

test("interface types are split as Docker splits them", () => {
  const types = ["docker.volumedriver/1.0", "docker.x.y/2/3", "docker.volumedriver", "plain"];
  const config = pluginConfigOf({ interface: { types } });
  const shown = ["docker.volumedriver/1.0", "docker.x.y/2/3", "docker.volumedriver/", ".lain/"];
  expect(config.interface.types).toEqual(shown);
});

const refused: readonly (readonly [unknown, string])[] = [
  [
    { description: 1 },
    "json: cannot unmarshal number into Go struct field PluginConfig.Description of type string",
  ],
  [
    { entrypoint: "sh" },
    "json: cannot unmarshal string into Go struct field PluginConfig.Entrypoint of type []string",
  ],
  [
    { entrypoint: [1] },
    "json: cannot unmarshal number into Go struct field PluginConfig.Entrypoint of type string",
  ],
  [
    { ipchost: "yes" },
    "json: cannot unmarshal string into Go struct field PluginConfig.IpcHost of type bool",
  ],
  [
    { linux: [] },
    "json: cannot unmarshal array into Go struct field PluginConfig.Linux of type " +
      "types.PluginConfigLinux",
  ],
  [
    { linux: { capabilities: {} } },
    "json: cannot unmarshal object into Go struct field PluginConfigLinux.Linux.Capabilities " +
      "of type []string",
  ],
  [
    { mounts: [{ name: true }] },
    "json: cannot unmarshal bool into Go struct field PluginMount.Mounts.Name of type string",
  ],
  [
    { user: { uid: 1.5 } },
    "json: cannot unmarshal number 1.5 into Go struct field PluginConfigUser.User.UID of type " +
      "uint32",
  ],
  [[], "json: cannot unmarshal array into Go value of type types.PluginConfig"],
  ["x", "json: cannot unmarshal string into Go value of type types.PluginConfig"],
  [
    { interface: { socket: "../x.sock" } },
    'interface.socket "../x.sock" must be a file name of at most 60 bytes',
  ],
  [
    { interface: { socket: ".." } },
    'interface.socket ".." must be a file name of at most 60 bytes',
  ],
  [{ propagatedMount: "/" }, 'propagatedMount "/" must be an absolute path below /, without ..'],
  [
    { propagatedMount: "mnt" },
    'propagatedMount "mnt" must be an absolute path below /, without ..',
  ],
  [
    { propagatedMount: "/mnt/../etc" },
    'propagatedMount "/mnt/../etc" must be an absolute path below /, without ..',
  ],
];

for (const [value, text] of refused) {
  test(`refused: ${JSON.stringify(value)}`, () => {
    expect(() => parsePluginConfig(encode(value))).toThrow(
      expect.objectContaining({
        code: "plugin.config_invalid",
        message: `failed to parse config: ${text}`,
      }),
    );
  });
}

test("what is no JSON, and what is too long, is refused", () => {
  const invalid = expect.objectContaining({ code: "plugin.config_invalid" });
  expect(() => parsePluginConfig(new TextEncoder().encode("{"))).toThrow(invalid);
  expect(() => parsePluginConfig(new Uint8Array())).toThrow(invalid);
  expect(() => parsePluginConfig(new Uint8Array(CONFIG_BYTES_MAX + 1))).toThrow(invalid);
});
