// Docker's JSON of a plugin's config and settings, keys in the order of Go's structs.
import type { PluginConfig, PluginDevice, PluginEnv, PluginMount } from "./plugin.ts";

/**
 * What registries keep, `plugin.json` has and clients are shown. `pluginConfigOf` of
 * src/plugins/managed/config.ts reads it back as it was.
 */
export function renderPluginConfig(config: PluginConfig): Readonly<Record<string, unknown>> {
  const { args, env, interface: face, linux, mounts, user, rootfs } = config;
  const { uid = 0, gid = 0 } = user ?? {};
  return {
    Args: {
      Description: args.description,
      Name: args.name,
      Settable: args.settable,
      Value: args.value,
    },
    Description: config.description,
    ...(config.dockerVersion === "" ? {} : { DockerVersion: config.dockerVersion }),
    Documentation: config.documentation,
    Entrypoint: config.entrypoint,
    Env: env?.map(renderEnv) ?? null,
    Interface: {
      ...(face.protocolScheme === "" ? {} : { ProtocolScheme: face.protocolScheme }),
      Socket: face.socket,
      Types: face.types,
    },
    IpcHost: config.ipcHost,
    Linux: {
      AllowAllDevices: linux.allowAllDevices,
      Capabilities: linux.capabilities,
      Devices: linux.devices?.map(renderDevice) ?? null,
    },
    Mounts: mounts?.map(renderMount) ?? null,
    Network: { Type: config.network.type },
    PidHost: config.pidHost,
    PropagatedMount: config.propagatedMount,
    User: { ...(gid === 0 ? {} : { GID: gid }), ...(uid === 0 ? {} : { UID: uid }) },
    WorkDir: config.workDir,
    ...(rootfs === null ? {} : { rootfs: { diff_ids: rootfs.diffIds, type: rootfs.type } }),
  };
}

/** Docker's JSON of one mount. */
export function renderMount(mount: PluginMount): Readonly<Record<string, unknown>> {
  return {
    Description: mount.description,
    Destination: mount.destination,
    Name: mount.name,
    Options: mount.options,
    Settable: mount.settable,
    Source: mount.source,
    Type: mount.type,
  };
}

/** Docker's JSON of one device. */
export function renderDevice(device: PluginDevice): Readonly<Record<string, unknown>> {
  const { description, name, path, settable } = device;
  return { Description: description, Name: name, Path: path, Settable: settable };
}

function renderEnv({ description, name, settable, value }: PluginEnv): object {
  return { Description: description, Name: name, Settable: settable, Value: value };
}
