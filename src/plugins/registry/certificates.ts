// Whom a TLS connection believes: the system's authorities, and Docker's certificate directories.
import fs from "node:fs";
import path from "node:path";
import { EngineError, isErrno, messageOf } from "../../core/errors.ts";
import { isInsecure, isLoopbackHost, type RegistrySettings } from "./addresses.ts";

/** What node:tls takes. Keys are in it: never printed. */
export interface TlsTrust {
  readonly ca?: readonly string[];
  readonly cert?: string;
  readonly key?: string;
  readonly rejectUnauthorized: boolean;
}

/** The first that there is: of Debian, of Fedora, of Alpine. */
const systemBundles = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/cert.pem",
];

/** A certificate or a key; a larger file is none. */
const PEM_BYTES_MAX = 4 * 1024 * 1024;

/**
 * How a host (with its port, where it is not 443) is to prove itself, and who we are there. An
 * insecure one need not; nor this machine itself, unless somebody put an authority for it into the
 * directory. Throws `config.invalid` for a certificate without its key or that cannot be read.
 */
export function trustFor(host: string, settings: RegistrySettings): TlsTrust {
  const directory = path.join(settings.certificates, host);
  const names = host.includes("/") || host.startsWith(".") ? [] : namesIn(directory);
  const own = names.filter((name) => name.endsWith(".crt")).map((name) => pem(directory, name));
  const isBelieved = isInsecure(host, settings) || (own.length === 0 && isLoopbackHost(host));
  const authorities = [...systemAuthorities(), ...own];
  return {
    ...(authorities.length === 0 ? {} : { ca: authorities }),
    ...clientOf(directory, names),
    rejectUnauthorized: !isBelieved,
  };
}

function clientOf(directory: string, names: readonly string[]): Partial<TlsTrust> {
  const name = names.find((one) => one.endsWith(".cert"));
  if (name === undefined) return {};
  const keyName = name.replace(/\.cert$/, ".key");
  if (!names.includes(keyName)) {
    throw new EngineError(
      "config.invalid",
      `missing key ${keyName} for client certificate ${name}. CA certificates must use the ` +
        "extension .crt",
      { details: { directory } },
    );
  }
  return { cert: pem(directory, name), key: pem(directory, keyName) };
}

function namesIn(directory: string): readonly string[] {
  try {
    return fs.readdirSync(directory).toSorted();
  } catch (error) {
    if (isErrno(error, "ENOENT") || isErrno(error, "ENOTDIR")) return [];
    throw unreadable(directory, error);
  }
}

function pem(directory: string, name: string): string {
  const file = path.join(directory, name);
  try {
    if (fs.statSync(file).size > PEM_BYTES_MAX) throw new Error("it is too large");
    return fs.readFileSync(file, "utf8");
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, cause: unknown): EngineError {
  const text = messageOf(cause);
  return new EngineError("config.invalid", `${file} cannot be read: ${text}`, { cause });
}

let bundle: readonly string[] | undefined;

/** Read once. None: the runtime's own are used. */
function systemAuthorities(): readonly string[] {
  if (bundle !== undefined) return bundle;
  const file = systemBundles.find((one) => fs.existsSync(one));
  try {
    bundle = file === undefined ? [] : [fs.readFileSync(file, "utf8")];
  } catch {
    bundle = [];
  }
  return bundle;
}
