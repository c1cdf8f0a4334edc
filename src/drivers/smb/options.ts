// The options of the `smb` driver, and the words that they are for mount.cifs(8).
import type { DriverOptions } from "../../core/driver.ts";
import type { FixedOwner } from "../../core/fixed-owner.ts";
import { hostRule, plainHost, readFurtherWords } from "../../remote/kernel-mounts.ts";
import type { OptionRule, RemoteMount } from "../../remote/kind.ts";
import { oneOf, optionInvalid, portRule } from "../../remote/options.ts";

const SMB_PORT = 445;

export interface SmbOptions {
  /** Without brackets. */
  readonly server: string;
  /** Its name, and directories in it: no slash at the ends. */
  readonly share: string;
  readonly user: string | undefined;
  readonly port: number | undefined;
  /** undefined: the newest that both have. */
  readonly version: string | undefined;
  /** See `NfsOptions.onTimeout` for what the words mean. */
  readonly onTimeout: "wait" | "fail";
  /** Whose the files are on this host, and their modes: `uid=1000`. */
  readonly owner: readonly string[];
  readonly words: readonly string[];
}

const idRule: OptionRule["rule"] = {
  words: "a number from 0 to 4294967294",
  accepts: (value) => /^\d{1,10}$/.test(value) && Number(value) < 0xffff_ffff,
};
const modeRule: OptionRule["rule"] = {
  words: "an octal mode, as 0644",
  accepts: (value) => /^0?[0-7]{3}$/.test(value),
};

const sharePattern = /^\/\/(?<server>\[[^\]/]+\]|[^/]+)\/(?<share>[^/,].*)$/;

export const smbRules: readonly OptionRule[] = [
  {
    name: "share",
    value: "//HOST/SHARE[/DIR]",
    help: "The server, its share and a directory in it",
    isRequired: true,
    rule: {
      words: "//HOST/SHARE or //HOST/SHARE/DIR, without commas and `..`",
      accepts: isShare,
    },
  },
  {
    name: "user",
    value: "NAME",
    help: "Who logs in, where the secret is the password alone",
    rule: { words: "a user's name without commas", accepts: (value) => !value.includes(",") },
  },
  {
    name: "port",
    value: "PORT",
    help: "The server's port",
    defaultValue: String(SMB_PORT),
    rule: portRule,
  },
  {
    name: "version",
    value: "VERSION",
    help: "The protocol's version; by default the newest that both sides have",
    rule: oneOf("2.0", "2.1", "3", "3.0", "3.0.2", "3.1.1"),
  },
  {
    name: "uid",
    value: "UID",
    help: "Whose the files are on this host: the user of the container's process",
    defaultValue: "0",
    rule: idRule,
  },
  {
    name: "gid",
    value: "GID",
    help: "The group of the files on this host",
    defaultValue: "0",
    rule: idRule,
  },
  {
    name: "file-mode",
    value: "MODE",
    help: "The permission bits of files on this host",
    defaultValue: "0755",
    rule: modeRule,
  },
  {
    name: "dir-mode",
    value: "MODE",
    help: "The permission bits of directories on this host",
    defaultValue: "0755",
    rule: modeRule,
  },
  {
    name: "on-timeout",
    value: "wait|fail",
    help:
      "What programs see while the server is silent: they wait until it is back (`hard`), or get " +
      "errors (`soft`), by which data may be lost",
    defaultValue: "wait",
    rule: oneOf("wait", "fail"),
  },
  {
    name: "options",
    value: "WORDS",
    help: "Further words for mount.cifs, comma-separated, as `mfsymlinks,nobrl`",
  },
];

function isShare(value: string): boolean {
  const { server, share } = sharePattern.exec(value)?.groups ?? {};
  if (server === undefined || share === undefined) return false;
  const segments = share.replace(/\/+$/, "").split("/");
  const isPlain = segments.every((each) => each !== "" && each !== "." && each !== "..");
  return hostRule.accepts(server) && isPlain && !/[,\\]/.test(share);
}

/** Words of mount.cifs(8) and mount(8) that go together with all that the driver does. */
const furtherWords: ReadonlySet<string> = new Set([
  ...["rsize", "wsize", "bsize", "cache", "actimeo", "acregmax", "acdirmax", "max_credits"],
  ...["noatime", "nodiratime", "relatime", "nosuid", "nodev", "noexec", "sync", "sec", "seal"],
  ...["mfsymlinks", "sfu", "nobrl", "nolease", "noperm", "forceuid", "forcegid", "cifsacl"],
  ...["noserverino", "serverino", "nounix", "posix", "nosharesock", "multichannel"],
  ...["max_channels", "handletimeout", "echo_interval", "iocharset", "mapchars", "mapposix"],
  ...["nohandlecache", "persistenthandles", "nopersistenthandles", "resilienthandles"],
  ...["closetimeo", "rdma", "netbiosname", "fsc", "suid", "dev"],
]);

/** See `RemoteKind.parse`. */
export function parseSmbOptions(options: DriverOptions): SmbOptions {
  // mount.cifs puts it among the kernel's options, where a comma would begin another one, and where
  // a backslash leads to another directory.
  if (/[,\\]/.test(options["subpath"] ?? "")) {
    throw optionInvalid("subpath", 'invalid option: "subpath": no commas and backslashes on SMB');
  }
  const { server = "", share = "" } = sharePattern.exec(options["share"] ?? "")?.groups ?? {};
  const port = options["port"];
  const owner = [
    ["uid", options["uid"]],
    ["gid", options["gid"]],
    ["file_mode", options["file-mode"]],
    ["dir_mode", options["dir-mode"]],
  ] as const;
  return {
    server: plainHost(server),
    share: share.replace(/\/+$/, ""),
    user: options["user"],
    port: port === undefined ? undefined : Number(port),
    version: options["version"],
    onTimeout: options["on-timeout"] === "fail" ? "fail" : "wait",
    owner: owner.flatMap(([word, value]) => (value === undefined ? [] : [`${word}=${value}`])),
    words: readFurtherWords(options["options"], furtherWords),
  };
}

/**
 * chown(2) and chmod(2) succeed and change nothing, unless the server keeps them by one of these
 * words.
 */
export const smbFixedOwner: FixedOwner = (option, { options = "" }) => {
  const words = options.split(",").map((word) => word.trim());
  if (words.includes("cifsacl") || words.includes("posix")) return [];
  return option === "owner" ? ["uid", "gid"] : ["file-mode", "dir-mode"];
};

export function smbAddress({ server, port = SMB_PORT }: SmbOptions) {
  return { host: server, port };
}

/** What mount.cifs calls the directory. */
export function smbDevice({ server, share }: SmbOptions, subpath: string): string {
  return `//${server}/${share}${subpath === "" ? "" : `/${subpath}`}`;
}

/** The words after `-o`, without those that log in. */
export function smbWords(
  options: SmbOptions,
  { isReadOnly, isSecondClient }: Pick<RemoteMount<SmbOptions>, "isReadOnly" | "isSecondClient">,
): readonly string[] {
  const { port, version, onTimeout, owner, words } = options;
  return [
    isReadOnly ? "ro" : "rw",
    // Whoever has the server has neither root nor a device in containers by it; `suid` and `dev`
    // among the further words allow it.
    ...["nosuid", "nodev"],
    onTimeout === "wait" ? "hard" : "soft",
    ...(version === undefined ? [] : [`vers=${version}`]),
    ...(port === undefined ? [] : [`port=${port}`]),
    ...owner,
    ...words,
    // By itself the kernel has one session for all mounts of a share.
    ...(isSecondClient ? ["nosharesock"] : []),
  ];
}
