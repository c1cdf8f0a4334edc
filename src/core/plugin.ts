// Plugins: volume drivers in other processes, and the managed ones that Holdfast installs and runs.
//
// `PluginHost` is what the engine sees of all of them: drivers by name, and whether they answer.
// `ManagedPlugins` is Docker's `plugin install` and its family. A socket plugin runs by itself and
// is found by its socket; a managed one lives below the data root and is run by an OCI runtime.
import type { VolumeDriver } from "./driver.ts";
import type { DriverName, HolderId, VolumeName } from "./names.ts";
import type { Operation } from "./operation.ts";

/**
 * "ready": it answers. "starting": it was found or started and has not answered yet. "restarting":
 * its process ended by itself and is started again after a pause. "unreachable": it does not
 * answer, or answers what is none. "disabled": a managed one that somebody stopped. "gone": its
 * socket or its installation is no longer there, and volumes of it are known.
 */
export const pluginStates = [
  "ready",
  "starting",
  "restarting",
  "unreachable",
  "disabled",
  "gone",
] as const;

export type PluginState = (typeof pluginStates)[number];

/** How a plugin does, for every face. */
export interface PluginStatus {
  /** `rclone` of a socket plugin, `vieux/sshfs:latest` of a managed one. */
  readonly name: DriverName;
  readonly kind: "socket" | "managed";
  readonly state: PluginState;
  /** Since when it is in this state, in milliseconds since the epoch. */
  readonly sinceMs: number;
  /** Why it does not answer, one line; "" while it does, and where nothing is known. */
  readonly reason: string;
  /** How often it was started again since it last ran for a while; 0 of socket plugins. */
  readonly restartCount: number;
  /** `unix:///…`, `tcp://…` or `https://…`; "" where there is none now. */
  readonly address: string;
}

/** A mount that a plugin may count. */
export interface CountedMount {
  readonly volume: VolumeName;
  readonly holder: HolderId;
}

/** The plugins that are volume drivers, whoever runs them. Nothing in it waits for a plugin. */
export interface PluginHost {
  /**
   * The driver of this name, as it stands in rows or as a caller gives it: a managed plugin is
   * known without its tag `latest` too, and goes before a socket plugin of the same name (Docker's
   * order). undefined: no such plugin is installed or has been found. Its calls throw
   * `plugin.disabled`, `plugin.unreachable`, `plugin.failed`.
   */
  driver(name: string): VolumeDriver | undefined;
  /** Those that are or may be volume drivers, sorted by name. */
  statuses(): readonly PluginStatus[];
  status(name: string): PluginStatus | undefined;
  /**
   * Calls `listener` whenever a plugin's state changes, until the returned function is called. A
   * plugin that comes back with another process is told as "starting" and "ready" once more.
   */
  follow(listener: (status: PluginStatus) => void): () => void;
  /**
   * Ends the mount that a holder has of a volume, without the plugin: it is not here any more.
   * Succeeds when there is none. Throws `volume.unmount_failed`.
   */
  release(
    plugin: DriverName,
    volume: VolumeName,
    holder: HolderId,
    operation: Operation,
  ): Promise<void>;
  /**
   * What a plugin was asked to mount and was not told to unmount yet, by earlier lives of the
   * daemon too. Throws `storage.*`.
   */
  counted(plugin: DriverName): readonly CountedMount[];
  /**
   * Finds plugins that were put there a moment ago, where the caller has just been told of one:
   * directories are watched, and this is only faster. Resolves within 100 ms.
   */
  lookAgain(): Promise<void>;
}

/** A managed plugin's id: 64 lower-case hex digits. */
export type PluginId = string;

/** What a plugin wants beyond the default, in Docker's form and order. */
export interface PluginPrivilege {
  readonly name: string;
  readonly description: string;
  readonly value: readonly string[];
}

/** One mount that a plugin's config names. `null`: the key is there without a value, or is not. */
export interface PluginMount {
  readonly name: string;
  readonly description: string;
  readonly settable: readonly string[] | null;
  readonly source: string | null;
  readonly destination: string;
  readonly type: string;
  readonly options: readonly string[] | null;
}

export interface PluginDevice {
  readonly name: string;
  readonly description: string;
  readonly settable: readonly string[] | null;
  readonly path: string | null;
}

export interface PluginEnv {
  readonly name: string;
  readonly description: string;
  readonly settable: readonly string[] | null;
  readonly value: string | null;
}

