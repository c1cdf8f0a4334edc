// What the daemon can be told, as data: options, variables, the file, the help and the page.

export interface SettingSpec {
  /** What its value is, in one word. */
  readonly takes: string;
  readonly about: string;
  /** Without it, as root. */
  readonly default: string;
  /** Without it, as another user, where that differs. */
  readonly defaultOfUsers?: string;
  /** May be given more than once; in the variable the values stand between commas. */
  readonly isList?: true;
}

export const settings = {
  root: {
    takes: "DIR",
    about: "Where volumes and their state are kept. Made when it is missing.",
    default: "/var/lib/holdfast",
    defaultOfUsers: "$XDG_DATA_HOME/holdfast, else ~/.local/share/holdfast",
  },
  host: {
    takes: "unix://PATH",
    about: "A socket to listen on, unless systemd hands over sockets.",
    default: "unix:///run/holdfast/holdfast.sock",
    defaultOfUsers: "unix://$XDG_RUNTIME_DIR/holdfast/holdfast.sock, else below /run/user/UID",
    isList: true,
  },
  "plugin-socket": {
    takes: "PATH|none",
    about: "Where Docker and Podman find the volume driver, unless systemd hands it over.",
    default: "/run/docker/plugins/holdfast.sock",
    defaultOfUsers: "none",
  },
  "lock-directory": {
    takes: "DIR|none",
    about: "Where containers find the socket for locks: locks.sock in it. For nothing else.",
    default: "/run/holdfast/locks",
    defaultOfUsers: "none",
  },
  "plugin-sockets": {
    takes: "DIR|none",
    about: "Where the sockets of other volume plugins are looked for.",
    default: "/run/docker/plugins",
    defaultOfUsers: "none",
  },
  "plugin-specs": {
    takes: "DIR|none",
    about: "Where files that name volume plugins are looked for: NAME.spec and NAME.json.",
    default: "/etc/docker/plugins and /usr/lib/docker/plugins",
    defaultOfUsers: "none",
    isList: true,
  },
  "insecure-registry": {
    takes: "HOST",
    about:
      "A registry, HOST[:PORT] or a network as 10.0.0.0/8, that need not have a valid certificate.",
    default: "those on 127.0.0.0/8 and ::1",
    isList: true,
  },
  "registry-mirror": {
    takes: "URL",
    about: "A mirror that is asked for plugins of Docker Hub first.",
    default: "none",
    isList: true,
  },
  "registry-certs": {
    takes: "DIR",
    about: "Certificates of registries: DIR/HOST[:PORT]/ca.crt, and client.cert with client.key.",
    default: "/etc/docker/certs.d",
  },
  "secret-key": {
    takes: "FILE",
    about: "The key that secrets are sealed with, outside of the root. Made with the first secret.",
    default: "/etc/holdfast/secret.key",
    defaultOfUsers: "$XDG_CONFIG_HOME/holdfast/secret.key, else below ~/.config",
  },
  "hold-grace": {
    takes: "SECONDS",
    about: "How long a container engine's mount may go unused before it is asked about and ended.",
    default: "30",
  },
  "sharing-violation": {
    takes: "stop|report",
    about: "What becomes of a container that breaks a volume's sharing mode.",
    default: "stop",
  },
  trash: {
    takes: "TIME|off",
    about: "How long removed volumes can be restored, as 30d, 12h or 45m; off: not at all.",
    default: "7d",
  },
  "trash-anonymous": {
    takes: "TIME|off",
    about: "The same for volumes that nobody gave a name.",
    default: "1d",
  },
  "trash-budget": {
    takes: "SIZE|none",
    about: "What the trash may take, as 25% of its file system or 10g; then the oldest goes.",
    default: "25%",
  },
  group: {
    takes: "GROUP",
    about: "The group that may use the sockets. Its members are as good as root.",
    default: "docker, else holdfast, whichever exists first",
  },
  "log-level": {
    takes: "LEVEL",
    about: "What is logged at least: debug, info, warn or error.",
    default: "info",
  },
} as const satisfies Readonly<Record<string, SettingSpec>>;

/** The name of a setting: `--name`, and the key in the file. */
export type Setting = keyof typeof settings;

/** The file that is read when nobody names another; it may be missing. */
export const defaultConfigFile = "/etc/holdfast/config.toml";

/** The one thing that is no setting: where the others are. */
export const configFileSpec: SettingSpec = {
  takes: "FILE",
  about: "The configuration file. It must exist when it is named.",
  default: defaultConfigFile,
};

/** Every setting and `config`, in the order of the help, with the types of the interface. */
export const settingEntries: readonly (readonly [name: string, spec: SettingSpec])[] = [
  ...Object.entries<SettingSpec>(settings),
  ["config", configFileSpec],
];

/** `log-level` → `HOLDFAST_LOG_LEVEL`. */
export function variableOf(name: string): string {
  return `HOLDFAST_${name.toUpperCase().replaceAll("-", "_")}`;
}

/** Whether a text is the name of a setting. */
export function isSetting(name: string): name is Setting {
  return Object.hasOwn(settings, name);
}

/** What `holdfast daemon --help` prints. */
export function renderDaemonHelp(): string {
  const words = settingEntries.map(([name, { takes }]) => `--${name} ${takes}`);
  const width = Math.max(...words.map((each) => each.length));
  const rows = settingEntries.map(([name, spec], index) => {
    const again = spec.isList ? " May be repeated." : "";
    const indent = " ".repeat(width + 5);
    return [
      `  ${(words[index] ?? "").padEnd(width)}   ${spec.about}${again}`,
      `${indent}Default: ${spec.default}`,
      ...(spec.defaultOfUsers === undefined ? [] : [`${indent}As a user: ${spec.defaultOfUsers}`]),
      `${indent}Variable: ${variableOf(name)}`,
    ].join("\n");
  });
  return [
    "Usage:  holdfast daemon [OPTIONS]",
    "",
    "Run the Holdfast daemon in the foreground, until SIGTERM or SIGINT",
    "",
    "Options:",
    ...rows,
    "",
    "An option is stronger than a variable, and a variable stronger than the file.",
    "",
  ].join("\n");
}
