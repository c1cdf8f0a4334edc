// What the daemon is told: options, HOLDFAST_… variables and a TOML file, in this order of
// strength.
import { readFileSync } from "node:fs";
import path from "node:path";
import { parse as parseToml } from "smol-toml";
import { EngineError, isErrno, messageOf } from "../core/errors.ts";
import type { ViolationPolicy } from "../engine/sharing/sharing-judge.ts";
import { BUDGET_RULE, parseBudget, type TrashBudget } from "../engine/trash/budget.ts";
import { type TrashDefaults, trashDefaults } from "../engine/trash/policy.ts";
import { parseRetention, RETENTION_RULE, type Retention } from "../engine/trash/retention.ts";
import type { LogLevel } from "../host/logs.ts";
import type { RegistrySettings } from "../plugins/registry/addresses.ts";
import type { PluginDirectories } from "../plugins/sockets/find-plugins.ts";
import { readPluginDirectories, readRegistrySettings } from "./plugin-settings.ts";
import { readSecretKey } from "./secrets.ts";
import { defaultConfigFile, isSetting, type Setting, settings, variableOf } from "./settings.ts";

export interface DaemonConfig {
  /** Absolute, without a trailing slash. */
  readonly root: string;
  /** Absolute paths of Unix sockets to listen on; at least one, unless sockets are inherited. */
  readonly sockets: readonly string[];
  /** Absolute path of the socket of the volume driver; undefined: none is wanted. */
  readonly pluginSocket: string | undefined;
  /** Absolute path of the directory with the containers' socket; undefined: none is wanted. */
  readonly lockDirectory: string | undefined;
  /** Where other plugins are looked for, and how registries are reached. */
  readonly plugins: PluginDirectories;
  readonly registry: RegistrySettings;
  /** Absolute path of the key of the secrets, which may not exist yet. */
  readonly secretKey: string;
  /** See `holdGraces`. */
  readonly holdGraceMs: number;
  readonly violationPolicy: ViolationPolicy;
  /** What becomes of removed volumes that say nothing themselves, and how much they may take. */
  readonly trash: { readonly defaults: TrashDefaults; readonly budget: TrashBudget };
  /** The group that may use the sockets; undefined: `docker` or `holdfast`, whichever exists. */
  readonly group: string | undefined;
  readonly logLevel: LogLevel;
}

export interface ConfigSources {
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly userId: number;
}

const known: readonly string[] = Object.keys(settings);
const logLevels: readonly string[] = ["debug", "info", "warn", "error"] satisfies LogLevel[];

/** Every value that was given, by name; `host` may be given more than once. */
type Given = ReadonlyMap<Setting, readonly string[]>;

/** Throws `config.invalid`, naming the place, the value and the rule. */
export function readConfig(sources: ConfigSources): DaemonConfig {
  const { args, environment, userId } = sources;
  const options = readOptions(args);
  const configFile = options.configFile ?? (environment[variableOf("config")] || undefined);
  const layers: readonly Given[] = [
    options.given,
    readEnvironment(environment),
    readFile(configFile ?? defaultConfigFile, configFile !== undefined),
  ];
  const value = (setting: Setting): readonly string[] | undefined =>
    layers.find((layer) => layer.has(setting))?.get(setting);
  const places = defaultPlaces(userId, environment);
  const root = path.resolve(only("root", value("root")) ?? places.root);
  const secretKey = only("secret-key", value("secret-key"));
  return {
    root,
    sockets: (value("host") ?? [places.host]).map(socketPath),
    pluginSocket: pathOrNone(
      "plugin-socket",
      only("plugin-socket", value("plugin-socket")) ?? places.plugin,
    ),
    lockDirectory: pathOrNone(
      "lock-directory",
      only("lock-directory", value("lock-directory")) ?? places.locks,
    ),
    plugins: readPluginDirectories({
      sockets: only("plugin-sockets", value("plugin-sockets")),
      specs: value("plugin-specs"),
      isRoot: userId === 0,
    }),
    registry: readRegistrySettings({
      insecure: value("insecure-registry"),
      mirrors: value("registry-mirror"),
      certificates: only("registry-certs", value("registry-certs")),
    }),
    secretKey: readSecretKey({ file: secretKey, root, userId, environment }),
    holdGraceMs: parseSeconds(only("hold-grace", value("hold-grace"))),
    violationPolicy: parsePolicy(only("sharing-violation", value("sharing-violation"))),
    trash: {
      defaults: readTrash({
        named: only("trash", value("trash")),
        anonymous: only("trash-anonymous", value("trash-anonymous")),
      }),
      budget: readBudget(only("trash-budget", value("trash-budget"))),
    },
    group: only("group", value("group")),
    logLevel: parseLogLevel(only("log-level", value("log-level")) ?? settings["log-level"].default),
  };
}

function readOptions(args: readonly string[]): {
  readonly given: Given;
  readonly configFile: string | undefined;
} {
  const given = new Map<Setting, string[]>();
  let configFile: string | undefined;
  for (let index = 0; index < args.length; index++) {
    const word = args[index] ?? "";
    const equals = word.indexOf("=");
    const name = word.slice(2, equals < 0 ? undefined : equals);
    if (!(word.startsWith("--") && (isSetting(name) || name === "config"))) {
      const options = known.map((each) => `--${each}`).join(", ");
      throw invalid(`unknown argument ${JSON.stringify(word)}: known are ${options} and --config`);
    }
    const text = equals < 0 ? args[++index] : word.slice(equals + 1);
    if (text === undefined || text === "") throw invalid(`--${name} needs a value`);
    if (isSetting(name)) given.set(name, [...(given.get(name) ?? []), text]);
    else configFile = text;
  }
  return { given, configFile };
}

