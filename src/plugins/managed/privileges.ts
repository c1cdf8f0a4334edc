// What a plugin asks for beyond the default, and whether exactly that was granted.
import { EngineError } from "../../core/errors.ts";
import type { PluginConfig, PluginPrivilege } from "../../core/plugin.ts";

/** Networks that need not be asked for. Docker does ask for `none`. */
const PLAIN_NETWORKS: readonly string[] = ["", "null", "bridge"];

/** Docker's privileges of a config, in Docker's order and words. */
export function privilegesOf(config: PluginConfig): readonly PluginPrivilege[] {
  const { network, ipcHost, pidHost, mounts, linux } = config;
  const asked: PluginPrivilege[] = [];
  const ask = (name: string, description: string, ...value: readonly string[]) =>
    void asked.push({ name, description, value });
  if (!PLAIN_NETWORKS.includes(network.type)) {
    ask("network", "permissions to access a network", network.type);
  }
  if (ipcHost) ask("host ipc namespace", "allow access to host ipc namespace", "true");
  if (pidHost) ask("host pid namespace", "allow access to host pid namespace", "true");
  for (const { source } of mounts ?? []) {
    if (source !== null) ask("mount", "host path to mount", source);
  }
  for (const { path } of linux.devices ?? []) {
    if (path !== null) ask("device", "host device to access", path);
  }
  if (linux.allowAllDevices) {
    ask("allow-all-devices", "allow 'rwm' access to all devices", "true");
  }
  const capabilities = linux.capabilities ?? [];
  if (capabilities.length > 0) {
    ask("capabilities", "list of additional capabilities required", ...capabilities);
  }
  return asked;
}

/**
 * Throws `plugin.privileges` unless both are the same names with the same values, each as often, in
 * whatever order; descriptions do not count.
 */
export function checkGranted(
  asked: readonly PluginPrivilege[],
  granted: readonly PluginPrivilege[],
): void {
  const isSame = keysOf(asked).join("\n") === keysOf(granted).join("\n");
  if (!isSame) throw new EngineError("plugin.privileges", "incorrect privileges");
}

function keysOf(privileges: readonly PluginPrivilege[]): readonly string[] {
  return privileges.map(({ name, value }) => JSON.stringify([name, [...value].sort()])).sort();
}
