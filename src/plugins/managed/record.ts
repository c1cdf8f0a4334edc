// `plugin.json`: all that is known of an installed plugin, in a file of its directory.
//
// It has a format number. A file of a newer format is left alone; one that is no JSON of this shape
// is damaged. Both are told apart, because the second one is in the way and the first one is not.

import { EngineError, messageOf } from "../../core/errors.ts";
import {
  isPluginId,
  type ManagedPlugin,
  type PluginConfig,
  type PluginId,
  type PluginSettings,
} from "../../core/plugin.ts";
import { renderDevice, renderMount, renderPluginConfig } from "../../core/plugin-json.ts";
import { isDigest } from "../../core/plugin-reference.ts";
import { CONFIG_BYTES_MAX, deviceOf, mountOf, pluginConfigOf } from "./config.ts";
import { GoFields } from "./go-fields.ts";

export const RECORD_FORMAT = 1;
/** Two versions, each with its config and settings in the words of the config. */
export const RECORD_BYTES_MAX = 8 * CONFIG_BYTES_MAX;

/** A blob, and what it is. */
export interface RecordedLayer {
  /** `sha256:…` */
  readonly digest: string;
  /** In bytes. */
  readonly size: number;
  readonly mediaType: string;
}

/** One version of a plugin: an image, and where it is unpacked. */
export interface PluginVersion {
  /** See `ManagedPlugin.reference`. */
  readonly reference: string;
  /** Of the manifest's blob. */
  readonly digest: string;
  readonly mediaType: string;
  /** Of the blob of the config as it was packed. */
  readonly configDigest: string;
  readonly layers: readonly RecordedLayer[];
  /** The name of a directory beside the record. */
  readonly rootfs: string;
  /** What Docker shows: `plugin set` has changed it. */
  readonly config: PluginConfig;
}

/** A version with what somebody has set of it. */
interface SetVersion {
  readonly version: PluginVersion;
  readonly settings: PluginSettings;
}

export interface PluginRecord extends SetVersion {
  readonly id: PluginId;
  readonly name: string;
  readonly isEnabled: boolean;
  /** Disabled for an upgrade alone: the next start enables it. */
  readonly isPaused: boolean;
  readonly installedAtMs: number;
  /** What comes back when `version` does not start; null: it has started, or is the first one. */
  readonly previous: SetVersion | null;
}

/** A record that this Holdfast cannot read, because a newer one wrote it. */
export class NewerRecord extends Error {
  override readonly name = "NewerRecord";
}

/** What everybody else sees of it. */
export function pluginOf(record: PluginRecord): ManagedPlugin {
  const { id, name, isEnabled, installedAtMs, version, settings, previous } = record;
  return {
    ...{ id, name, isEnabled, installedAtMs, settings },
    reference: version.reference,
    config: version.config,
    digest: version.digest,
    previous: previous === null ? null : { reference: previous.version.reference },
  };
}

/** The blobs that must stay for it. */
export function blobsOf({ version, previous }: PluginRecord): readonly string[] {
  const versions = previous === null ? [version] : [version, previous.version];
  return versions.flatMap(({ digest, configDigest, layers }) => [
    digest,
    configDigest,
    ...layers.map((layer) => layer.digest),
  ]);
}

/** The names of the directories of its versions. */
export function rootfsNamesOf({ version, previous }: PluginRecord): readonly string[] {
  return previous === null ? [version.rootfs] : [version.rootfs, previous.version.rootfs];
}

/** The text of the file. */
export function renderRecord(record: PluginRecord): string {
  const { id, name, isEnabled, isPaused, installedAtMs, previous } = record;
  const file = {
    format: RECORD_FORMAT,
    ...{ id, name, isEnabled, isPaused, installedAtMs },
    ...renderSetVersion(record),
    previous: previous === null ? null : renderSetVersion(previous),
  };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

function renderSetVersion({ version: { config, ...version }, settings }: SetVersion): object {
  return {
    version: { ...version, config: renderPluginConfig(config) },
    settings: renderSettings(settings),
  };
}

function renderSettings({ mounts, env, args, devices }: PluginSettings): object {
  return { mounts: mounts.map(renderMount), env, args, devices: devices.map(renderDevice) };
}

/**
 * Reads the text of a file that is to describe the plugin `id`. Throws `NewerRecord`, and
 * `storage.failed` for what is none.
 */
export function parseRecord(text: string, id: PluginId): PluginRecord {
  try {
    return recordOf(new GoFields(JSON.parse(text), { struct: "record", path: "" }), id);
  } catch (error) {
    if (error instanceof NewerRecord) throw error;
    const why = messageOf(error);
    throw new EngineError("storage.failed", `plugin.json of ${id} is damaged: ${why}`, {
      cause: error,
    });
  }
}

function recordOf(fields: GoFields, id: PluginId): PluginRecord {
  const format = fields.count("format");
  if (format > RECORD_FORMAT) throw new NewerRecord(`plugin.json of ${id} has format ${format}`);
  if (format !== RECORD_FORMAT) throw new Error("it says no format");
  if (fields.text("id") !== id || !isPluginId(id)) throw new Error("it has another id");
  return {
    id,
    name: required(fields, "name"),
    isEnabled: fields.flag("isEnabled"),
    isPaused: fields.flag("isPaused"),
    installedAtMs: numberOf(fields, "installedAtMs"),
    ...setVersionOf(fields),
    previous: fields.objectOrNull("previous", "previous", setVersionOf),
  };
}

function setVersionOf(fields: GoFields): SetVersion {
  return {
    version: versionOf(fields.object("version", "version")),
    settings: settingsOf(fields.object("settings", "settings")),
  };
}

const rootfsName = /^rootfs(?:-[1-9][0-9]{0,8})?$/;

/** Whether a directory beside a record is one that versions are unpacked into. */
export function isRootfsName(text: string): boolean {
  return rootfsName.test(text);
}

function versionOf(fields: GoFields): PluginVersion {
  const rootfs = fields.text("rootfs");
  if (!isRootfsName(rootfs)) throw new Error(`${JSON.stringify(rootfs)} is no name of a rootfs`);
  return {
    reference: fields.text("reference"),
    digest: digestOf(fields, "digest"),
    mediaType: required(fields, "mediaType"),
    configDigest: digestOf(fields, "configDigest"),
    layers: fields.objects("layers", "layer", layerOf) ?? [],
    rootfs,
    config: pluginConfigOf(fields.get("config") ?? {}),
  };
}

function layerOf(fields: GoFields): RecordedLayer {
  return {
    digest: digestOf(fields, "digest"),
    size: numberOf(fields, "size"),
    mediaType: required(fields, "mediaType"),
  };
}

function settingsOf(fields: GoFields): PluginSettings {
  return {
    mounts: fields.objects("mounts", "PluginMount", mountOf) ?? [],
    env: fields.texts("env") ?? [],
    args: fields.texts("args") ?? [],
    devices: fields.objects("devices", "PluginDevice", deviceOf) ?? [],
  };
}

function required(fields: GoFields, name: string): string {
  const text = fields.text(name);
  if (text === "") throw new Error(`it has no ${name}`);
  return text;
}

function digestOf(fields: GoFields, name: string): string {
  const text = fields.text(name);
  if (!isDigest(text)) throw new Error(`${name} is no digest`);
  return text;
}

function numberOf(fields: GoFields, name: string): number {
  const value = fields.get(name);
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`${name} is no number`);
}
