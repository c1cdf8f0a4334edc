// What `plugin set` changes: the words that Docker takes, and what stays of it over an upgrade.
import { EngineError } from "../../core/errors.ts";
import { goQuote } from "../../core/names.ts";
import type { PluginConfig, PluginSettings } from "../../core/plugin.ts";

/** A word is no longer, in bytes: no variable of a process is. */
const WORD_BYTES_MAX = 128 * 1024;

/** Config and settings of one version. Docker changes both: see `applySettings`. */
export interface Settable {
  readonly config: PluginConfig;
  readonly settings: PluginSettings;
}

/** What a plugin starts out with. */
export function initialSettings(config: PluginConfig): PluginSettings {
  return {
    mounts: config.mounts ?? [],
    env: (config.env ?? []).flatMap(({ name, value }) =>
      value === null ? [] : [`${name}=${value}`],
    ),
    args: config.args.value ?? [],
    devices: config.linux.devices ?? [],
  };
}

interface Word {
  readonly name: string;
  /** "": none is named. */
  readonly field: string;
  readonly value: string;
}

/**
 * Applies `KEY=VALUE`, `KEY.FIELD=VALUE` and their like, all or none. Of a mount and a device
 * Docker changes the config too (recording 07: `set state.source=/tmp`), so that a `docker plugin
 * inspect` shows the new one in both. Throws `plugin.setting_invalid` with Docker's texts.
 */
export function applySettings(settable: Settable, words: readonly string[]): Settable {
  return words.map(parseWord).reduce(applyWord, settable);
}

function parseWord(text: string): Word {
  if (Buffer.byteLength(text) > WORD_BYTES_MAX || text.includes("\0")) {
    throw refused(`a setting must have at most ${WORD_BYTES_MAX} bytes, and none that is 0`);
  }
  const equals = text.indexOf("=");
  if (equals === 0 || text === "") {
    throw refused("invalid format, must be <name>[.<field>][=<value>]");
  }
  const whole = equals < 0 ? text : text.slice(0, equals);
  const value = equals < 0 ? "" : text.slice(equals + 1);
  const dot = whole.lastIndexOf(".");
  if (dot <= 0) return { name: whole, field: "", value };
  return { name: whole.slice(0, dot), field: whole.slice(dot + 1), value };
}

function applyWord({ config, settings }: Settable, word: Word): Settable {
  const { name, value } = word;
  const env = config.env?.find((each) => each.name === name);
  if (env !== undefined) {
    checkField(word, "value", env.settable);
    return { config, settings: { ...settings, env: withEnv(settings.env, name, value) } };
  }
  const mount = config.mounts?.find((each) => each.name === name);
  if (mount !== undefined) {
    checkField(word, "source", mount.settable);
    if (mount.source === null) throw refused("Plugin config has no mount source");
    const mounts = replaced(config.mounts, name, { source: value });
    const set = { ...settings, mounts: replaced(settings.mounts, name, { source: value }) };
    return { config: { ...config, mounts }, settings: set };
  }
  const device = config.linux.devices?.find((each) => each.name === name);
  if (device !== undefined) {
    checkField(word, "path", device.settable);
    if (device.path === null) throw refused("Plugin config has no device path");
    const devices = replaced(config.linux.devices, name, { path: value });
    const set = { ...settings, devices: replaced(settings.devices, name, { path: value }) };
    return { config: { ...config, linux: { ...config.linux, devices } }, settings: set };
  }
  if (config.args.name === name) {
    checkField(word, "value", config.args.settable);
    return { config, settings: { ...settings, args: value.split(" ") } };
  }
  throw refused(`setting ${goQuote(name)} not found in the plugin configuration`);
}

/** Without a field in the word the only settable one is meant. */
function checkField(word: Word, allowed: string, settable: readonly string[] | null): void {
  const fields = settable ?? [];
  if (word.field === "" && fields.length > 1) {
    throw refused("multiple fields are settable, one must be specified");
  }
  const field = word.field === "" ? (fields[0] ?? "") : word.field;
  if (field === allowed && fields.includes(field)) return;
  const shown = field === "" ? word.name : `${word.name}.${field}`;
  throw refused(`${goQuote(shown)} is not settable`);
}

function withEnv(env: readonly string[], name: string, value: string): readonly string[] {
  const entry = `${name}=${value}`;
  const index = env.findIndex((each) => nameOf(each) === name);
  return index < 0 ? [...env, entry] : env.with(index, entry);
}

function nameOf(entry: string): string {
  return entry.split("=", 1)[0] ?? "";
}

/** The first of that name, as Docker does. */
function replaced<T extends { readonly name: string }>(
  list: readonly T[] | null,
  name: string,
  change: Partial<T>,
): readonly T[] {
  const index = list?.findIndex((each) => each.name === name) ?? -1;
  const before = list?.[index];
  if (list === null || before === undefined) return list ?? [];
  return list.with(index, { ...before, ...change });
}

/**
 * The settings of a new version: what somebody has set stays, where the new version still lets it
 * be set; all else is as the new version has it. `packed` is the config of the old one before
 * anybody set anything.
 */
export function keptSettings(
  old: PluginSettings,
  packed: PluginConfig,
  next: PluginConfig,
): PluginSettings {
  return changesOf(old, packed).reduce((settings, word) => {
    try {
      return applySettings({ config: next, settings }, [word]).settings;
    } catch {
      return settings; // There is none of that name any more, or nobody may set it.
    }
  }, initialSettings(next));
}

/** The words that make the settings of the config's own. */
function changesOf(settings: PluginSettings, packed: PluginConfig): readonly string[] {
  const before = initialSettings(packed);
  const env = settings.env.filter((entry) => !before.env.includes(entry));
  const mounts = settings.mounts.filter(({ name, source }) =>
    before.mounts.some((each) => each.name === name && each.source !== source),
  );
  const devices = settings.devices.filter(({ name, path }) =>
    before.devices.some((each) => each.name === name && each.path !== path),
  );
  const hasArgs = settings.args.join(" ") !== before.args.join(" ");
  return [
    ...env.map((entry) => entry.replace("=", ".value=")),
    ...mounts.map(({ name, source }) => `${name}.source=${source}`),
    ...devices.map(({ name, path }) => `${name}.path=${path}`),
    ...(hasArgs ? [`${packed.args.name}.value=${settings.args.join(" ")}`] : []),
  ];
}

function refused(message: string): EngineError {
  return new EngineError("plugin.setting_invalid", message);
}
