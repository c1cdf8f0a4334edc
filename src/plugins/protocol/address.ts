// Where a plugin listens, in Docker's ways to write it, and connections to there.
import { readFile } from "node:fs/promises";
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { openPlainSocket } from "./plain-socket.ts";

/** Files are read at each connection: certificates are renewed while the daemon runs. */
export interface TlsFiles {
  readonly isVerified: boolean;
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

export type PluginAddress =
  | {
      readonly kind: "unix";
      readonly path: string;
      /** Whoever listens there may have put anything in its place: see `openPlainSocket`. */
      readonly isPlain?: boolean;
    }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | {
      readonly kind: "tls";
      readonly host: string;
      readonly port: number;
      readonly tls: TlsFiles;
    };

/** Docker's header for sockets, which have no host. */
const SOCKET_HOST = "plugin.moby.localhost";
const HTTP_PORT = 80;
const HTTPS_PORT = 443;

/** Docker goes without a verification where no authority is given. */
const unverified: TlsFiles = { isVerified: false, caFile: "", certificateFile: "", keyFile: "" };

/**
 * `unix:///path`, `tcp://host:port`, `http://…` or `https://…`; a path after the host is ignored,
 * as by Docker, which also speaks plainly to `tcp://` whatever stands beside it. Throws an `Error`
 * that says what is wrong.
 */
export function parsePluginAddress(text: string, tls: TlsFiles | undefined): PluginAddress {
  const [, scheme, rest = ""] = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\/(.*)$/s.exec(text) ?? [];
  if (scheme === undefined) throw new Error("Unknown protocol");
  if (scheme === "unix") {
    if (!rest.startsWith("/")) throw new Error(`${text}: the path must be absolute`);
    return { kind: "unix", path: rest };
  }
  if (!["tcp", "http", "https"].includes(scheme)) throw new Error(`Unknown protocol ${scheme}`);
  const isHttps = scheme === "https";
  const parsed = URL.canParse(`http://${rest}`) ? new URL(`http://${rest}`) : undefined;
  if (parsed === undefined || parsed.hostname === "") throw new Error(`${text}: no host`);
  const host = parsed.hostname.replace(/^\[(.*)\]$/, "$1");
  // The parser leaves out a port that is the default of http.
  const isDefault = parsed.port === "" && !/:80(?:\/|$)/.test(rest);
  const port = isDefault && isHttps ? HTTPS_PORT : Number(parsed.port || HTTP_PORT);
  return isHttps
    ? { kind: "tls", host, port, tls: tls ?? unverified }
    : { kind: "tcp", host, port };
}

/** For people, as `unix:///…`. */
export function showAddress(address: PluginAddress): string {
  if (address.kind === "unix") return `unix://${address.path}`;
  return `${address.kind === "tls" ? "https" : "tcp"}://${hostHeader(address)}`;
}

/** The value of HTTP's `Host`. */
export function hostHeader(address: PluginAddress): string {
  if (address.kind === "unix") return SOCKET_HOST;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

/** Resolves when it is connected. Rejects with the system's error, or the signal's reason. */
export async function connectTo(address: PluginAddress, signal: AbortSignal): Promise<Socket> {
  const secrets = address.kind === "tls" ? await readSecrets(address.tls) : {};
  signal.throwIfAborted();
  const isPlain = address.kind === "unix" && address.isPlain === true;
  using plain = isPlain ? openPlainSocket(address.path) : undefined;
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  // Nothing may be awaited before the listeners are there: a refusal comes in the next tick.
  const socket = openSocket(plain === undefined ? address : { kind: "unix", ...plain }, secrets);
  socket.on("error", reject);
  socket.once("close", () => reject(new Error("the connection was closed")));
  socket.once(address.kind === "tls" ? "secureConnect" : "connect", () => resolve(socket));
  try {
    return await promise;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function openSocket(address: PluginAddress, secrets: TlsSecrets): Socket {
  if (address.kind === "unix") return connect({ path: address.path });
  const { host, port } = address;
  if (address.kind === "tcp") return connect({ host, port });
  return connectTls({
    host,
    port,
    rejectUnauthorized: address.tls.isVerified,
    // Names only: an IP address is none (RFC 6066).
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...secrets,
  });
}

/** What the files hold, by Node's names; missing where no file is named. */
interface TlsSecrets {
  ca?: Buffer;
  cert?: Buffer;
  key?: Buffer;
}

async function readSecrets({ caFile, certificateFile, keyFile }: TlsFiles): Promise<TlsSecrets> {
  const secrets: TlsSecrets = {};
  if (caFile !== "") secrets.ca = await readFile(caFile);
  if (certificateFile !== "") secrets.cert = await readFile(certificateFile);
  if (keyFile !== "") secrets.key = await readFile(keyFile);
  return secrets;
}
