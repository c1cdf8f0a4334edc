// Where a registry is, in which order its addresses are tried, and how far each is trusted.
import { EngineError } from "../../core/errors.ts";

/** What the administrator says of registries. */
export interface RegistrySettings {
  /** `HOST[:PORT]` exactly as in references: no proof of identity is asked of these. */
  readonly insecure: readonly string[];
  /** URLs, in order, that stand in for Docker Hub when something is pulled. */
  readonly mirrors: readonly string[];
  /** As `/etc/docker/certs.d`: `<HOST[:PORT]>/*.crt`, `*.cert` with `*.key`. */
  readonly certificates: string;
}

/** One place that may have a repository. */
export interface RegistryAddress {
  /** What its credentials and settings stand under: `docker.io`, `127.0.0.1:5000`. */
  readonly host: string;
  /** Without a slash at the end; tried in order until one understands us. */
  readonly bases: readonly string[];
  /** Has nobody's credentials, and may lack what it is asked for. */
  readonly isMirror: boolean;
}

const HUB = "docker.io";
const HUB_SERVER = "registry-1.docker.io";

/** Never empty; the original is last. Throws `config.invalid` for a mirror that is no URL. */
export function addressesOf(
  host: string,
  settings: RegistrySettings,
): readonly [...mirrors: RegistryAddress[], original: RegistryAddress] {
  const original = originalOf(host, settings);
  return host === HUB ? [...settings.mirrors.map(mirrorOf), original] : [original];
}

/** Where the repository itself is; what is pushed goes nowhere else. */
export function originalOf(host: string, settings: RegistrySettings): RegistryAddress {
  const server = host === HUB ? HUB_SERVER : host;
  const plain = mayBePlain(server, settings) ? [`http://${server}`] : [];
  return { host, bases: [`https://${server}`, ...plain], isMirror: false };
}

function mirrorOf(text: string): RegistryAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isGood =
    url !== undefined &&
    /^https?:$/.test(url.protocol) &&
    [url.username, url.password, url.search, url.hash].every((part) => part === "");
  if (!isGood) {
    throw new EngineError("config.invalid", "a registry mirror is not an http or https URL");
  }
  return { host: url.host, bases: [url.href.replace(/\/+$/, "")], isMirror: true };
}

/** This machine itself, by a name that needs no look-up. `hostname` as in a URL. */
export function isLoopback(hostname: string): boolean {
  return (
    hostname === "localhost" ||
    hostname === "[::1]" ||
    /^127\.(?:\d{1,3})\.(?:\d{1,3})\.(?:\d{1,3})$/.test(hostname)
  );
}

/** Whether a host, with its port, may be spoken to without TLS. */
export function mayBePlain(host: string, settings: RegistrySettings): boolean {
  return isInsecure(host, settings) || isLoopback(host.replace(/:\d+$/, "").toLowerCase());
}

/** Whether the administrator lists it. */
export function isInsecure(host: string, settings: RegistrySettings): boolean {
  return settings.insecure.some((entry) => entry.toLowerCase() === host.toLowerCase());
}
