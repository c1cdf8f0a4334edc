// The options of the `rclone` driver: which remote, its backend's settings, the cache.
import type { DriverOptions } from "../../core/driver.ts";
import { goQuote } from "../../core/names.ts";
import type { OptionRule, ServerAddress } from "../../remote/kind.ts";
import { oneOf, optionInvalid } from "../../remote/options.ts";

/** What the options say. */
export interface RcloneOptions {
  /** A backend, or a section of the secret: what stands before the colon. */
  readonly remote: string;
  /** What stands behind it; may be "". */
  readonly path: string;
  /** The backend's settings by rclone's names of flags: `s3-endpoint`. */
  readonly settings: ReadonlyMap<string, string>;
  readonly cacheMode: string;
  readonly cacheSize: string;
  readonly cacheAge: string;
  readonly writeBackSeconds: number;
  readonly dirCacheSeconds: number;
  readonly pollSeconds: number;
  readonly uid: string | undefined;
  readonly gid: string | undefined;
  readonly umask: string;
}

const number = (words: string): NonNullable<OptionRule["rule"]> => ({
  words,
  accepts: (value) => /^(0|[1-9]\d{0,8})$/.test(value),
});

const seconds = number("a number of seconds");

export const rcloneRules: readonly OptionRule[] = [
  {
    name: "remote",
    value: "NAME:PATH",
    help: "A backend (`s3`, `webdav`, `drive`, …) or a section of the secret, and the path there",
    isRequired: true,
    rule: {
      words: "NAME:PATH, without settings in the name and without `..` in the path",
      accepts: (value) => readRemote(value) !== undefined,
    },
  },
  {
    name: "write-back",
    value: "SECONDS",
    help: "How long a file rests, after it was closed, before it is sent to the server",
    defaultValue: "1",
    rule: {
      words: "a number of seconds from 0.1",
      accepts: (value) => /^(0\.[1-9]|[1-9]\d{0,5})$/.test(value),
    },
  },
  {
    name: "cache-mode",
    value: "full|writes",
    help: "Whether what is read is kept on this host, too, or only what is written",
    defaultValue: "full",
    rule: oneOf("full", "writes"),
  },
  {
    name: "cache-size",
    value: "SIZE",
    help: "How much of what is on the server already is kept on this host",
    defaultValue: "10G",
    rule: {
      words: "a number with K, M, G or T",
      accepts: (value) => /^[1-9]\d{0,5}[KMGT]$/.test(value),
    },
  },
  {
    name: "cache-age",
    value: "DURATION",
    help: "How long what nobody has used is kept on this host",
    defaultValue: "24h",
    rule: {
      words: "a number with s, m, h or d",
      accepts: (value) => /^[1-9]\d{0,5}[smhd]$/.test(value),
    },
  },
  {
    name: "dir-cache",
    value: "SECONDS",
    help: "For how long a listing is believed before the server is asked again",
    defaultValue: "60",
    rule: seconds,
  },
  {
    name: "poll",
    value: "SECONDS",
    help: "How often backends that can are asked for changes, less than dir-cache; 0: never",
    defaultValue: "0",
    rule: seconds,
  },
  {
    name: "uid",
    value: "UID",
    help: "The owner that all files show",
    defaultValue: "0",
    rule: number("a number"),
  },
  {
    name: "gid",
    value: "GID",
    help: "The group that all files show",
    defaultValue: "0",
    rule: number("a number"),
  },
  {
    name: "umask",
    value: "MASK",
    help: "The permission bits that no file shows",
    defaultValue: "022",
    rule: {
      words: "three octal digits, with a zero before them or not",
      accepts: (value) => /^0?[0-7]{3}$/.test(value),
    },
  },
];

/** Beginnings of the flags of rclone's backends, of 1.60 to 1.70. */
const prefixes: ReadonlySet<string> = new Set(
  (
    "acd alias archive azureblob azurefiles b2 box cache chunker cloudinary combine " +
    "compress crypt doi drive dropbox fichier filefabric filelu filescom ftp gcs " +
    "gofile gphotos hasher hdfs hidrive http iclouddrive imagekit internetarchive " +
    "jottacloud koofr linkbox local mailru mega memory netstorage onedrive oos " +
    "opendrive pcloud pikpak pixeldrain premiumizeme protondrive putio qingstor " +
    "quatrix s3 seafile sftp sharefile sia smb storj sugarsync swift tardigrade " +
    "ulozto union uptobox webdav yandex zoho"
  ).split(" "),
);

