// Where a registry is, in which order its addresses are tried, and how far each is trusted.
import { BlockList, isIP } from "node:net";

/** What the administrator says of registries. */
export interface RegistrySettings {
  /**
   * `HOST` or `HOST:PORT` as in references, in whatever case: no proof of identity is asked of
   * these; or a network, `ADDRESS/BITS`, with which hosts are compared that are addresses
   * themselves (names are not looked up). Those of this machine need not be in it.
   */
  readonly insecure: readonly string[];
  /**
   * Stand in for Docker Hub when something is pulled, in order: `http://…` or `https://…` without
   * user, query, fragment, and slash at the end.
   */
  readonly mirrors: readonly string[];
  /** Absolute; as `/etc/docker/certs.d`: `<HOST[:PORT]>/*.crt`, `*.cert` with `*.key`. */
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

/** Never empty; the original is last. */
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

function mirrorOf(base: string): RegistryAddress {
  return { host: new URL(base).host, bases: [base], isMirror: true };
}

/** This machine itself, by a name that needs no look-up. `hostname` as in a URL. */
export function isLoopback(hostname: string): boolean {
  return (
    hostname === "localhost" ||
    hostname === "[::1]" ||
    /^127\.(?:\d{1,3})\.(?:\d{1,3})\.(?:\d{1,3})$/.test(hostname)
  );
}

/** The same of a host, with its port where one is given. */
export function isLoopbackHost(host: string): boolean {
  return isLoopback(host.replace(/:\d+$/, "").toLowerCase());
}

/** Whether a host, with its port, may be spoken to without TLS. */
export function mayBePlain(host: string, settings: RegistrySettings): boolean {
  return isInsecure(host, settings) || isLoopbackHost(host);
}

/** Whether the administrator lists it, or a network that it is in. */
export function isInsecure(host: string, settings: RegistrySettings): boolean {
  const [networks, hosts] = [true, false].map((isNetwork) =>
    settings.insecure.filter((entry) => entry.includes("/") === isNetwork),
  );
  const isListed = hosts?.some((entry) => entry.toLowerCase() === host.toLowerCase());
  return isListed === true || networks?.some((network) => isIn(host, network)) === true;
}

function isIn(host: string, network: string): boolean {
  const bare = host.replace(/:\d+$/, "");
  const address = bare.startsWith("[") ? bare.slice(1, -1) : bare;
  const [start = "", bits] = network.split("/");
  const family = isIP(start) === 6 ? "ipv6" : "ipv4";
  if (isIP(address) === 0 || isIP(address) !== isIP(start)) return false;
  const list = new BlockList();
  list.addSubnet(start, Number(bits), family);
  return list.check(address, family);
}
