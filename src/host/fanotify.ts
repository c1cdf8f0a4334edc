// Has the kernel tell of writes through one mount, and finds the files that it names.
//
// A group of its own for each mount: which container wrote is known although the process is gone
// when the event is read. Events name files by handles, so that nothing is opened, and nothing is
// kept from being unmounted. A mark goes with its mount.
import { closeSync, fstatSync, openSync, readFileSync, readlinkSync } from "node:fs";
import { EngineError, isErrno, storageError } from "../core/errors.ts";
import type { MountInfo } from "../core/host.ts";
import type { WatchRequest, WriteBatch, WriteWatch } from "../core/write-watch.ts";
import { handleOf, parseEvents } from "./fanotify-events.ts";
import { closeDescriptor, openPlaceInRoot } from "./libc.ts";
import { type FanotifyCalls, loadFanotifyCalls } from "./libc-fanotify.ts";
import { isLocalOverlay, localMountOf, mountIdOf, openLocalPlace } from "./local-places.ts";
import { parseMountTable, readMountTable } from "./mount-table.ts";
import { isInNamespace } from "./peer-mounts.ts";

/** What one read takes at most: some 1,200 events. */
const READ_BYTES = 64 * 1024;
/**
 * How much of one mount is read at once, a queue of the kernel's usual length. What is left is for
 * the next time: nobody may keep the daemon busy by writing.
 */
const READ_COUNT_MAX = 16;

const O_PATH_DIRECTORY = 0o10000000 | 0o200000;
const O_RDONLY_DIRECTORY = 0o200000;

/** Of the groups that the kernel lets a user have, those for one daemon. */
const GROUP_SHARE = 2;
const GROUP_COUNT_MAX = 96;
/** Where the kernel does not say how many it lets a user have. */
const USER_GROUPS_USUAL = 128;

let loaded: FanotifyCalls | undefined;
// Nothing waits between the read and the parsing: one for all.
const buffer = new Uint8Array(READ_BYTES);

/** `Host.watchWrites`. */
export function watchWrites(request: WatchRequest): WriteWatch {
  loaded ??= loadFanotifyCalls();
  const calls = loaded;
  const place = openTarget(request);
  let group: number | undefined;
  try {
    group = calls.makeGroup();
    calls.markMount(group, place.descriptor);
    if (!isInNamespace(request.pid, request.namespace)) throw goneError(request);
    const marked = group;
    group = undefined;
    return watchOf(marked, calls);
  } catch (thrown) {
    throw markError(thrown, place.mount);
  } finally {
    closeDescriptor(place.descriptor);
    if (group !== undefined) closeDescriptor(group);
  }
}

function watchOf(group: number, calls: FanotifyCalls): WriteWatch {
  let isOpen = true;
  return {
    read: () => (isOpen ? readAll(group, calls) : { written: [], isCut: false }),
    isOver: () => !isOpen || !hasMark(group),
    [Symbol.dispose]() {
      if (isOpen) calls.close(group);
      isOpen = false;
    },
  };
}

/** The kernel lists a group's marks, and takes them away with their mounts. */
function hasMark(group: number): boolean {
  const facts = readFileSync(`/proc/self/fdinfo/${group}`, "utf8");
  return /^fanotify mnt_id:/m.test(facts);
}

function readAll(group: number, calls: FanotifyCalls): WriteBatch {
  const batches: WriteBatch[] = [];
  for (let count = 0; count < READ_COUNT_MAX; count += 1) {
    const length = calls.readEvents(group, buffer);
    if (length === 0) break;
    batches.push(parseEvents(buffer.subarray(0, length)));
  }
  const [first] = batches;
  if (first === undefined) return { written: [], isCut: false };
  if (batches.length === 1) return first;
  const all = batches.flatMap(({ written }) => written);
  const once = new Map(all.map((one) => [`${one.file} ${one.pid}`, one]));
  return { written: [...once.values()], isCut: batches.some(({ isCut }) => isCut) };
}

