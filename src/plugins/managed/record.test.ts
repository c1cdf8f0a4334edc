// plugin.json: what is written is read back, and what is not sound is told from what is newer.
import { expect, test } from "bun:test";
import { recordedConfig, recordedLayer } from "../../../test/support/recorded-plugin.ts";
import { pluginConfigOf } from "./config.ts";
import {
  blobsOf,
  NewerRecord,
  type PluginRecord,
  type PluginVersion,
  parseRecord,
  pluginOf,
  renderRecord,
  rootfsNamesOf,
} from "./record.ts";
import { initialSettings } from "./settings.ts";

const id = "a".repeat(64);
const digest = (digit: string) => `sha256:${digit.repeat(64)}`;
const config = pluginConfigOf(recordedConfig);
const version: PluginVersion = {
  reference: "127.0.0.1:5000/vp:v2",
  digest: digest("1"),
  mediaType: "application/vnd.docker.distribution.manifest.v2+json",
  configDigest: digest("2"),
  layers: [{ digest: recordedLayer, size: 2_067_034, mediaType: "layer" }],
  rootfs: "rootfs-2",
  config,
};
const record: PluginRecord = {
  id,
  name: "myvp:latest",
  isEnabled: true,
  isPaused: false,
  installedAtMs: 1_795_336_749_000,
  version,
  settings: initialSettings(config),
  previous: {
    version: { ...version, reference: "v1", digest: digest("3"), rootfs: "rootfs" },
    settings: { ...initialSettings(config), env: ["DEBUG=\u2028=1"] },
  },
};

test("a record is read back as it was written", () => {
  expect(parseRecord(renderRecord(record), id)).toEqual(record);
  const first = { ...record, previous: null };
  expect(parseRecord(renderRecord(first), id)).toEqual(first);
});

test("what others see, and what must stay for it", () => {
  expect(pluginOf(record).previous).toEqual({ reference: "v1" });
  expect(pluginOf(record).digest).toBe(digest("1"));
  const blobs = [digest("1"), digest("2"), recordedLayer, digest("3"), digest("2"), recordedLayer];
  expect(blobsOf(record)).toEqual(blobs);
  expect(rootfsNamesOf(record)).toEqual(["rootfs-2", "rootfs"]);
});

const damaged: Readonly<Record<string, (text: string) => string>> = {
  empty: () => "",
  "cut off": (text) => text.slice(0, 200),
  zeroes: (text) => "\0".repeat(text.length),
  "no object": () => "[]",
  "no format": (text) => text.replace('"format": 1,', ""),
  "another id": (text) => text.replace(id, "b".repeat(64)),
  "no name": (text) => text.replace('"myvp:latest"', '""'),
  "a rootfs outside": (text) => text.replace('"rootfs-2"', '"../../etc"'),
  "no rootfs": (text) => text.replace('"rootfs-2"', "null"),
  "no digest": (text) => text.replace(digest("1"), "sha256:1"),
  "a size that is none": (text) => text.replace("2067034", "-1"),
  "a config that is none": (text) => text.replace('"IpcHost": false', '"IpcHost": 0'),
};

for (const [what, damage] of Object.entries(damaged)) {
  test(`damaged: ${what}`, () => {
    const text = damage(renderRecord(record));
    expect(text).not.toBe(renderRecord(record));
    expect(() => parseRecord(text, id)).toThrow(
      expect.objectContaining({
        code: "storage.failed",
        message: expect.stringContaining(`plugin.json of ${id} is damaged: `),
      }),
    );
  });
}

test("a newer format is not damage", () => {
  const text = renderRecord(record).replace('"format": 1', '"format": 2');
  expect(() => parseRecord(text, id)).toThrow(NewerRecord);
});