function readEnvironment(environment: ConfigSources["environment"]): Given {
  const given = new Map<Setting, readonly string[]>();
  for (const setting of known.filter(isSetting)) {
    const text = environment[variableOf(setting)];
    if (text === undefined || text === "") continue;
    given.set(setting, "isList" in settings[setting] ? text.split(",") : [text]);
  }
  return given;
}

function readFile(file: string, isRequired: boolean): Given {
  let table: Readonly<Record<string, unknown>>;
  try {
    table = parseToml(readFileSync(file, "utf8"));
  } catch (error) {
    if (!isRequired && isErrno(error, "ENOENT")) return new Map();
    const text = messageOf(error);
    throw new EngineError("config.invalid", `configuration file ${file}: ${text}`, {
      cause: error,
    });
  }
  const given = new Map<Setting, readonly string[]>();
  for (const [name, value] of Object.entries(table)) {
    if (!isSetting(name)) {
      throw invalid(`${file}: unknown key ${name}: known are ${known.join(", ")}`);
    }
    const texts: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (!texts.every((each) => typeof each === "string")) {
      throw invalid(
        `${file}: ${name} takes a string${"isList" in settings[name] ? " or a list" : ""}`,
      );
    }
    if (texts.length === 0) throw invalid(`${file}: ${name} is an empty list`);
    if (texts.includes("")) throw invalid(`${file}: ${name} is empty`);
    given.set(name, texts);
  }
  return given;
}

function defaultPlaces(
  userId: number,
  environment: ConfigSources["environment"],
): Readonly<Record<"root" | "host" | "plugin" | "locks", string>> {
  if (userId === 0) {
    return {
      root: settings.root.default,
      host: settings.host.default,
      plugin: settings["plugin-socket"].default,
      locks: settings["lock-directory"].default,
    };
  }
  const home = environment["HOME"] ?? "/";
  const data = environment["XDG_DATA_HOME"] || path.join(home, ".local/share");
  const runtime = environment["XDG_RUNTIME_DIR"] || `/run/user/${userId}`;
  return {
    root: path.join(data, "holdfast"),
    host: `unix://${path.join(runtime, "holdfast/holdfast.sock")}`,
    plugin: settings["plugin-socket"].defaultOfUsers,
    locks: settings["lock-directory"].defaultOfUsers,
  };
}

function only(setting: Setting, values: readonly string[] | undefined): string | undefined {
  if (values !== undefined && values.length > 1) throw invalid(`${setting} is given twice`);
  return values?.[0];
}

function socketPath(host: string): string {
  const given = host.startsWith("unix://") ? host.slice("unix://".length) : "";
  if (path.isAbsolute(given)) return given;
  throw invalid(`host ${JSON.stringify(host)}: unix:// and an absolute path are needed`);
}

function pathOrNone(setting: Setting, text: string): string | undefined {
  if (text === "none") return undefined;
  if (path.isAbsolute(text)) return path.normalize(text);
  const given = JSON.stringify(text);
  throw invalid(`${setting} ${given}: an absolute path or the word none is needed`);
}

/** Seconds with up to three decimals, in milliseconds. */
function parseSeconds(text: string = settings["hold-grace"].default): number {
  const seconds = /^\d{1,4}(?:\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (seconds > 0) return Math.round(seconds * 1_000);
  throw invalid(`hold-grace ${JSON.stringify(text)}: seconds above 0 and below 10000 are needed`);
}

function parsePolicy(text: string = settings["sharing-violation"].default): ViolationPolicy {
  if (text === "stop" || text === "report") return text;
  throw invalid(`sharing-violation ${JSON.stringify(text)}: one of stop, report is needed`);
}

/** Where it is off, what asks for the trash itself is kept as long as by default. */
function readTrash(given: Readonly<Record<"named" | "anonymous", string | undefined>>) {
  const { named = settings.trash.default, anonymous = settings["trash-anonymous"].default } = given;
  const kept = readRetention("trash", named);
  return {
    named: kept === "off" ? trashDefaults.named : kept,
    anonymous: readRetention("trash-anonymous", anonymous),
    isOn: kept !== "off",
  };
}

function readRetention(setting: Setting, text: string): Retention {
  const retention = parseRetention(text);
  if (retention !== undefined) return retention;
  throw invalid(`${setting} ${JSON.stringify(text)}: ${RETENTION_RULE}`);
}

function readBudget(text: string = settings["trash-budget"].default): TrashBudget {
  const budget = parseBudget(text);
  if (budget !== undefined) return budget;
  throw invalid(`trash-budget ${JSON.stringify(text)}: ${BUDGET_RULE}`);
}

function parseLogLevel(text: string): LogLevel {
  const level = logLevels.find((each): each is LogLevel => each === text);
  if (level !== undefined) return level;
  throw invalid(`log-level ${JSON.stringify(text)}: one of ${logLevels.join(", ")} is needed`);
}

function invalid(message: string): EngineError {
  return new EngineError("config.invalid", message);
}
