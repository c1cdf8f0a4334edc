// What is another one in each run of a plugin exchange: ids, digests and their short forms.
import { progressLines } from "./progress-form.ts";

/** Ours first, then the recorded one that it stands for. */
export type Pair = readonly [ours: string, recorded: string];

/**
 * Pairs what stands in the same places of two answers about plugins. `rename` makes our name of a
 * plugin the recorded one. Answers of other forms have none.
 */
export function pluginPairs(
  recorded: string,
  ours: string,
  rename: (name: string) => string,
): readonly Pair[] {
  const [expected, actual] = [pluginsIn(recorded), pluginsIn(ours)];
  const ofPlugins = expected.flatMap((one) => {
    const other = actual.find(({ name }) => rename(name) === one.name);
    return other === undefined ? [] : zip(other.marks, one.marks);
  });
  const ofPaths = zip(idsInPaths(ours), idsInPaths(recorded));
  return [...ofPlugins, ...ofPaths, ...zip(marksOfStream(ours), marksOfStream(recorded))];
}

interface Marked {
  readonly name: string;
  readonly marks: readonly string[];
}

/** The plugins of an answer, with their ids and the digests of their layers. */
function pluginsIn(body: string): readonly Marked[] {
  const value = parsed(body);
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.flatMap((item) => {
    const [id, name] = [text(item, "Id"), text(item, "Name")];
    if (id === undefined || name === undefined) return [];
    const digests = member(member(member(item, "Config"), "rootfs"), "diff_ids");
    return [{ name, marks: [id, ...(Array.isArray(digests) ? digests.map(String) : [])] }];
  });
}

/** The plugin whose directory a path is in; one is enough, in an answer about its volumes. */
function idsInPaths(body: string): readonly string[] {
  const id = /\/plugins\/([0-9a-f]{64})\//.exec(body)?.[1];
  return id === undefined ? [] : [id];
}

/** The digests and short digests of a progress stream, in the order in which they come first. */
function marksOfStream(body: string): readonly string[] {
  const marks = progressLines(body)?.flatMap((line) => {
    const status = text(line, "status") ?? "";
    const digest = /^Digest: (.*)$/.exec(status)?.[1] ?? text(member(line, "aux"), "Digest");
    const layer = member(line, "progressDetail") === undefined ? undefined : text(line, "id");
    return [digest, layer].filter((mark) => mark !== undefined);
  });
  return [...new Set(marks)];
}

/** A digest stands for its short form too. */
function zip(ours: readonly string[], recorded: readonly string[]): readonly Pair[] {
  return ours.flatMap((mark, index): readonly Pair[] => {
    const other = recorded[index];
    if (other === undefined || other === mark) return [];
    const short = (digest: string) => digest.slice("sha256:".length).slice(0, 12);
    const isDigest = mark.startsWith("sha256:");
    return isDigest
      ? [
          [mark, other],
          [short(mark), short(other)],
        ]
      : [[mark, other]];
  });
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
}

function text(value: unknown, name: string): string | undefined {
  const found = member(value, name);
  return typeof found === "string" ? found : undefined;
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
