// The end of removed volumes: out of the trash for ever, without following links, with patience.
//
// Each is renamed to `<id>.purging` before the first byte goes, so that nobody takes half of one
// for a whole one. A repeated call goes on with what it finds under either name.
import fs from "node:fs";
import { EngineError, isErrno, storageError } from "../../core/errors.ts";
import type { Host, Pace, ProgramResult } from "../../core/host.ts";
import type { TrashId } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import { descriptionFiles } from "./description.ts";
import { refuseMounts, refuseShown } from "./foreign-mounts.ts";
import { type Layout, refuseLinkedRoot, syncDirectory } from "./layout.ts";

/** How long a purge keeps the event loop, in milliseconds, before requests get their turn. */
const SLICE_MS = 1;
/** How many directories one `rm` is given. */
const REMOVE_BATCH_COUNT = 64;
/**
 * A directory that is larger, in bytes, is not looked into: it is not empty, or was not. A million
 * entries would take a second.
 */
const LOOK_INTO_BYTES_MAX = 64 * 1024;

/**
 * How rm works: a sixteenth of the time, some 3,000 files a second. While it does, whoever syncs a
 * file beside it on ext4 waits, whatever rm's priority: such a container lost three quarters of its
 * throughput to an rm without rests, on two processors. Short turns keep each wait short.
 */
const PACE: Pace = { workMs: 5, restMs: 75, program: "rm" };
/** What setpriv ends with when the program behind it is missing. */
const NOT_EXECUTED = 127;
/** With less available, of the whole, space is wanted before anything else: rm does not rest. */
const SPACE_WANTED_SHARE = 0.1;

/** The files that may lie in an empty volume's directory. */
const ownFiles: ReadonlySet<string> = new Set([...descriptionFiles, "opts.json", "opts.json.new"]);

export interface PurgeParts {
  readonly layout: Layout;
  readonly host: Host;
  /** See `TrashCapable.purge`: then rm does not rest. */
  readonly isUrgent?: (() => boolean) | undefined;
}

/**
 * `TrashCapable.purge`. One look at all mount namespaces for each call, and only for what is not
 * empty; nothing of that is touched when one of them is refused.
 */
export async function purgeLocal(
  parts: PurgeParts,
  ids: readonly TrashId[],
  operation: Operation,
): Promise<void> {
  const { layout } = parts;
  operation.signal.throwIfAborted();
  refuseLinkedRoot(layout);
  const full = await removeEmptyOnes(layout, ids);
  if (full.length > 0) {
    await refuseAny(parts, full, operation);
    await removeFullOnes(parts, full, operation);
  }
  // Whoever drops the row after this knows that neither rename nor removal can come undone.
  await syncDirectory(layout.trash);
  await syncDirectory(layout.volumes);
}

/** `TrashCapable.refuseShown`: what is empty is no matter, as for a purge. */
export async function refuseShownRetired(
  parts: PurgeParts,
  ids: readonly TrashId[],
  operation: Operation,
): Promise<void> {
  const { layout } = parts;
  operation.signal.throwIfAborted();
  refuseLinkedRoot(layout);
  const full = ids.filter((id) => [layout.retired(id), layout.purging(id)].some(isFull));
  if (full.length > 0) await refuseAny(parts, full, operation);
}

async function refuseAny(
  { host, layout }: PurgeParts,
  ids: readonly TrashId[],
  operation: Operation,
): Promise<void> {
  const paths = ids.flatMap((id) => [layout.retired(id), layout.purging(id)]);
  await refuseShown(host, paths, operation);
  refuseLinkedRoot(layout);
  refuseMounts(host, paths);
}

/** Removes the empty volumes among them, in slices, and returns the others. */
async function removeEmptyOnes(
  layout: Layout,
  ids: readonly TrashId[],
): Promise<readonly TrashId[]> {
  const full: TrashId[] = [];
  let sliceStartedAt = performance.now();
  for (const id of ids) {
    if (performance.now() - sliceStartedAt > SLICE_MS) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      sliceStartedAt = performance.now();
    }
    if (!removeWhenEmpty(layout, id)) full.push(id);
  }
  return full;
}

/** Removes an empty volume with a few system calls and says whether nothing is left of it. */
function removeWhenEmpty(layout: Layout, id: TrashId): boolean {
  try {
    const place = layout.purging(id);
    const hasBegun = isThere(place);
    const files = filesOfEmpty(hasBegun ? place : layout.retired(id));
    if (files === "gone") return true;
    if (files === "full") return false;
    if (!hasBegun) fs.renameSync(layout.retired(id), place);
    ignoreMissing(() => fs.rmdirSync(`${place}/_data`));
    for (const file of files) fs.unlinkSync(`${place}/${file}`);
    fs.rmdirSync(place);
    // Of the same id, whole and begun: nobody makes that, and both go.
    return !hasBegun || !isThere(layout.retired(id));
  } catch {
    // It has changed while it was looked at: rm says what is the matter, if anything is.
    return false;
  }
}

