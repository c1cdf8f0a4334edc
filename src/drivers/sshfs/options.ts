// The options of sshfs volumes: their rules as data, and what they mean.
import type { DriverOptions } from "../../core/driver.ts";
import type { FixedOwner } from "../../core/fixed-owner.ts";
import type { OptionRule } from "../../remote/kind.ts";
import { oneOf, optionInvalid, portRule } from "../../remote/options.ts";

export interface SshfsOptions {
  readonly user: string;
  /** An IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number;
  /** "": the home directory of the user. */
  readonly path: string;
  /** As in a file of public keys: `ssh-ed25519 AAAA…`. */
  readonly hostKey: string | undefined;
  /** Words of `sshfs -o`, besides those that all its mounts have. */
  readonly words: readonly string[];
  readonly isServerTrusted: boolean;
  readonly ciphers: string | undefined;
  readonly isCompressed: boolean;
  readonly timeoutSeconds: number;
}

const numberRule = (from: number, to: number): NonNullable<OptionRule["rule"]> => ({
  words: `a number from ${from} to ${to}`,
  accepts: (value) => /^(?:0|[1-9]\d{0,9})$/.test(value) && +value >= from && +value <= to,
});

/** Nothing that ssh would take for one of its own options, or for a way around the host. */
const loginPattern = /^(?:([^\s:@/,[\]-][^\s:@/,[\]]*)@)?([a-zA-Z0-9][\w.-]*|\[[\da-fA-F:.]+\])$/;

const keyTypes = [
  ...["ssh-ed25519", "ssh-rsa", "sk-ssh-ed25519@openssh.com"],
  ...["nistp256", "nistp384", "nistp521"].map((curve) => `ecdsa-sha2-${curve}`),
  "sk-ecdsa-sha2-nistp256@openssh.com",
];

function isPublicKey(text: string): boolean {
  const [type = "", key = "", ...others] = text.split(" ");
  return keyTypes.includes(type) && /^[a-zA-Z0-9+/]{40,}={0,2}$/.test(key) && others.length === 0;
}

export const sshfsRules: readonly OptionRule[] = [
  {
    name: "host",
    value: "[USER@]HOST",
    help: "The server and the user to log in as, who is root when none is named",
    isRequired: true,
    rule: {
      words: "a host, with a user and @ before it if need be; an IPv6 address in brackets",
      accepts: (value) => loginPattern.test(value),
    },
  },
  { name: "port", value: "PORT", help: "Its port", defaultValue: "22", rule: portRule },
  {
    name: "path",
    value: "PATH",
    help: "The directory on the server; without it the home directory of the user",
  },
  {
    name: "host-key",
    value: "KEY",
    help:
      "The server's public key, as in `/etc/ssh/ssh_host_ed25519_key.pub` there; without it the " +
      "key of the first connection is kept, and no other one is accepted later",
    rule: {
      words: "a type and a key, as in a file of public keys, without the comment behind them",
      accepts: isPublicKey,
    },
  },
  {
    name: "uid",
    value: "NUMBER",
    help: "The user that all files seem to belong to; without it their own on the server",
    rule: numberRule(0, 4_294_967_294),
  },
  {
    name: "gid",
    value: "NUMBER",
    help: "The group that all files seem to belong to; without it their own on the server",
    rule: numberRule(0, 4_294_967_294),
  },
  {
    name: "umask",
    value: "MASK",
    help: "All files seem to have mode 0777 without these bits; without it their own on the server",
    rule: {
      words: "three or four octal digits",
      accepts: (value) => /^0?[0-7]{3}$/.test(value),
    },
  },
  {
    name: "idmap",
    value: "none|user",
    help: "`user`: what belongs to the user on the server seems to belong to root here, and back",
    defaultValue: "none",
    rule: oneOf("none", "user"),
  },
  {
    name: "permissions",
    value: "checked|server",
    help:
      "`checked`: owners and modes count here as on a disk; `server`: whoever has the volume may " +
      "do what the user may do there",
    defaultValue: "checked",
    rule: oneOf("checked", "server"),
  },
  {
    name: "symlinks",
    value: "all|inside",
    help: "`inside`: symbolic links that are absolute or have `..` in them cannot be read",
    defaultValue: "all",
    rule: oneOf("all", "inside"),
  },
  {
    name: "cache",
    value: "SECONDS",
    help: "How long names and attributes are believed without asking; 0: not at all",
    defaultValue: "5",
    rule: numberRule(0, 3600),
  },
  {
    name: "sync",
    value: "true|false",
    help: "`true`: each write waits for the server; `false`: closing and fsync do",
    defaultValue: "false",
    rule: oneOf("true", "false"),
  },
  {
    name: "timeout",
    value: "SECONDS",
    help:
      "After so long without a sign of the server a connection is given up: what waits gets an " +
      "error, and the next access connects anew",
    defaultValue: "15",
    rule: numberRule(3, 3600),
  },
  {
    name: "ciphers",
    value: "LIST",
    help: "Ciphers in the order of preference, as `ssh -c` takes them",
    rule: {
      words: "names of ciphers, separated by commas",
      accepts: (value) => /^[a-z0-9][a-z0-9@.-]*(?:,[a-z0-9][a-z0-9@.-]*)*$/.test(value),
    },
  },
  {
    name: "compression",
    value: "true|false",
    help: "Whether what is sent is compressed",
    defaultValue: "false",
    rule: oneOf("true", "false"),
  },
];

/** Throws `volume.option_invalid`. The options keep their rules. */
export function parseSshfsOptions(options: DriverOptions): SshfsOptions {
  const [, user = "root", host = ""] = loginPattern.exec(options["host"] ?? "") ?? [];
  if (options["secret"] === undefined) {
    throw optionInvalid(
      "secret",
      'missing required option: "secret": a private key or a password to log in with: make it ' +
        "with `holdfast secret create NAME`, and give `secret=NAME`",
    );
  }
  if (options["idmap"] === "user" && (options["uid"] ?? options["gid"]) !== undefined) {
    throw optionInvalid("idmap", 'invalid option: "idmap": "user" goes without uid and gid');
  }
  return {
    ...{ user, host: host.replace(/^\[(.*)\]$/, "$1") },
    port: Number(options["port"] ?? 22),
    path: options["path"] ?? "",
    hostKey: options["host-key"],
    words: wordsFrom(options),
    isServerTrusted: options["symlinks"] !== "inside",
    ciphers: options["ciphers"],
    isCompressed: options["compression"] === "true",
    timeoutSeconds: Number(options["timeout"] ?? 15),
  };
}

/**
 * By these options the owner or mode on the server changes, and nobody sees it here. Without them
 * what is given shows here, or the server refuses it.
 */
export const sshfsFixedOwner: FixedOwner = (option, options) => {
  const names = option === "owner" ? ["uid", "gid"] : ["umask"];
  return names.filter((name) => options[name] !== undefined);
};

function wordsFrom(options: DriverOptions): readonly string[] {
  const cache = options["cache"] ?? "5";
  const words = ["uid", "gid", "umask"].flatMap((name) => {
    const value = options[name];
    return value === undefined ? [] : [`${name}=${value}`];
  });
  words.push(`idmap=${options["idmap"] ?? "none"}`);
  if (options["permissions"] !== "server") words.push("default_permissions");
  if (options["sync"] === "true") words.push("sshfs_sync");
  // Of its own cache and of the kernel's, which is one second otherwise.
  if (cache === "0") words.push("dir_cache=no", "attr_timeout=0", "entry_timeout=0");
  else words.push(`dcache_timeout=${cache}`);
  return words;
}
