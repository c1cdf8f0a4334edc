// Docker's config.json of a plugin, read without regard to the case of keys.
import { EngineError, toEngineError } from "../../core/errors.ts";
import { goQuote } from "../../core/names.ts";
import type { PluginConfig, PluginDevice, PluginEnv, PluginMount } from "../../core/plugin.ts";
import { GoFields } from "./go-fields.ts";

/** No config is longer, in bytes; those of known plugins have some 2 KB. */
export const CONFIG_BYTES_MAX = 1024 * 1024;

/** Of a Unix socket's name, in bytes: it stands behind the directory of the plugin. */
const SOCKET_BYTES_MAX = 60;

const CONFIG = "PluginConfig";
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Reads the bytes of a config.json. Throws `plugin.config_invalid`, in Docker's words where Docker
 * has some.
 */
export function parsePluginConfig(bytes: Uint8Array): PluginConfig {
  if (bytes.length > CONFIG_BYTES_MAX) {
    throw invalid(`failed to parse config: it has more than ${CONFIG_BYTES_MAX} bytes`);
  }
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(bytes));
  } catch (error) {
    throw invalid(`failed to parse config: ${toEngineError(error).message}`);
  }
  try {
    return pluginConfigOf(value);
  } catch (thrown) {
    const { code, message } = toEngineError(thrown);
    throw new EngineError(code, `failed to parse config: ${message}`, { cause: thrown });
  }
}

/**
 * The config in a JSON value, with what Go leaves empty filled in. Throws `plugin.config_invalid`.
 */
export function pluginConfigOf(value: unknown): PluginConfig {
  const fields = new GoFields(value, { struct: CONFIG, path: "" });
  const config: PluginConfig = {
    description: fields.text("Description"),
    documentation: fields.text("Documentation"),
    dockerVersion: fields.text("DockerVersion"),
    entrypoint: fields.texts("Entrypoint"),
    workDir: fields.text("WorkDir"),
    interface: interfaceOf(fields.object("Interface", `${CONFIG}Interface`)),
    network: { type: fields.object("Network", `${CONFIG}Network`).text("Type") },
    propagatedMount: fields.text("PropagatedMount"),
    ipcHost: fields.flag("IpcHost"),
    pidHost: fields.flag("PidHost"),
    user: userOf(fields),
    mounts: fields.objects("Mounts", "PluginMount", mountOf),
    env: fields.objects("Env", "PluginEnv", envOf),
    args: argsOf(fields.object("Args", `${CONFIG}Args`)),
    linux: linuxOf(fields.object("Linux", `${CONFIG}Linux`)),
    rootfs: fields.objectOrNull("rootfs", `${CONFIG}Rootfs`, rootfsOf),
  };
  refuseUnsound(config);
  return config;
}

function interfaceOf(fields: GoFields): PluginConfig["interface"] {
  return {
    types: fields.texts("Types")?.map(interfaceType) ?? null,
    socket: fields.text("Socket"),
    protocolScheme: fields.text("ProtocolScheme"),
  };
}

/** As Docker reads and shows it again: prefix, capability and version, if empty ones. */
function interfaceType(text: string): string {
  const slash = text.indexOf("/");
  const before = slash < 0 ? text : text.slice(0, slash);
  const version = slash < 0 ? "" : text.slice(slash + 1);
  const dot = before.lastIndexOf(".");
  // Without a dot Go cuts off the first letter.
  return `${before.slice(0, Math.max(0, dot))}.${before.slice(Math.max(0, dot) + 1)}/${version}`;
}

/** Docker shows root as no user at all. */
function userOf(fields: GoFields): PluginConfig["user"] {
  const user = fields.object("User", `${CONFIG}User`);
  const { uid, gid } = { uid: user.count("UID"), gid: user.count("GID") };
  return uid === 0 && gid === 0 ? null : { uid, gid };
}

function rootfsOf(fields: GoFields): NonNullable<PluginConfig["rootfs"]> {
  return { type: fields.text("type"), diffIds: fields.texts("diff_ids") ?? [] };
}

/** What everything that can be set has. */
function settableOf(fields: GoFields): Pick<PluginMount, "name" | "description" | "settable"> {
  return {
    name: fields.text("Name"),
    description: fields.text("Description"),
    settable: fields.texts("Settable"),
  };
}

/** One mount; also what settings hold. */
export function mountOf(fields: GoFields): PluginMount {
  return {
    ...settableOf(fields),
    source: fields.textOrNull("Source"),
    destination: fields.text("Destination"),
    type: fields.text("Type"),
    options: fields.texts("Options"),
  };
}

/** One device; also what settings hold. */
export function deviceOf(fields: GoFields): PluginDevice {
  return { ...settableOf(fields), path: fields.textOrNull("Path") };
}

function envOf(fields: GoFields): PluginEnv {
  return { ...settableOf(fields), value: fields.textOrNull("Value") };
}

function argsOf(fields: GoFields): PluginConfig["args"] {
  return { ...settableOf(fields), value: fields.texts("Value") };
}

function linuxOf(fields: GoFields): PluginConfig["linux"] {
  return {
    capabilities: fields.texts("Capabilities"),
    allowAllDevices: fields.flag("AllowAllDevices"),
    devices: fields.objects("Devices", "PluginDevice", deviceOf),
  };
}

/** What Docker takes, and what would lead out of the plugin's own directories. */
function refuseUnsound({ interface: { socket }, propagatedMount }: PluginConfig): void {
  const isName = !/[/\0]/.test(socket) && socket !== "." && socket !== "..";
  if (!isName || Buffer.byteLength(socket) > SOCKET_BYTES_MAX) {
    throw invalid(
      `interface.socket ${goQuote(socket)} must be a file name of at most ` +
        `${SOCKET_BYTES_MAX} bytes`,
    );
  }
  if (propagatedMount === "") return;
  const parts = propagatedMount.split("/").filter((part) => part !== "" && part !== ".");
  if (!propagatedMount.startsWith("/") || parts.length === 0 || parts.includes("..")) {
    throw invalid(
      `propagatedMount ${goQuote(propagatedMount)} must be an absolute path below /, without ..`,
    );
  }
}

function invalid(message: string): EngineError {
  return new EngineError("plugin.config_invalid", message);
}
