// How to log in at a registry, from Docker's own configuration file.
import { CliFailure } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

/** What the file has for one registry. */
interface StoredAuth {
  readonly auth?: string;
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

interface DockerConfig {
  readonly auths?: Readonly<Record<string, StoredAuth>>;
  readonly credsStore?: string;
  readonly credHelpers?: Readonly<Record<string, string>>;
  readonly HttpHeaders?: Readonly<Record<string, string>>;
}

/** Under which Docker keeps what is for Docker Hub. */
const hubKey = "https://index.docker.io/v1/";

/**
 * The header for `host`, Docker's `X-Registry-Auth`: `{}` where nothing is stored. A program that
 * keeps credentials (docker-credential-…) is not asked: that is said on stderr. Throws where the
 * file cannot be read.
 */
export async function registryHeaders(
  host: string,
  terminal: Terminal,
): Promise<Readonly<Record<string, string>>> {
  const { text, file } = await readConfig(terminal);
  const config = parseConfig(text, file);
  const key = host === "docker.io" ? hubKey : host;
  const stored = findAuth(config, key);
  const helper = config.credHelpers?.[key] ?? config.credsStore;
  if (stored === undefined && helper !== undefined && helper !== "") {
    await terminal.err(
      `holdfast does not ask docker-credential-${helper}, which may keep the login for ${host}: ` +
        `where one is needed, store it in ${file} (auths)\n`,
    );
  }
  const auth = stored === undefined ? {} : { ...readAuth(stored, file), serveraddress: key };
  return { "X-Registry-Auth": base64Url(JSON.stringify(auth)) };
}

async function readConfig(terminal: Terminal): Promise<{ text: string; file: string }> {
  const { env } = terminal;
  const folder = env["DOCKER_CONFIG"] || (env["HOME"] ? `${env["HOME"]}/.docker` : undefined);
  if (folder === undefined) return { text: "{}", file: "config.json" };
  const file = `${folder}/config.json`;
  const stored = Bun.file(file);
  if (!(await stored.exists())) return { text: "{}", file };
  return { text: await stored.text(), file };
}

function parseConfig(text: string, file: string): DockerConfig {
  try {
    const parsed: unknown = JSON.parse(text);
    // Just looked: an object, whose members are all looked at where they are used.
    if (typeof parsed === "object" && parsed !== null) return parsed as DockerConfig;
  } catch {
    // Said below.
  }
  throw new CliFailure(`${file} is not JSON: repair it, or say DOCKER_CONFIG=DIR for another one`);
}

/** By the host, with or without the scheme and the path that older versions wrote. */
function findAuth({ auths = {} }: DockerConfig, key: string): StoredAuth | undefined {
  const exact = auths[key];
  if (exact !== undefined) return hasAny(exact) ? exact : undefined;
  const same = Object.entries(auths).find(([stored]) => hostOf(stored) === hostOf(key));
  return same !== undefined && hasAny(same[1]) ? same[1] : undefined;
}

function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, "").split("/")[0] ?? "";
}

/** A login that a helper program keeps leaves an empty object here. */
function hasAny(auth: StoredAuth): boolean {
  return Object.values(auth).some((value) => typeof value === "string" && value !== "");
}

function readAuth(stored: StoredAuth, file: string): StoredAuth {
  const { auth, ...rest } = stored;
  if (auth === undefined || auth === "") return rest;
  const text = decodeBase64(auth);
  const colon = text.indexOf(":");
  if (colon < 0) throw new CliFailure(`${file}: an auth is no base64 of USER:PASSWORD`);
  const password = text.slice(colon + 1).replace(/\0+$/, "");
  return { ...rest, username: text.slice(0, colon), password };
}

function decodeBase64(text: string): string {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(text), (each) => each.charCodeAt(0)));
  } catch {
    return "";
  }
}

function base64Url(text: string): string {
  const bytes = new TextEncoder().encode(text);
  const plain = btoa(String.fromCharCode(...bytes));
  return plain.replaceAll("+", "-").replaceAll("/", "_");
}
