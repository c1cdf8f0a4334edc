// What requests about plugins say: credentials, headers for the registry, grants, names, uploads.
import type { PluginPrivilege, RegistryAuth, RegistryCall } from "../../core/plugin.ts";
import { canonicalPluginName } from "../../core/plugin-reference.ts";
import type { HttpRequest } from "../../http/message.ts";
import { type GoStruct, readStructs, textField, textsField } from "./go-json.ts";

const META_PREFIX = "x-meta-";
/** What is read and thrown away of a refused upload, in bytes; of a longer one the client hears. */
const REFUSED_BYTES_MAX = 16 * 1024 * 1024;

const privilege: GoStruct = {
  name: "PluginPrivilege",
  typeName: "types.PluginPrivilege",
  fields: { Name: "string", Description: "string", Value: "[]string" },
};

/** Credentials and headers for the registry. What cannot be read is no credentials, as in moby. */
export function registryCall(request: HttpRequest): RegistryCall {
  const metaHeaders = [...request.headers]
    .filter(([name]) => name.startsWith(META_PREFIX))
    .map(([name, value]): readonly [string, string] => [headerName(name), value]);
  return { auth: registryAuth(request.headers.get("x-registry-auth")), metaHeaders };
}

/** What the caller grants. Throws `request.invalid`. */
export function grantedPrivileges(request: HttpRequest): readonly PluginPrivilege[] {
  return readStructs(request, "types.PluginPrivileges", privilege).map((fields) => ({
    name: textField(fields["Name"]),
    description: textField(fields["Description"]),
    value: textsField(fields["Value"]),
  }));
}

/**
 * The name under which `remote` is installed, `given` where the caller gives one, in its canonical
 * form; undefined for what is none. A digest is no part of a name.
 */
export function localPluginName(remote: string, given: string): string | undefined {
  return canonicalPluginName(given === "" ? (remote.split("@")[0] ?? "") : given);
}

/** The body, whether it is streamed or has been kept. */
export async function* bodyPieces({ body, bodyStream }: HttpRequest): AsyncIterable<Uint8Array> {
  if (bodyStream !== undefined) yield* bodyStream;
  else if (body.length > 0) yield body;
}

/**
 * Reads what is left of an upload that is refused: Go's client complains about a connection that
 * ends while it sends. Never rejects.
 */
export async function skipBody({ bodyStream }: HttpRequest): Promise<void> {
  let bytes = 0;
  try {
    for await (const piece of bodyStream ?? []) {
      bytes += piece.length;
      if (bytes > REFUSED_BYTES_MAX) return;
    }
  } catch {
    // It does not come whole: nothing more is to be read.
  }
}

/** Base64 (either alphabet) of a JSON object whose names match without case, as in Go. */
function registryAuth(header: string | undefined): RegistryAuth | undefined {
  if (header === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(header, "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const given = new Map(Object.entries(value).map(([key, item]) => [key.toLowerCase(), item]));
  const text = (key: string): string => {
    const item: unknown = given.get(key);
    return typeof item === "string" ? item : "";
  };
  const [username, password] = [text("username"), text("password")];
  const [identityToken, registryToken] = [text("identitytoken"), text("registrytoken")];
  const auth = {
    ...(username === "" ? {} : { username, password }),
    ...(identityToken === "" ? {} : { identityToken }),
    ...(registryToken === "" ? {} : { registryToken }),
  };
  return Object.keys(auth).length === 0 ? undefined : auth;
}

/** `x-meta-team` as Go spells it. */
function headerName(name: string): string {
  return name.replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => {
    return `${dash}${letter.toUpperCase()}`;
  });
}