/** What rclone calls a backend, where the names of its flags call it otherwise. */
const backendsByPrefix: ReadonlyMap<string, string> = new Map([
  ["acd", "amazon cloud drive"],
  ["oos", "oracleobjectstorage"],
  ["gcs", "google cloud storage"],
  ["gphotos", "google photos"],
]);

/** `type` in rclone's configuration, for the prefix of its flags. */
export function backendOf(prefix: string): string {
  return backendsByPrefix.get(prefix) ?? prefix;
}

/** The prefix of a backend's flags. */
export function prefixOf(backend: string): string {
  for (const [prefix, name] of backendsByPrefix) if (name === backend) return prefix;
  return backend;
}

/** Settings of backends that open something, by the ends of their names. */
const secretSettings = new RegExp(
  [
    "-(pass|password2?|passwd|passphrase|secret|token|credentials?|authorization)$",
    "-(cookies?|headers|2fa|access-grant|otp-secret-key)$",
    "-(sas-url|key-pem|customer-key-base64)$",
    "-(access|account|api|private|resource|library|customer)-key$",
    "^(azureblob|b2|swift)-key$",
  ].join("|"),
);

/** Settings that name a program of this host, which rclone would run as root. */
const programSettings = /^(webdav-bearer-token-command|sftp-ssh|azureblob-use-az)$/;

/**
 * Settings that name a file or directory of this host: root would log in with a key that is not the
 * volume's (a file of AWS may name a program, too), or write where it says.
 */
const fileSettings = new RegExp(
  [
    "-(key-file|pubkey-file|service-account-file|shared-credentials-file|config-file)$",
    "-(service-principal-file|client-certificate-path|config-profile|kerberos-ccache)$",
    "^cache-(db|chunk|tmp-upload)-path$",
  ].join("|"),
);

/** The key of a configuration that has a program of this host run; see `programSettings`. */
export const programKeys: ReadonlySet<string> = new Set(["bearer_token_command", "ssh", "use_az"]);

/**
 * Remotes that a remote stands on: with rclone's connection strings (`:webdav,url=…:`), they would
 * have settings in them that no rule has seen.
 */
const remoteSettings = /-(remote|upstreams)$/;

/** By `%(pass)s` rclone's configuration would have a part of the secret where it may be shown. */
const withoutReferences: OptionRule["rule"] = {
  words: "a value without %(",
  accepts: (value) => !value.includes("%("),
};

function ruleOfSetting(name: string): OptionRule["rule"] {
  if (programSettings.test(name)) {
    return { words: "allowed here: it is a program that root would run", accepts: () => false };
  }
  if (fileSettings.test(name)) {
    const words = "allowed here: what is in a file of this host belongs into the secret";
    return { words, accepts: () => false };
  }
  if (!remoteSettings.test(name)) return withoutReferences;
  return { words: "a remote without settings in its name", accepts: isPlainRemote };
}

/** Also of each of several, with names before them: `photos=nas:photos`. */
export function isPlainRemote(value: string): boolean {
  if (value.includes("%(")) return false;
  return value
    .split(/\s+/)
    .every((each) => /^"?([\w.-]+=)?([\w.-]+:)?[^:,]*(:(ro|nc|writeback))?"?$/.test(each));
}

/**
 * The rule of a backend's setting that is given as an option: `s3-endpoint`. undefined: a name
 * that cannot be one, or is one that opens something and belongs into the secret.
 */
export function settingRule(name: string): OptionRule | undefined {
  if (!/^[a-z0-9]+(-[a-z0-9]+)+$/.test(name) || secretSettings.test(name)) return undefined;
  if (!prefixes.has(name.slice(0, name.indexOf("-")))) return undefined;
  return {
    name,
    value: "VALUE",
    help: "A setting of the backend, by the name of rclone's flag",
    rule: ruleOfSetting(name),
  };
}

