// Unpacks a tree beside the one that readers see: `publish-unpack`, a helper whose root directory
// the new tree is.
//
// Who writes to the volume, a container say, may exchange directories under it all the time. So its
// root is a mount of its own, which shows the new tree and nothing else: not even a directory that
// is moved out of it leads further up. Nothing may be loaded after the change of the root.
import { closeSync, openSync } from "node:fs";
import { EngineError, storageError, toEngineError } from "../../core/errors.ts";
import { publishPathText, type UnpackedTree, type UnpackTree } from "../../core/publishing.ts";
import { compressionOf, type TarEntry, tarInvalid } from "../../core/tar-header.ts";
import { TarReader, type TarSink } from "../../core/tar-reader.ts";
import type { AssistCall } from "../assist-frame.ts";
import { LayerWriter, type WriterRules } from "../layer-writer.ts";
import { closeDescriptor, openPlace, openPlaceWithoutLinks, openTreeClone } from "../libc.ts";
import { type FileCalls, loadFileCalls } from "../libc-files.ts";
import { identityOf, isSame } from "./names.ts";
import { changed } from "./put-in-place.ts";

/** Of a tree whose archive does not say it. */
const ROOT_MODE = 0o755;
/** Permission bits without those that give rights away. */
const PLAIN_MODE_BITS = 0o1777;

const ROOT = Buffer.from("/\0");

/**
 * The helper `publish-unpack`: its input is an `UnpackTree`, its body a tar. What was unpacked is
 * on the storage when it resolves. Throws `publish.archive_invalid`, `publish.changed`,
 * `storage.*`; what is there by then stays. To be called once in a process.
 */
export async function publishUnpack(call: AssistCall): Promise<UnpackedTree> {
  // The daemon has made it: this is the same executable.
  const wanted = call.input as UnpackTree;
  const calls = loadFileCalls();
  // Loaded with its first use; and so are the other calls that are needed later.
  const tree = openTree(call.directory, wanted);
  attempt("entering the new tree", () => enter(calls, tree));
  try {
    return await unpack(calls, wanted, call.body);
  } catch (thrown) {
    throw asPublishing(thrown);
  }
}

/** A mount of the new tree alone, which is nowhere. */
function openTree(directory: string, { parent, staging, identity }: UnpackTree): number {
  return attempt("opening the new tree", () => {
    const root = openPlace(directory);
    const above = openPlaceWithoutLinks(root, parent === "" ? "." : parent);
    const place = openPlaceWithoutLinks(above, staging);
    const isIt = isSame(identityOf(above, staging), identity);
    if (!isIt) throw changed(publishPathText({ parent, name: staging }), "it was exchanged");
    const tree = openTreeClone(place);
    for (const descriptor of [place, above, root]) closeDescriptor(descriptor);
    return tree;
  });
}

function enter(calls: FileCalls, tree: number): void {
  process.umask(0);
  // Not by way of the working directory: a mount that is nowhere has no path to ask for.
  calls.changeRoot(Buffer.from(`/proc/self/fd/${tree}\0`));
  process.chdir("/");
  closeDescriptor(tree);
}

async function unpack(
  calls: FileCalls,
  { owner, ...limits }: UnpackTree,
  body: AsyncIterable<Uint8Array>,
): Promise<UnpackedTree> {
  const leftOut = new Set<string>();
  const rules = rulesFor(owner, (what) => leftOut.add(what));
  const writer = new LayerWriter(calls, rules);
  const counted = new CountedSink(writer, rules);
  const reader = new TarReader(counted, { ...limits, mustEnd: true });
  let isFirst = true;
  for await (const chunk of body) {
    if (isFirst) refuseCompressed(chunk);
    isFirst = false;
    reader.push(chunk);
  }
  reader.end();
  writer.finish();
  if (!counted.hasRoot) describeRoot(calls, owner);
  if (writer.ignored.length > 0) leftOut.add("attributes");
  attempt("syncing the new tree", () => syncAll(calls));
  return { ...counted.counts, leftOut: [...leftOut].sort() };
}

function refuseCompressed(start: Uint8Array): void {
  const compression = compressionOf(start);
  if (compression !== "none") throw tarInvalid(`it is compressed with ${compression}`);
}

function rulesFor(owner: UnpackTree["owner"], leftOut: (what: string) => void): WriterRules {
  return {
    pathOf: ({ name, type }) => treePath(name, type),
    described(entry) {
      if (owner === "archive") return entry;
      const { userId, groupId, isTrusted } = owner;
      const mode = isTrusted ? entry.mode : entry.mode & PLAIN_MODE_BITS;
      return { userId, groupId, mode, records: isTrusted ? entry.records : [] };
    },
    leftOut,
  };
}

/** Names that mean whiteouts in a layer are names like all others here. */
function treePath(name: string, type: TarEntry["type"]): string {
  if (type === "characterDevice" || type === "blockDevice" || type === "fifo") {
    const what = type === "fifo" ? "a pipe" : "a device";
    throw tarInvalid(`${what} is not published`, name);
  }
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw tarInvalid("there is a `..` in the name", name);
  return parts.join("/");
}

function describeRoot(calls: FileCalls, owner: UnpackTree["owner"]): void {
  attempt("describing the new tree", () => {
    if (owner !== "archive") calls.own(ROOT, owner.userId, owner.groupId);
    calls.changeMode(ROOT, ROOT_MODE);
  });
}

function syncAll(calls: FileCalls): void {
  const root = openSync("/", "r");
  try {
    calls.syncFileSystem(root);
  } finally {
    closeSync(root);
  }
}

/** Counts what it hands on. */
class CountedSink implements TarSink {
  readonly #sink: TarSink;
  readonly #rules: WriterRules;
  readonly counts = { files: 0, directories: 0, links: 0, bytes: 0 };
  /** Whether the archive says of the tree's own directory what it is like. */
  hasRoot = false;

  constructor(sink: TarSink, rules: WriterRules) {
    this.#sink = sink;
    this.#rules = rules;
  }

  entry(entry: TarEntry): void {
    const isRoot = this.#rules.pathOf(entry) === "";
    if (isRoot) this.hasRoot = true;
    else if (entry.type === "directory") this.counts.directories += 1;
    else if (entry.type === "symlink") this.counts.links += 1;
    else this.counts.files += 1;
    this.counts.bytes += entry.size;
    this.#sink.entry(entry);
  }

  data(bytes: Uint8Array): void {
    this.#sink.data(bytes);
  }

  entryEnd(): void {
    this.#sink.entryEnd();
  }
}

function attempt<T>(doing: string, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    throw storageError(thrown, doing);
  }
}

/** What is wrong with an archive is no matter of images here. */
function asPublishing(thrown: unknown): EngineError {
  const error = toEngineError(thrown);
  if (error.code !== "plugin.image_invalid") return error;
  const { message, details } = error;
  return new EngineError("publish.archive_invalid", `the archive: ${message}`, {
    details,
    cause: thrown,
  });
}