function isThere(path: string): boolean {
  return fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** What lies beside the empty `_data` of a volume's directory. */
function filesOfEmpty(directory: string): readonly string[] | "gone" | "full" {
  const stat = fs.lstatSync(directory, { throwIfNoEntry: false });
  if (stat === undefined) return "gone";
  // A link in its place leads elsewhere; rm removes the link and follows none.
  if (!stat.isDirectory()) return "full";
  const entries = fs.readdirSync(directory);
  const files = entries.filter((entry) => ownFiles.has(entry));
  if (files.length === entries.length) return files;
  if (files.length + 1 < entries.length) return "full";
  const data = fs.lstatSync(`${directory}/_data`, { throwIfNoEntry: false });
  if (data?.isDirectory() !== true || data.size > LOOK_INTO_BYTES_MAX) return "full";
  return fs.readdirSync(`${directory}/_data`).length === 0 ? files : "full";
}

/** What cannot be looked at is not known to be empty. */
function isFull(directory: string): boolean {
  try {
    return filesOfEmpty(directory) === "full";
  } catch {
    return true;
  }
}

function ignoreMissing(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
}

async function removeFullOnes(
  parts: PurgeParts,
  ids: readonly TrashId[],
  operation: Operation,
): Promise<void> {
  const { layout } = parts;
  for (let rest = ids; rest.length > 0; ) {
    // One that is there whole as well, of the same id, has its turn afterwards.
    const next = rest.filter((id) => !begin(layout, id));
    // From here on nobody takes them for whole, whatever happens.
    await syncDirectory(layout.trash);
    for (let index = 0; index < rest.length; index += REMOVE_BATCH_COUNT) {
      const batch = rest.slice(index, index + REMOVE_BATCH_COUNT);
      await removeTrees(parts, batch.map(layout.purging), operation);
    }
    rest = next;
  }
}

/** Gives it the name of what is not whole. False: that name is taken by another one. */
function begin(layout: Layout, id: TrashId): boolean {
  const [from, to] = [layout.retired(id), layout.purging(id)];
  if (isThere(to)) return !isThere(from);
  try {
    fs.renameSync(from, to);
    return true;
  } catch (error) {
    // Somebody has removed it meanwhile.
    if (isErrno(error, "ENOENT")) return true;
    throw storageError(error, `moving ${from} to ${to}`);
  }
}

/** GNU rm in a helper process: it walks with descriptors, so a link swapped in leads nowhere. */
async function removeTrees(
  { host, layout, isUrgent }: PurgeParts,
  paths: readonly string[],
  operation: Operation,
): Promise<void> {
  operation.signal.throwIfAborted();
  refuseLinkedRoot(layout);
  refuseMounts(host, paths);
  const args = ["--recursive", "--force", "--one-file-system", "--", ...paths];
  const pace = { ...PACE, isUrgent: () => isUrgent?.() === true || isSpaceWanted(layout) };
  const result = await runInBackground(host, ["rm", ...args], operation, pace);
  if (result.exitCode !== 0) {
    throw new EngineError(
      "storage.failed",
      `error while purging removed volumes: ${result.stderr.trim()}`,
    );
  }
}

function isSpaceWanted({ trash }: Layout): boolean {
  try {
    const { blocks, bavail } = fs.statfsSync(trash);
    return bavail < blocks * SPACE_WANTED_SHARE;
  } catch {
    return false; // What is the matter with the disk, rm will say.
  }
}

/**
 * Containers come first, for the processor and the disk: what is purged is missed by nobody. Where
 * the disk's scheduler or the machine has no such classes, it runs all the same. It ends with the
 * daemon, which may be killed during a rest.
 */
async function runInBackground(
  host: Host,
  command: readonly string[],
  operation: Operation,
  pace: Pace,
): Promise<ProgramResult> {
  const nice = ["-n", "19", ...command];
  const ending = ["--pdeathsig", "KILL", "ionice", "-t", "-c", "3", "nice", ...nice];
  try {
    const result = await host.run("setpriv", ending, operation, pace);
    if (result.exitCode !== NOT_EXECUTED) return result;
  } catch (error) {
    // Containers' images may come without these; nice is in the same package as rm.
    if (!(error instanceof EngineError) || error.code !== "host.program_missing") throw error;
  }
  return await host.run("nice", nice, operation);
}