/** Reads options that keep `rcloneRules` and `settingRule`. Throws `volume.option_invalid`. */
export function parseRcloneOptions(options: DriverOptions): RcloneOptions {
  const remote = readRemote(options["remote"] ?? "");
  if (remote === undefined) throw optionInvalid("remote", 'missing required option: "remote"');
  const own = new Set([...rcloneRules.map(({ name }) => name), "secret", "subpath", "read-only"]);
  const settings = new Map<string, string>();
  for (const [name, value] of Object.entries(options)) {
    if (own.has(name) || settingRule(name) === undefined) continue;
    // A section of the secret says its backend itself: then it is checked at the mount.
    if (options["secret"] === undefined) checkPrefix(name, remote.name);
    settings.set(name, value);
  }
  const dirCacheSeconds = Number(options["dir-cache"] ?? 60);
  const pollSeconds = Number(options["poll"] ?? 0);
  if (pollSeconds > 0 && pollSeconds >= dirCacheSeconds) {
    throw optionInvalid("poll", `invalid option: "poll": must be below dir-cache`);
  }
  return {
    remote: remote.name,
    path: remote.path,
    settings,
    cacheMode: options["cache-mode"] ?? "full",
    cacheSize: options["cache-size"] ?? "10G",
    cacheAge: options["cache-age"] ?? "24h",
    // With 0 rclone sends a file once, while it closes it, and never again when that fails.
    writeBackSeconds: Number(options["write-back"] ?? 1),
    dirCacheSeconds,
    pollSeconds,
    uid: options["uid"],
    gid: options["gid"],
    umask: options["umask"] ?? "022",
  };
}

/** Throws `volume.option_invalid` for a setting of another backend than that with this prefix. */
export function checkPrefix(name: string, prefix: string): void {
  if (name.startsWith(`${prefix}-`)) return;
  const rule = `settings of this remote begin with ${goQuote(`${prefix}-`)}`;
  throw optionInvalid(name, `invalid option: ${goQuote(name)}: ${rule}`);
}

interface Remote {
  readonly name: string;
  readonly path: string;
}

/** rclone's connection strings (`s3,key=…:`, `:s3:`) would have settings in the name. */
function readRemote(value: string): Remote | undefined {
  const match = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,63}):(.*)$/.exec(value);
  const [, name, path] = match ?? [];
  if (name === undefined || path === undefined) return undefined;
  if (path.split("/").includes("..")) return undefined;
  return { name, path };
}

/** What people call the server: the host of its address, else the remote and its bucket. */
export function rcloneServer(options: RcloneOptions): string {
  const url = endpointOf(options);
  if (url !== undefined) return url.host;
  const host = hostOf(options);
  if (host !== undefined) return host;
  if (options.remote === "local" || options.remote === "memory") return "";
  const [bucket = ""] = options.path.split("/").filter((segment) => segment !== "");
  return bucket === "" ? options.remote : `${options.remote}:${bucket}`;
}

/** The address in a setting (`s3-endpoint`, `webdav-url`); undefined: the backend has its own. */
export function endpointOf({ settings }: RcloneOptions): URL | undefined {
  for (const [name, value] of settings) {
    if (!/-(endpoint|url)$/.test(name) || /-(auth|token|download|plex)-url$/.test(name)) continue;
    const text = value.includes("://") ? value : `https://${value}`;
    if (/^https?:/.test(text) && URL.canParse(text)) return new URL(text);
  }
  return undefined;
}

const usualPorts: Readonly<Record<string, number>> = { sftp: 22, smb: 445, ftp: 21 };

/** What a connection can be made to, where the options say it. */
export function rcloneAddress(options: RcloneOptions): ServerAddress | undefined {
  const url = endpointOf(options);
  if (url !== undefined) {
    const usual = url.protocol === "https:" ? 443 : 80;
    // IPv6 stands in brackets in a URL.
    const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
    return { host, port: url.port === "" ? usual : Number(url.port) };
  }
  const host = hostOf(options);
  if (host === undefined) return undefined;
  for (const [name, value] of options.settings) {
    if (name.endsWith("-port") && /^\d{1,5}$/.test(value)) return { host, port: Number(value) };
  }
  for (const name of options.settings.keys()) {
    const port = usualPorts[name.split("-")[0] ?? ""];
    if (port !== undefined) return { host, port };
  }
  return undefined;
}

function hostOf({ settings }: RcloneOptions): string | undefined {
  for (const [name, value] of settings) if (/^(sftp|smb|ftp)-host$/.test(name)) return value;
  return undefined;
}