/** The mount that is wanted, open for its place only; never through a link, or another's mount. */
function openTarget(request: WatchRequest): {
  readonly descriptor: number;
  readonly mount: MountInfo;
} {
  const { pid, namespace, target, isWanted } = request;
  let root: number | undefined;
  let opened: number | undefined;
  try {
    if (!isInNamespace(pid, namespace)) throw goneError(request);
    const table = parseMountTable(readFileSync(`/proc/${pid}/mountinfo`, "utf8"));
    const mount = table.filter((each) => each.target === target).find(isWanted);
    if (mount === undefined) throw goneError(request);
    // What lies on the way is asked, too: a container's root is mostly an overlay.
    const own = readMountTable();
    const asking = table.filter((each) => !isLocalOverlay(each, own));
    if (localMountOf(target, asking) === undefined) throw notLocal(mount);
    root = openSync(`/proc/${pid}/root`, O_PATH_DIRECTORY);
    opened = openPlaceInRoot(root, target, true);
    if (mountIdOf(opened) !== mount.mountId || !isInNamespace(pid, namespace)) {
      throw goneError(request);
    }
    const descriptor = opened;
    opened = undefined;
    return { descriptor, mount };
  } catch (thrown) {
    if (isErrno(thrown, "ENOTDIR")) {
      throw new EngineError("host.unsupported", "it is mounted as a single file", {
        cause: thrown,
      });
    }
    if (["ENOENT", "ESRCH", "EINVAL", "ELOOP", "EAGAIN"].some((code) => isErrno(thrown, code))) {
      throw goneError(request);
    }
    throw thrown instanceof EngineError ? thrown : storageError(thrown, `looking at ${target}`);
  } finally {
    if (root !== undefined) closeSync(root);
    if (opened !== undefined) closeDescriptor(opened);
  }
}

function goneError({ pid, target }: WatchRequest): EngineError {
  const message = `process ${pid} does not have it at ${target} any more`;
  return new EngineError("storage.failed", message, { details: { isGone: true } });
}

function notLocal({ fileSystem }: MountInfo): EngineError {
  return new EngineError(
    "host.unsupported",
    `${fileSystem} may be answered by another machine or a process, and is not watched`,
  );
}

function markError(thrown: unknown, { fileSystem, root }: MountInfo): EngineError {
  const reason = (words: string): EngineError =>
    new EngineError("host.unsupported", words, { cause: thrown });
  if (thrown instanceof EngineError) return thrown;
  if (isErrno(thrown, "EPERM")) {
    const message = "the kernel lets only root with CAP_SYS_ADMIN watch writes";
    return new EngineError("host.denied", message, { cause: thrown });
  }
  if (isErrno(thrown, "EMFILE")) {
    return reason("all of fs.fanotify.max_user_groups are in use on this machine");
  }
  if (isErrno(thrown, "EXDEV")) {
    return reason(`${fileSystem} has it in a subvolume (${root}), which the kernel does not watch`);
  }
  if (["EOPNOTSUPP", "ENODEV"].some((code) => isErrno(thrown, code))) {
    return reason(`${fileSystem} has no handles by which the kernel could name files`);
  }
  if (["ENOSYS", "EINVAL"].some((code) => isErrno(thrown, code))) {
    return reason("this kernel cannot tell of writes by file handles (Linux 5.1 can)");
  }
  return storageError(thrown, "watching writes");
}

/** `Host.writeWatchCountMax`. */
export function writeWatchCountMax(): number {
  let allowed = USER_GROUPS_USUAL;
  try {
    allowed = Number(readFileSync("/proc/sys/fs/fanotify/max_user_groups", "utf8"));
  } catch {
    // Linux before 5.13 has another way to say it, and the same usual number.
  }
  return Math.min(GROUP_COUNT_MAX, Math.floor(allowed / GROUP_SHARE));
}

/** `Host.pathOfWritten`. */
export function pathOfWritten(directory: string, file: string): string | undefined {
  loaded ??= loadFanotifyCalls();
  const handle = handleOf(file);
  const place = openLocalPlace(directory, readMountTable());
  if (handle === undefined || place === undefined) {
    if (place !== undefined) closeDescriptor(place);
    return undefined;
  }
  let reading: number | undefined;
  let found: number | undefined;
  try {
    // The kernel does not take one that is open for its place only.
    reading = openSync(`/proc/self/fd/${place}`, O_RDONLY_DIRECTORY);
    found = loaded.openByHandle(reading, handle);
    if (fstatSync(found).nlink === 0) return undefined;
    const base = readlinkSync(`/proc/self/fd/${reading}`);
    const path = readlinkSync(`/proc/self/fd/${found}`);
    const below = base === "/" ? "/" : `${base}/`;
    return path.startsWith(below) ? path.slice(below.length - 1) : undefined;
  } catch (thrown) {
    if (thrown instanceof EngineError) throw thrown;
    return undefined;
  } finally {
    closeDescriptor(place);
    if (reading !== undefined) closeSync(reading);
    if (found !== undefined) closeDescriptor(found);
  }
}
