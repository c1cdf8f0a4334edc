// Which plugin somebody means: by its id, by its name with or without a tag, by the beginning of
// its id.
import { EngineError } from "../../core/errors.ts";
import { goQuote, NAME_BYTES_MAX } from "../../core/names.ts";
import type { PluginId } from "../../core/plugin.ts";
import { canonicalPluginName, parsePluginReference } from "../../core/plugin-reference.ts";

const partOfId = /^[0-9a-f]{1,63}$/;

/**
 * The plugin that Docker takes a text for: whole ids first, then names, then beginnings of ids; a
 * reference with a digest is none of them. Throws `plugin.not_found`, `plugin.ambiguous`.
 */
export function findPlugin<T extends { readonly id: PluginId; readonly name: string }>(
  plugins: Iterable<T>,
  text: string,
): T {
  const all = [...plugins];
  const byId = all.find(({ id }) => id === text);
  if (byId !== undefined) return byId;
  const name = canonicalPluginName(text);
  const byName = name === undefined ? undefined : all.find((each) => each.name === name);
  if (byName !== undefined) return byName;
  const begun = partOfId.test(text) ? all.filter(({ id }) => id.startsWith(text)) : [];
  const [first] = begun;
  if (begun.length > 1) {
    throw new EngineError("plugin.ambiguous", `multiple plugins found for ${goQuote(text)}`);
  }
  if (first !== undefined) return first;
  throw new EngineError("plugin.not_found", `plugin ${goQuote(text)} not found`);
}

/**
 * The name that a plugin gets: canonical, with a tag. Throws `plugin.reference_invalid` with
 * Docker's texts.
 */
export function newPluginName(text: string): string {
  const { digest, familiar } = parsePluginReference(text);
  if (digest !== null) throw invalid("cannot use digest in plugin tag");
  if (Buffer.byteLength(familiar) > NAME_BYTES_MAX) {
    throw invalid(`a plugin's name has at most ${NAME_BYTES_MAX} bytes, as a driver's`);
  }
  return familiar;
}

function invalid(message: string): EngineError {
  return new EngineError("plugin.reference_invalid", message);
}

/** Two plugins of one name. */
export function nameTaken(name: string): EngineError {
  return new EngineError("plugin.exists", `plugin ${name} already exists`, { details: { name } });
}
