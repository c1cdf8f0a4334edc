// The options of the `nfs` driver, and the words that they are for mount.nfs(8).
import type { DriverOptions } from "../../core/driver.ts";
import { hostRule, plainHost, readFurtherWords } from "../../remote/kernel-mounts.ts";
import type { OptionRule, RemoteMount } from "../../remote/kind.ts";
import { oneOf, portRule } from "../../remote/options.ts";

/** The port of NFS, which version 4 needs no other besides. */
const NFS_PORT = 2049;

/**
 * By itself mount.nfs goes on with version 3 where version 4 finds nothing: then a path that is not
 * exported takes twelve seconds, and is told as lacking a program of version 3 on this host.
 */
const DEFAULT_VERSION = "4";

export interface NfsOptions {
  /** Without brackets. */
  readonly server: string;
  readonly path: string;
  /** "4": the newest of version 4 that both sides have. */
  readonly version: string;
  readonly port: number | undefined;
  /** What is done when the server does not answer: waiting, or an error for who reads or writes. */
  readonly onTimeout: "wait" | "fail";
  readonly words: readonly string[];
}

export const nfsRules: readonly OptionRule[] = [
  {
    name: "server",
    value: "HOST",
    help: "The NFS server",
    isRequired: true,
    rule: hostRule,
  },
  {
    name: "path",
    value: "PATH",
    help: "The directory that the server exports",
    isRequired: true,
    rule: {
      words: "an absolute path without `.` and `..` segments",
      accepts: (value) => value.startsWith("/") && !/(?:^|\/)\.{1,2}(?:\/|$)/.test(value),
    },
  },
  {
    name: "version",
    value: "VERSION",
    help: "The protocol's version; 4 is the newest of 4.2, 4.1 and 4.0 that the server has",
    defaultValue: DEFAULT_VERSION,
    rule: oneOf("3", "4", "4.0", "4.1", "4.2"),
  },
  {
    name: "port",
    value: "PORT",
    help: "The server's port",
    defaultValue: String(NFS_PORT),
    rule: portRule,
  },
  {
    name: "on-timeout",
    value: "wait|fail",
    help:
      "What programs see while the server is silent: they wait until it is back (`hard`), or get " +
      "errors after about a minute (`softerr`), by which data may be lost",
    defaultValue: "wait",
    rule: oneOf("wait", "fail"),
  },
  {
    name: "options",
    value: "WORDS",
    help: "Further words for mount.nfs, comma-separated, as `nconnect=4,noatime`",
  },
];

/** Words of nfs(5) and mount(8) that go together with all that the driver does. */
const furtherWords: ReadonlySet<string> = new Set([
  ...["rsize", "wsize", "timeo", "retrans", "nconnect", "max_connect", "trunkdiscovery"],
  ...["noatime", "nodiratime", "relatime", "nosuid", "nodev", "noexec", "sync", "sec"],
  ...["ac", "noac", "actimeo", "acregmin", "acregmax", "acdirmin", "acdirmax", "lookupcache"],
  ...[
    "lock",
    "nolock",
    "local_lock",
    "cto",
    "nocto",
    "rdirplus",
    "nordirplus",
    "fsc",
    "suid",
    "dev",
  ],
  ...["proto", "tcp", "rdma", "mountport", "mountproto", "mountvers", "mounthost"],
  ...["sharecache", "nosharecache", "resvport", "noresvport", "clientaddr", "migration"],
]);

/** See `RemoteKind.parse`. */
export function parseNfsOptions(options: DriverOptions): NfsOptions {
  const { server = "", path = "", version = DEFAULT_VERSION, port } = options;
  return {
    server: plainHost(server),
    path,
    version,
    port: port === undefined ? undefined : Number(port),
    onTimeout: options["on-timeout"] === "fail" ? "fail" : "wait",
    words: readFurtherWords(options["options"], furtherWords),
  };
}

export function nfsAddress({ server, port = NFS_PORT }: NfsOptions) {
  return { host: server, port };
}

/** What mount.nfs calls the directory. */
export function nfsDevice({ server, path }: NfsOptions, subpath: string): string {
  const host = server.includes(":") ? `[${server}]` : server;
  const top = path.replace(/\/+$/, "");
  return `${host}:${subpath === "" ? top || "/" : `${top}/${subpath}`}`;
}

/** The words after `-o`. */
export function nfsWords(
  options: NfsOptions,
  { isReadOnly, isSecondClient }: Pick<RemoteMount<NfsOptions>, "isReadOnly" | "isSecondClient">,
): readonly string[] {
  const { version, port, onTimeout, words } = options;
  return [
    isReadOnly ? "ro" : "rw",
    // Whoever has the server has neither root nor a device in containers by it; `suid` and `dev`
    // among the further words allow it.
    ...["nosuid", "nodev"],
    // The time to wait and to try again is the driver's: by itself it tries for two minutes.
    "retry=0",
    ...(onTimeout === "wait" ? ["hard"] : ["softerr", "timeo=100", "retrans=2"]),
    `vers=${version}`,
    ...(port === undefined ? [] : [`port=${port}`]),
    ...words,
    // By itself the kernel has one client for all mounts of a server.
    ...(isSecondClient ? ["nosharecache"] : []),
  ];
}
