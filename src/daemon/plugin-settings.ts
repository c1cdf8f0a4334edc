// What the daemon is told about plugins and the registries that they come from, read strictly.
import { isIP } from "node:net";
import path from "node:path";
import { EngineError } from "../core/errors.ts";
import type { RegistrySettings } from "../plugins/registry/addresses.ts";
import type { PluginDirectories } from "../plugins/sockets/find-plugins.ts";
import { type Setting, settings } from "./settings.ts";

/** The files' places that Docker has; its page names them, `plugin-specs` shows them as a text. */
const defaultSpecs: readonly string[] = ["/etc/docker/plugins", "/usr/lib/docker/plugins"];

const hostPattern =
  /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:]+\])$/;

/** Throws `config.invalid`. */
export function readPluginDirectories(given: {
  readonly sockets: string | undefined;
  readonly specs: readonly string[] | undefined;
  readonly isRoot: boolean;
}): PluginDirectories {
  const { default: ofRoot, defaultOfUsers } = settings["plugin-sockets"];
  const sockets = given.sockets ?? (given.isRoot ? ofRoot : defaultOfUsers);
  const specs = given.specs ?? (given.isRoot ? defaultSpecs : ["none"]);
  const isNone = specs.includes("none");
  if (isNone && specs.length > 1) {
    throw invalid("plugin-specs", "none", "the word none stands alone, not beside directories");
  }
  return {
    sockets: sockets === "none" ? undefined : directory("plugin-sockets", sockets, " or none"),
    specs: isNone ? [] : specs.map((each) => directory("plugin-specs", each, " or none")),
  };
}

/** Throws `config.invalid`. */
export function readRegistrySettings(given: {
  readonly insecure: readonly string[] | undefined;
  readonly mirrors: readonly string[] | undefined;
  readonly certificates: string | undefined;
}): RegistrySettings {
  const { insecure = [], mirrors = [], certificates } = given;
  return {
    insecure: insecure.map(registryHost),
    mirrors: mirrors.map(mirrorUrl),
    certificates: directory("registry-certs", certificates ?? settings["registry-certs"].default),
  };
}

function directory(setting: Setting, text: string, otherwise = ""): string {
  if (path.isAbsolute(text)) return path.resolve(text);
  throw invalid(setting, text, `an absolute path${otherwise} is needed`);
}

/** Docker's forms: a host, a host with a port, a network. */
function registryHost(text: string): string {
  const given = text.toLowerCase();
  const isKnown = given.includes("/") ? isNetwork(given) : isHost(given);
  if (isKnown) return given;
  const rule = "HOST, HOST:PORT or a network as 10.0.0.0/8 is needed, without http://";
  throw invalid("insecure-registry", text, rule);
}

function isNetwork(text: string): boolean {
  const [address = "", bits = "", ...more] = text.split("/");
  const version = isIP(address);
  if (version === 0 || more.length > 0 || !/^\d{1,3}$/.test(bits)) return false;
  return Number(bits) <= (version === 4 ? 32 : 128);
}

function isHost(text: string): boolean {
  const [, host = "", port] = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(text) ?? [];
  const isPort = port === undefined || (Number(port) > 0 && Number(port) <= 65_535);
  if (!isPort || !hostPattern.test(host)) return false;
  return !host.startsWith("[") || isIP(host.slice(1, -1)) === 6;
}

/** Docker's rule: http or https, a host, nothing but a path behind it. */
function mirrorUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const rule = "http:// or https:// with a host is needed, without user, query and fragment";
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === "") {
    throw invalid("registry-mirror", text, rule);
  }
  // A password in it would be printed here.
  if (url.username !== "" || url.password !== "") throw invalid("registry-mirror", "…", rule);
  if (url.search !== "" || url.hash !== "") throw invalid("registry-mirror", text, rule);
  return `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, "")}`;
}

function invalid(setting: Setting, given: string, rule: string): EngineError {
  return new EngineError("config.invalid", `${setting} ${JSON.stringify(given)}: ${rule}`);
}
