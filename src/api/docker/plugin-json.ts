// Managed plugins in Docker's JSON, keys in the order of Go's structs.
import type {
  ManagedPlugin,
  PluginConfig,
  PluginDevice,
  PluginEnv,
  PluginMount,
  PluginPrivilege,
  PluginSettings,
} from "../../core/plugin.ts";
import { goJson } from "./answers.ts";

/** The Plugin object. Docker says where one comes from that was made here: from its own name. */
export function pluginJson(plugin: ManagedPlugin): string {
  const { id, name, isEnabled, reference, config, settings } = plugin;
  return goJson({
    Config: configObject(config),
    Enabled: isEnabled,
    Id: id,
    Name: name,
    PluginReference: reference === "" ? name : reference,
    Settings: settingsObject(settings),
  });
}

/** The answer to what a plugin wants; nothing is `null`, as a Go slice that nobody made. */
export function privilegesJson(privileges: readonly PluginPrivilege[]): string {
  if (privileges.length === 0) return "null";
  return goJson(
    privileges.map(({ name, description, value }) => ({
      Name: name,
      Description: description,
      Value: value,
    })),
  );
}

function configObject(config: PluginConfig): object {
  const { args, linux, rootfs } = config;
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
    Env: config.env?.map(envObject) ?? null,
    Interface: interfaceObject(config.interface),
    IpcHost: config.ipcHost,
    Linux: {
      AllowAllDevices: linux.allowAllDevices,
      Capabilities: linux.capabilities,
      Devices: linux.devices?.map(deviceObject) ?? null,
    },
    Mounts: config.mounts?.map(mountObject) ?? null,
    Network: { Type: config.network.type },
    PidHost: config.pidHost,
    PropagatedMount: config.propagatedMount,
    User: userObject(config.user),
    WorkDir: config.workDir,
    ...(rootfs === null ? {} : { rootfs: { diff_ids: rootfs.diffIds, type: rootfs.type } }),
  };
}

function settingsObject(settings: PluginSettings): object {
  return {
    Args: settings.args,
    Devices: settings.devices.map(deviceObject),
    Env: settings.env,
    Mounts: settings.mounts.map(mountObject),
  };
}

function interfaceObject({ types, socket, protocolScheme }: PluginConfig["interface"]): object {
  const scheme = protocolScheme === "" ? {} : { ProtocolScheme: protocolScheme };
  return { ...scheme, Socket: socket, Types: types };
}

/** Go leaves out what is 0. */
function userObject(user: PluginConfig["user"]): object {
  const { uid, gid } = user ?? { uid: 0, gid: 0 };
  return { ...(gid === 0 ? {} : { GID: gid }), ...(uid === 0 ? {} : { UID: uid }) };
}

function envObject({ name, description, settable, value }: PluginEnv): object {
  return { Description: description, Name: name, Settable: settable, Value: value };
}

function deviceObject({ name, description, settable, path }: PluginDevice): object {
  return { Description: description, Name: name, Path: path, Settable: settable };
}

function mountObject(mount: PluginMount): object {
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
