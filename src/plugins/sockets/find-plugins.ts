// Looks through Docker's directories for plugins that run by themselves.
import type { Dirent } from "node:fs";
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isErrno, messageOf } from "../../core/errors.ts";
import { type DriverName, parseDriverName } from "../../core/names.ts";
import type { PluginAddress } from "../protocol/address.ts";
import { parseJsonSpec, parseSpec, SPEC_BYTES_MAX } from "./spec-file.ts";

/** Further files in a directory are passed over. */
const ENTRIES_MAX = 1_000;

export interface PluginDirectories {
  /** Absolute, of NAME.sock; undefined: none is looked for. */
  readonly sockets: string | undefined;
  /** Absolute, of NAME.spec and NAME.json, in the order in which they count. */
  readonly specs: readonly string[];
}

/** What was found under one name. */
export interface FoundPlugin {
  readonly name: DriverName;
  /** undefined: the file cannot be read, see `reason`. */
  readonly address: PluginAddress | undefined;
  readonly reason: string;
  /** Another one when the file is another: a plugin that was started again makes a new socket. */
  readonly life: string;
}

/**
 * All plugins by name: sockets before specs, the first hit wins, `NAME.sock` before
 * `NAME/NAME.sock`. `ownSockets`, our own and other names of them, are no plugins. Rejects when a
 * directory that is there cannot be read: then nothing is known.
 */
export async function findPlugins(
  { sockets, specs }: PluginDirectories,
  ownSockets: readonly string[],
): Promise<ReadonlyMap<string, FoundPlugin>> {
  const own = new Set((await Promise.all(ownSockets.map(namesOf))).flat());
  const found = new Map<string, FoundPlugin>();
  const places = [
    ...(sockets === undefined ? [] : [{ directory: sockets, extensions: [".sock"] }]),
    ...specs.map((directory) => ({ directory, extensions: [".spec", ".json"] })),
  ];
  for (const { directory, extensions } of places) {
    const entries = await entriesOf(directory);
    for (const extension of extensions) {
      for (const path of candidates(directory, entries, extension)) {
        const name = nameOf(basename(path, extension));
        if (name === undefined || found.has(name)) continue;
        const plugin = await lookAt(path, name);
        if (plugin !== undefined && !(await isOwn(plugin, own))) found.set(name, plugin);
      }
    }
  }
  return found;
}

/** The directories below one, which are looked into too. Rejects as `findPlugins`. */
export async function foldersIn(directory: string): Promise<readonly string[]> {
  const entries = await entriesOf(directory);
  return entries
    .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
    .map(({ name }) => join(directory, name));
}

async function entriesOf(directory: string): Promise<readonly Dirent[]> {
  try {
    return (await readdir(directory, { withFileTypes: true })).slice(0, ENTRIES_MAX);
  } catch (error) {
    if (isErrno(error, "ENOENT") || isErrno(error, "ENOTDIR")) return [];
    throw error;
  }
}

/** Files beside each other first, then those in directories of their own. */
function candidates(
  directory: string,
  entries: readonly Dirent[],
  extension: string,
): readonly string[] {
  const flat = entries.filter(({ name }) => name.endsWith(extension) && name !== extension);
  const folders = entries.filter((entry) => !entry.isFile() && !entry.isSocket());
  return [
    ...flat.map(({ name }) => join(directory, name)),
    ...folders.map(({ name }) => join(directory, name, `${name}${extension}`)),
  ];
}

function nameOf(text: string): DriverName | undefined {
  try {
    return parseDriverName(text);
  } catch {
    // Nobody could ask for it.
    return undefined;
  }
}

/** undefined: nothing is there, or nothing that is meant. */
async function lookAt(path: string, name: DriverName): Promise<FoundPlugin | undefined> {
  const file = await fileAt(path);
  if (file === undefined) return undefined;
  if (path.endsWith(".sock")) {
    if (!file.isSocket) return undefined;
    return { name, address: { kind: "unix", path }, reason: "", life: file.life };
  }
  if (!file.isFile) return undefined;
  try {
    if (file.bytes > SPEC_BYTES_MAX) throw new Error(`it is longer than ${SPEC_BYTES_MAX} bytes`);
    const text = await readFile(path, "utf8");
    const address = path.endsWith(".json") ? parseJsonSpec(text) : parseSpec(text);
    const socket = address.kind === "unix" ? await fileAt(address.path) : undefined;
    return { name, address, reason: "", life: `${path} ${text} ${socket?.life ?? ""}` };
  } catch (error) {
    const words = messageOf(error);
    return { name, address: undefined, reason: `${path}: ${words}`, life: `${path} ${file.life}` };
  }
}

interface FileFacts {
  readonly isSocket: boolean;
  readonly isFile: boolean;
  readonly bytes: number;
  readonly life: string;
}

/** Follows symbolic links; undefined for what cannot be looked at. */
async function fileAt(path: string): Promise<FileFacts | undefined> {
  try {
    const facts = await stat(path, { bigint: true });
    // Not the change time: owner and mode are set when the socket is there already.
    const life = `${facts.dev}:${facts.ino}:${facts.birthtimeNs}`;
    return {
      isSocket: facts.isSocket(),
      isFile: facts.isFile(),
      bytes: Number(facts.size),
      life,
    };
  } catch {
    return undefined;
  }
}

async function isOwn({ address }: FoundPlugin, own: ReadonlySet<string>): Promise<boolean> {
  if (address?.kind !== "unix") return false;
  return (await namesOf(address.path)).some((name) => own.has(name));
}

/** A path as it is, without the links on the way, and without a link at its end. */
async function namesOf(path: string): Promise<readonly string[]> {
  const folder = await realpath(dirname(path)).catch(() => dirname(path));
  const real = await realpath(path).catch(() => path);
  return [path, join(folder, basename(path)), real];
}
