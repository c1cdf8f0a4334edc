// A plugin as Docker's API describes it, its names, and the questions that several commands ask.
import { type PluginReference, tryParsePluginReference } from "../core/plugin-reference.ts";
import { CliFailure } from "./failure.ts";

/** Docker's Plugin object, as far as a command looks at it. */
export interface ApiPlugin {
  readonly Id: string;
  readonly Name: string;
  readonly Enabled: boolean;
  readonly PluginReference?: string;
  readonly Config: { readonly Description?: string };
}

export interface ApiPrivilege {
  readonly Name: string;
  readonly Description?: string;
  readonly Value: readonly string[] | null;
}

/** Whatever waits for a registry or for a plugin's process may be silent for so long. */
export const PLUGIN_SILENCE_MS_MAX = 900_000;

/** `/plugins/NAME…`; slashes and colons stay, as in Docker's client. */
export function pluginPath(name: string, rest = ""): string {
  if (name.trim() === "") throw new CliFailure("invalid plugin name: value is empty");
  const encoded = encodeURIComponent(name).replaceAll("%2F", "/").replaceAll("%3A", ":");
  return `/plugins/${encoded}${rest}`;
}

/** A reference with what Docker's client sends for it. */
export interface TypedReference extends PluginReference {
  /** With its host, and with a tag only if one was typed. */
  readonly full: string;
}

/** Docker's client's own texts for what is no reference. */
export function parseReference(text: string): TypedReference {
  if (/^[0-9a-f]{64}$/.test(text)) {
    const rule = "cannot specify 64-byte hexadecimal strings";
    throw new CliFailure(`invalid repository name (${text}), ${rule}`);
  }
  const reference = tryParsePluginReference(text);
  if (reference !== undefined) return { ...reference, full: fullName(text, reference) };
  const repository = repositoryOf(text);
  const hasCapital = repository.toLowerCase() !== repository;
  const reason = hasCapital ? `: repository name (${repository}) must be lowercase` : "";
  throw new CliFailure(`invalid reference format${reason}`);
}

function fullName(text: string, { host, path, tag, digest }: PluginReference): string {
  const named = text.split("@")[0] ?? "";
  const isTagTyped = named.lastIndexOf(":") > named.lastIndexOf("/");
  const ofTag = isTagTyped && tag !== null ? `:${tag}` : "";
  return `${host}/${path}${ofTag}${digest === null ? "" : `@${digest}`}`;
}

/** What Docker's client takes for the repository's path, whether it is one or not. */
function repositoryOf(text: string): string {
  const slash = text.indexOf("/");
  const first = slash < 0 ? "" : text.slice(0, slash);
  const isHost = /[.:]/.test(first) || first === "localhost" || first.toLowerCase() !== first;
  const path = isHost ? text.slice(slash + 1) : slash < 0 ? `library/${text}` : text;
  return path.split(":")[0] ?? "";
}