/** Docker's config.json of a plugin, read without regard to the case of keys. */
export interface PluginConfig {
  readonly description: string;
  readonly documentation: string;
  /** Of the Docker Engine that packed it; "" when it says none. */
  readonly dockerVersion: string;
  readonly entrypoint: readonly string[] | null;
  readonly workDir: string;
  readonly interface: {
    /** `docker.volumedriver/1.0` */
    readonly types: readonly string[] | null;
    /** The socket's file name in `/run/docker/plugins` of the plugin. */
    readonly socket: string;
    readonly protocolScheme: string;
  };
  readonly network: { readonly type: string };
  readonly propagatedMount: string;
  readonly ipcHost: boolean;
  readonly pidHost: boolean;
  /** Docker never applies it. */
  readonly user: { readonly uid: number; readonly gid: number } | null;
  readonly mounts: readonly PluginMount[] | null;
  readonly env: readonly PluginEnv[] | null;
  readonly args: {
    readonly name: string;
    readonly description: string;
    readonly settable: readonly string[] | null;
    readonly value: readonly string[] | null;
  };
  readonly linux: {
    readonly capabilities: readonly string[] | null;
    readonly allowAllDevices: boolean;
    readonly devices: readonly PluginDevice[] | null;
  };
  readonly rootfs: { readonly type: string; readonly diffIds: readonly string[] } | null;
}

/** What `plugin set` changes; starts out as the config says. */
export interface PluginSettings {
  readonly mounts: readonly PluginMount[];
  /** `KEY=VALUE` */
  readonly env: readonly string[];
  readonly args: readonly string[];
  readonly devices: readonly PluginDevice[];
}

/** A managed plugin as it is installed. Immutable: a change is a new object. */
export interface ManagedPlugin {
  readonly id: PluginId;
  /** Canonical, with its tag: `vieux/sshfs:latest`. No two have the same. */
  readonly name: string;
  readonly isEnabled: boolean;
  /** Where it came from, canonical; its own name where it was made by `plugin create`. */
  readonly reference: string;
  readonly config: PluginConfig;
  readonly settings: PluginSettings;
  /** The version before the last upgrade, until the new one has run; null: none is kept. */
  readonly previous: { readonly reference: string } | null;
  /** Of the manifest: `sha256:…`. */
  readonly digest: string;
  /** Milliseconds since the epoch. */
  readonly installedAtMs: number;
}

/** How to log in at a registry. Secrets: never printed, never kept. */
export interface RegistryAuth {
  readonly username?: string;
  readonly password?: string;
  readonly identityToken?: string;
  readonly registryToken?: string;
}

/** What a caller says for the registry. */
export interface RegistryCall {
  /** undefined: anonymous. */
  readonly auth: RegistryAuth | undefined;
  /** Docker's `X-Meta-…`, handed on. */
  readonly metaHeaders: readonly (readonly [name: string, value: string])[];
}

/** A login to be tried. */
export interface LoginRequest {
  /** `HOST[:PORT]` or a URL, as a caller gives it; "": Docker Hub. */
  readonly server: string;
  /** undefined: anonymous. */
  readonly auth: RegistryAuth | undefined;
}

/** A login that a registry accepts. */
export interface RegistryLogin {
  /** What goes in place of the password from now on; "": nothing does. Secret. */
  readonly identityToken: string;
}

/** One line of a progress stream, in Docker's words. */
export interface PluginProgress {
  readonly status: string;
  /** A layer's 12 hex digits, or a tag. */
  readonly id?: string;
  readonly current?: number;
  readonly total?: number;
  /** The last line of a push. */
  readonly aux?: { readonly tag: string; readonly digest: string; readonly size: number };
  /** Lines about a layer have `progressDetail`, if only an empty one; the others have none. */
  readonly isOfLayer?: boolean;
}

/** Is told of every step; must not throw. Figures of a layer come some ten times a second. */
export type TellProgress = (progress: PluginProgress) => void;

export interface PullRequest extends RegistryCall {
  /** As the caller gives it. */
  readonly remote: string;
  /** The local name; "" or undefined: that of the remote. */
  readonly name?: string | undefined;
  /** Must equal what the plugin asks for, in whatever order. */
  readonly granted: readonly PluginPrivilege[];
}

/** An installation that has been checked as far as it goes without the layers. */
export interface PluginPull {
  /** For Docker's header `Docker-Plugin-Name`. */
  readonly name: string;
  /**
   * Does the rest. Throws `plugin.privileges`, `plugin.image_invalid`, `registry.*`, `storage.*`;
   * then nothing of it is left.
   */
  run(tell: TellProgress, operation: Operation): Promise<ManagedPlugin>;
}

