// Managed plugins in Docker's JSON, keys in the order of Go's structs.
import type { ManagedPlugin, PluginPrivilege, PluginSettings } from "../../core/plugin.ts";
import { renderDevice, renderMount, renderPluginConfig } from "../../core/plugin-json.ts";
import { goJson } from "./answers.ts";

/** The Plugin object. Docker says where one comes from that was made here: from its own name. */
export function pluginJson(plugin: ManagedPlugin): string {
  const { id, name, isEnabled, reference, config, settings } = plugin;
  return goJson({
    Config: renderPluginConfig(config),
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

function settingsObject(settings: PluginSettings): object {
  return {
    Args: settings.args,
    Devices: settings.devices.map(renderDevice),
    Env: settings.env,
    Mounts: settings.mounts.map(renderMount),
  };
}
