// Names of plugins and images: Docker's references, parsed and put in their canonical form.
import { EngineError } from "./errors.ts";
import { goQuote } from "./names.ts";

/** A reference to a repository of a registry, and one version there. */
export interface PluginReference {
  /** The registry's host, with a port where one is given: `docker.io`, `127.0.0.1:5000`. */
  readonly host: string;
  /** The repository's path in the registry: `vieux/sshfs`, `library/nginx`. */
  readonly path: string;
  /** The tag, `latest` where none is given; null where only a digest is. */
  readonly tag: string | null;
  /** `sha256:` and 64 hex digits; null: none is given. */
  readonly digest: string | null;
  /** As Docker shows it: `vieux/sshfs:latest`, `127.0.0.1:5000/vp:v1`. */
  readonly familiar: string;
}

const DEFAULT_HOST = "docker.io";
const OFFICIAL_PREFIX = "library/";
const REFERENCE_CHARACTERS_MAX = 512;
const REPOSITORY_CHARACTERS_MAX = 255;

const hostLabel = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
const hostPattern = new RegExp(
  `^(?:${hostLabel}(?:\\.${hostLabel})*|\\[[0-9a-fA-F:]+\\])(?::[0-9]{1,5})?$`,
);
const pathPattern =
  /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const digestPattern = /^sha256:[0-9a-f]{64}$/;

/**
 * Docker's rules for references: a first part with a dot or a colon, or `localhost`, is a host;
 * `docker.io/library/` is left out; no tag means `latest`. Throws `plugin.reference_invalid` with
 * Docker's text.
 */
export function parsePluginReference(text: string): PluginReference {
  const reference = tryParsePluginReference(text);
  if (reference !== undefined) return reference;
  const isUpper = tryParsePluginReference(text.toLowerCase()) !== undefined;
  const why = isUpper ? ": repository name must be lowercase" : "";
  throw new EngineError("plugin.reference_invalid", `invalid reference format${why}`, {
    details: { reference: goQuote(text.slice(0, REFERENCE_CHARACTERS_MAX)) },
  });
}

/** As `parsePluginReference`; undefined for what is none. */
export function tryParsePluginReference(text: string): PluginReference | undefined {
  if (text === "" || text.length > REFERENCE_CHARACTERS_MAX) return undefined;
  const at = text.indexOf("@");
  const digest = at < 0 ? null : text.slice(at + 1);
  if (digest !== null && !digestPattern.test(digest)) return undefined;
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(":");
  const hasTag = colon > named.lastIndexOf("/");
  const repository = hasTag ? named.slice(0, colon) : named;
  const givenTag = hasTag ? named.slice(colon + 1) : null;
  if (givenTag !== null && !tagPattern.test(givenTag)) return undefined;
  const { host, path } = splitRepository(repository);
  if (!hostPattern.test(host) || !pathPattern.test(path)) return undefined;
  if (host.length + 1 + path.length > REPOSITORY_CHARACTERS_MAX) return undefined;
  const tag = givenTag ?? (digest === null ? "latest" : null);
  return { host, path, tag, digest, familiar: familiarOf({ host, path, tag, digest }) };
}

/**
 * The name under which a driver is looked up beside its name as given: `plug` may be the managed
 * plugin `plug:latest`. undefined for what is no reference.
 */
export function canonicalPluginName(text: string): string | undefined {
  const reference = tryParsePluginReference(text);
  return reference === undefined || reference.digest !== null ? undefined : reference.familiar;
}

/** Whether it is `HOST[:PORT]` as it stands in references. */
export function isRegistryHost(text: string): boolean {
  return text.length <= REPOSITORY_CHARACTERS_MAX && hostPattern.test(text);
}

function splitRepository(repository: string): { readonly host: string; readonly path: string } {
  const slash = repository.indexOf("/");
  const first = slash < 0 ? "" : repository.slice(0, slash);
  const isHost = first === "localhost" || /[.:]/.test(first) || first !== first.toLowerCase();
  const host = isHost ? first : DEFAULT_HOST;
  const rest = isHost ? repository.slice(slash + 1) : repository;
  if (host === "index.docker.io") return splitRepository(`${DEFAULT_HOST}/${rest}`);
  const isOfficial = host === DEFAULT_HOST && !rest.includes("/");
  return { host, path: isOfficial ? `${OFFICIAL_PREFIX}${rest}` : rest };
}

function familiarOf(reference: Omit<PluginReference, "familiar">): string {
  const { host, path, tag, digest } = reference;
  const short = path.startsWith(OFFICIAL_PREFIX) ? path.slice(OFFICIAL_PREFIX.length) : path;
  const repository = host === DEFAULT_HOST ? short : `${host}/${path}`;
  return [repository, tag === null ? "" : `:${tag}`, digest === null ? "" : `@${digest}`].join("");
}
