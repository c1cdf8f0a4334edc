// The words of `plugin set`, as Docker takes and refuses them, and what stays of them over an
// upgrade.
import { expect, test } from "bun:test";
import { recordedConfig, recordedMinimal } from "../../../test/support/recorded-plugin.ts";
import { pluginConfigOf } from "./config.ts";
import { applySettings, initialSettings, keptSettings } from "./settings.ts";

const config = pluginConfigOf(recordedConfig);
const settings = initialSettings(config);
const first = { config, settings };

test("a plugin starts out with its config", () => {
  expect(settings).toEqual({
    mounts: config.mounts ?? [],
    env: ["DEBUG=0", "FIXED=1"],
    args: ["-scope", "local"],
    devices: config.linux.devices ?? [],
  });
  const none = { mounts: [], env: [], args: [], devices: [] };
  expect(initialSettings(pluginConfigOf(recordedMinimal.json))).toEqual(none);
  const withNull = pluginConfigOf({ env: [{ name: "A", value: null }] });
  expect(initialSettings(withNull).env).toEqual([]);
});

test("recording 07: a variable, a mount, a device and arguments", () => {
  const words = ["DEBUG=1", "state.source=/tmp", "fuse=/dev/null", "args=-scope global"];
  const set = applySettings(first, words);
  expect(set.settings.env).toEqual(["DEBUG=1", "FIXED=1"]);
  expect(set.settings.mounts[0]?.source).toBe("/tmp");
  expect(set.settings.devices[0]?.path).toBe("/dev/null");
  expect(set.settings.args).toEqual(["-scope", "global"]);
  // Docker shows a mount's source and a device's path in the config too, and only those.
  expect(set.config.mounts?.[0]?.source).toBe("/tmp");
  expect(set.config.linux.devices?.[0]?.path).toBe("/dev/null");
  expect(set.config.env).toEqual(config.env);
  expect(set.config.args).toEqual(config.args);
});

test("values keep what stands in them", () => {
  expect(applySettings(first, ["DEBUG=a=b.c"]).settings.env).toEqual(["DEBUG=a=b.c", "FIXED=1"]);
  expect(applySettings(first, ["DEBUG"]).settings.env).toEqual(["DEBUG=", "FIXED=1"]);
  expect(applySettings(first, ["DEBUG.value=2"]).settings.env).toEqual(["DEBUG=2", "FIXED=1"]);
  expect(applySettings(first, ["args=a  b "]).settings.args).toEqual(["a", "", "b", ""]);
});

test("a variable without a value is put behind the others", () => {
  const open = pluginConfigOf({ env: [{ name: "A", value: null, settable: ["value"] }] });
  const set = applySettings({ config: open, settings: initialSettings(open) }, ["A=1"]);
  expect(set.settings.env).toEqual(["A=1"]);
});

const twoFields = pluginConfigOf({
  env: [{ name: "A", value: "", settable: ["value", "name"] }],
  mounts: [
    { name: "m", source: null, settable: ["source"] },
    { name: "n", source: "/", settable: ["destination"] },
  ],
  linux: { devices: [{ name: "d", path: null, settable: ["path"] }] },
});

const refused: readonly (readonly [string, string])[] = [
  ["FIXED=2", '"FIXED" is not settable'],
  ["FIXED.value=2", '"FIXED.value" is not settable'],
  ["NOPE=2", 'setting "NOPE" not found in the plugin configuration'],
  ["=2", "invalid format, must be <name>[.<field>][=<value>]"],
  ["", "invalid format, must be <name>[.<field>][=<value>]"],
  ["DEBUG.name=2", '"DEBUG.name" is not settable'],
  ["state.destination=/x", '"state.destination" is not settable'],
];

for (const [word, message] of refused) {
  test(`refused: ${JSON.stringify(word)}`, () => {
    const error = expect.objectContaining({ code: "plugin.setting_invalid", message });
    expect(() => applySettings(first, [word])).toThrow(error);
    // All or none.
    expect(() => applySettings(first, ["DEBUG=7", word])).toThrow(error);
  });
}

const refusedOfOthers: readonly (readonly [string, string])[] = [
  ["A=1", "multiple fields are settable, one must be specified"],
  ["m=/x", "Plugin config has no mount source"],
  ["n=/x", '"n.destination" is not settable'],
  ["d=/x", "Plugin config has no device path"],
];

for (const [word, message] of refusedOfOthers) {
  test(`refused of other configs: ${word}`, () => {
    const other = { config: twoFields, settings: initialSettings(twoFields) };
    expect(() => applySettings(other, [word])).toThrow(expect.objectContaining({ message }));
  });
}

test("recording 07: what was set stays over an upgrade, the config is the new one", () => {
  const words = ["DEBUG=1", "state.source=/tmp", "fuse=/dev/null", "args=-scope global"];
  const set = applySettings(first, words).settings;
  expect(keptSettings(set, config, config)).toEqual(set);
});

test("what nobody set follows the new version, and what it has no more goes", () => {
  const next = pluginConfigOf({
    ...recordedConfig,
    Env: [
      { Name: "DEBUG", Value: "0" },
      { Name: "FIXED", Value: "2" },
      { Name: "NEW", Value: "n" },
    ],
    Args: { Name: "args", Value: ["-new"], Settable: ["value"] },
    Linux: { Devices: [{ Name: "fuse", Path: "/dev/cuse", Settable: ["path"] }] },
    Mounts: [],
  });
  const set = applySettings(first, ["DEBUG=1", "state.source=/tmp"]).settings;
  expect(keptSettings(set, config, next)).toEqual({
    // Nobody may set DEBUG any more.
    env: ["DEBUG=0", "FIXED=2", "NEW=n"],
    args: ["-new"],
    devices: next.linux.devices ?? [],
    mounts: [],
  });
});