/** What a plugin wrote to its standard output and error. */
export interface PluginLogLine {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

/**
 * Docker's managed plugins. Two calls of one plugin wait for each other. Each call is whole or
 * undone, also over a crash: what `list` shows after the next start is what was acknowledged, or
 * with the last call done. Enabled plugins run again after a start; those that outlived a daemon
 * that was killed are taken over as they are. Whoever calls disable, remove and upgrade has looked
 * whether volumes are in use: nothing is counted here.
 */
export interface ManagedPlugins {
  /** Sorted by name. */
  list(): readonly ManagedPlugin[];
  /**
   * By full id, by name with or without the tag `latest`, or by the unique beginning of an id.
   * Throws `plugin.not_found`, `plugin.ambiguous`.
   */
  find(text: string): ManagedPlugin;
  /** What the plugin at `remote` asks for. Throws `plugin.reference_invalid`, `registry.*`. */
  privileges(
    remote: string,
    call: RegistryCall,
    operation: Operation,
  ): Promise<readonly PluginPrivilege[]>;
  /** Begins an installation. Throws `plugin.exists`, `plugin.reference_invalid`, `registry.*`. */
  pull(request: PullRequest, operation: Operation): Promise<PluginPull>;
  /**
   * Brings here what a pull or an upgrade needs of the registry, while all plugins go on. It stays
   * until the returned object is disposed of. Tells Docker's lines up to "Download complete".
   * Throws as the pull itself.
   */
  fetch(request: PullRequest, tell: TellProgress, operation: Operation): Promise<Disposable>;
  /**
   * Begins an upgrade of a disabled plugin: its settings and the data in its propagated mount stay.
   * The version before is kept until the new one has started. Throws as `pull`, and
   * `plugin.enabled`.
   */
  upgrade(id: PluginId, request: PullRequest, operation: Operation): Promise<PluginPull>;
  /**
   * Starts it, and resolves when its socket answers. Throws `plugin.enabled`, `plugin.start_failed`
   * with the runtime's or the plugin's own words; after an upgrade the version before is put back
   * then, and the message says so.
   */
  enable(id: PluginId, operation: Operation): Promise<ManagedPlugin>;
  /** Stops it: SIGTERM, 10 s, SIGKILL. Throws `plugin.disabled`. */
  disable(id: PluginId, operation: Operation): Promise<ManagedPlugin>;
  /**
   * Stops it for an upgrade, as `disable`: the next start of the daemon enables it again, unless
   * `enable` or `disable` has come since. A version that does not start then gives way to the one
   * before.
   */
  pause(id: PluginId, operation: Operation): Promise<ManagedPlugin>;
  /** `KEY=VALUE` and their like, all or none. Throws `plugin.setting_invalid`, `plugin.enabled`. */
  set(id: PluginId, words: readonly string[], operation: Operation): Promise<ManagedPlugin>;
  /** Stops it, if `force` says so, and removes it with its files. Throws `plugin.enabled`. */
  remove(id: PluginId, how: { readonly force: boolean }, operation: Operation): Promise<void>;
  /**
   * Makes a plugin of a tar (plain or gzip) of `config.json` and `rootfs/`. Throws `plugin.exists`,
   * `plugin.config_invalid`, `plugin.image_invalid`, `storage.*`.
   */
  create(
    name: string,
    context: AsyncIterable<Uint8Array>,
    operation: Operation,
  ): Promise<ManagedPlugin>;
  /**
   * Asks a registry whether it accepts a login; nothing of it is kept. Throws `request.invalid` for
   * an address that is none, and `registry.*` (`registry.denied`: it does not), in Docker's words.
   */
  login(request: LoginRequest, operation: Operation): Promise<RegistryLogin>;
  /** Sends it to the registry that its name says. Throws `registry.*`. */
  push(id: PluginId, call: RegistryCall, tell: TellProgress, operation: Operation): Promise<void>;
  /** The last `countMax` lines that it wrote, oldest first. Bounded: some MB are kept. */
  logs(id: PluginId, countMax: number): Promise<readonly PluginLogLine[]>;
}

/** A running managed plugin, as far as its driver needs to know. */
export interface ManagedEndpoint {
  readonly name: DriverName;
  readonly id: PluginId;
  readonly state: "disabled" | "starting" | "running" | "restarting";
  readonly sinceMs: number;
  readonly reason: string;
  readonly restartCount: number;
  /** Absolute; a path of the host. "" while it does not run. */
  readonly socketPath: string;
  /** Another one for each start of its process: mounts of an earlier life may be gone. */
  readonly life: string;
  /** The plugin's `/` on the host. Absolute. */
  readonly rootfs: string;
  /** Where the plugin has its propagated mount, inside and on the host; null: it has none. */
  readonly propagated: { readonly inside: string; readonly outside: string } | null;
}

/** Where managed plugins listen, for `PluginHost`. Only those with the capability volumedriver. */
export interface ManagedEndpoints {
  endpoints(): readonly ManagedEndpoint[];
  /** Calls `listener` after each change, until the returned function is called. */
  followEndpoints(listener: () => void): () => void;
}
