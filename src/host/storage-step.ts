// Steps on a volume's storage: its directory and mark are made, probed and removed, in a process
// that can be abandoned when the storage does not answer.
//
// Everything happens beneath one directory: no link is followed, no other mount is entered. A mark
// is a file beside a directory that says who made it, so that nobody else's is ever destroyed.
import {
  closeSync,
  constants,
  fsyncSync,
  mkdirSync,
  openSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { EngineError, isErrno, storageError } from "../core/errors.ts";
import type { StepOutcome, StorageStep } from "../core/storage-step.ts";
import { closeDescriptor, openPlace, openPlaceWithoutLinks } from "./libc.ts";
import { attempt } from "./storage-attempt.ts";
import { readHead, removeFile, removeFileQuietly, removeTree } from "./storage-files.ts";

/** What the mark of a directory begins with; its name comes after. */
const MARK = ".holdfast-";
/** A mark is a few bytes. A larger file is none. */
const MARK_BYTES_MAX = 256;
const PROBE_BYTES = 4096;

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;

/**
 * Does one step beneath `directory`. Throws what storage says as `storage.*` or `host.denied`, with
 * `details.step` and `details.errno`.
 */
export function takeStep(directory: string, step: StorageStep): StepOutcome {
  const root = attempt("open", `opening ${directory}`, () => openPlace(directory));
  try {
    return takeAt(root, step);
  } catch (thrown) {
    throw storageError(thrown, "working on the storage");
  } finally {
    closeDescriptor(root);
  }
}

function takeAt(root: number, step: StorageStep): StepOutcome {
  switch (step.do) {
    case "make":
      return make(root, step);
    case "unmake":
      return unmake(root, step);
    case "probe":
      return probe(root, step);
    case "unprobe":
      return unprobe(root, step);
    case "remove":
      return remove(root, step);
    default:
      throw new EngineError("internal.bug", `no such step: ${JSON.stringify(step)}`);
  }
}

function make(
  root: number,
  { path, mark }: { readonly path: string; readonly mark: string | null },
): StepOutcome {
  const doing = `making the directory ${path}`;
  return attempt("make", doing, () => {
    const { parent } = split(path);
    const made = parent === "" ? [] : makeParents(root, parent, mark);
    const parentFd = openPlaceWithoutLinks(root, parent === "" ? "." : parent);
    try {
      const isOurs = makeMarked(parentFd, path, mark) === "marked";
      return { made: isOurs ? [...made, path] : made };
    } finally {
      closeDescriptor(parentFd);
    }
  });
}

/** They have marks of their own: who comes to use one takes its mark away, too. */
function makeParents(root: number, path: string, mark: string | null): readonly string[] {
  const made: string[] = [];
  for (const each of downTo(path)) {
    const found = inParent(root, each, (parent) => makeMarked(parent, each, mark));
    if (found !== "there") made.push(each);
  }
  return made;
}

/** `a`, `a/b`, `a/b/c` of the last one. */
function downTo(path: string): readonly string[] {
  const segments = path === "" ? [] : path.split("/");
  return segments.map((_, index) => segments.slice(0, index + 1).join("/"));
}

/**
 * The mark is there before the directory is, so that whoever finds the directory finds the mark,
 * too, and takes it away. A mark without a directory is of a creation that was cut short, or of
 * storage that keeps no empty directories: then nobody knows whose it is, and it is nobody's:
 * what is only "made".
 */
function makeMarked(
  parent: number,
  path: string,
  mark: string | null,
): "marked" | "made" | "there" {
  const { name } = split(path);
  const place = (entry: string) => `/proc/self/fd/${parent}/${entry}`;
  const isMarked = mark !== null && !isThere(parent, name) && writeMark(place(MARK + name), mark);
  let isMade = false;
  try {
    mkdirSync(place(name), 0o755);
    if (isMarked) return "marked";
    isMade = true;
  } catch (thrown) {
    if (!isErrno(thrown, "EEXIST")) {
      if (isMarked) removeFile(place(MARK + name));
      throw thrown;
    }
  }
  // It must be a directory, which the opening says.
  closeDescriptor(openPlaceWithoutLinks(parent, name));
  removeFile(place(MARK + name));
  return isMade ? "made" : "there";
}

function isThere(parent: number, name: string): boolean {
  try {
    closeDescriptor(openPlaceWithoutLinks(parent, name));
    return true;
  } catch (thrown) {
    if (isErrno(thrown, "ENOENT")) return false;
    throw thrown;
  }
}

/** False: there is one already. */
function writeMark(file: string, mark: string): boolean {
  try {
    const descriptor = openSync(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      writeSync(descriptor, `${mark}\n`);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    return true;
  } catch (thrown) {
    if (isErrno(thrown, "EEXIST")) return false;
    throw thrown;
  }
}

function unmake(
  root: number,
  { made, mark }: { readonly made: readonly string[]; readonly mark: string },
): StepOutcome {
  const last = made.at(-1);
  const isOurs = last !== undefined && mark !== "" && isMarked(root, last, mark);
  return attempt("unmake", "removing what was made", () => {
    for (const path of made.toReversed()) {
      inParent(root, path, (parent, name) => {
        try {
          rmdirSync(`/proc/self/fd/${parent}/${name}`);
        } catch (thrown) {
          // Somebody has put something there: then it stays.
          if (!["ENOTEMPTY", "EEXIST", "ENOENT"].some((code) => isErrno(thrown, code))) {
            throw thrown;
          }
        }
        if (mark !== "" && hasMark(parent, name, mark)) removeFile(markOf(parent, name));
      });
    }
    return { isOurs };
  });
}

function isMarked(root: number, path: string, mark: string): boolean {
  return attempt("check-mark", `reading the mark of ${path}`, () => {
    try {
      return inParent(root, path, (parent, name) => hasMark(parent, name, mark));
    } catch (thrown) {
      if (isErrno(thrown, "ENOENT") || isErrno(thrown, "ELOOP")) return false;
      throw thrown;
    }
  });
}

function hasMark(parent: number, name: string, mark: string): boolean {
  try {
    const bytes = readHead(markOf(parent, name), MARK_BYTES_MAX);
    return bytes.toString("utf8").trim() === mark;
  } catch (thrown) {
    if (isErrno(thrown, "ENOENT") || isErrno(thrown, "ELOOP")) return false;
    throw thrown;
  }
}

function probe(
  root: number,
  { path, name, stays }: Extract<StorageStep, { readonly do: "probe" }>,
): StepOutcome {
  const bytes = Buffer.alloc(PROBE_BYTES, `${name}\n`);
  const place = attempt("write", "opening the directory", () =>
    openPlaceWithoutLinks(root, path === "" ? "." : path),
  );
  const file = `/proc/self/fd/${place}/${name}`;
  try {
    const descriptor = attempt("write", "making a file", () =>
      openSync(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600),
    );
    try {
      attempt("write", "writing a file", () => void writeSync(descriptor, bytes));
      attempt("sync", "putting a file on the server", () => fsyncSync(descriptor));
      attempt("sync", "closing a file", () => closeSync(descriptor));
    } catch (thrown) {
      // What was not written is told here once more: it has been told already.
      closeQuietly(descriptor);
      throw thrown;
    }
    const back = attempt("read", "reading a file back", () => readHead(file, PROBE_BYTES));
    if (!back.equals(bytes)) {
      throw new EngineError("storage.failed", "what was read back is not what was written", {
        details: { step: "read" },
      });
    }
    if (stays !== true) attempt("remove", "removing a file", () => unlinkSync(file));
    return {};
  } catch (thrown) {
    removeFileQuietly(file);
    throw thrown;
  } finally {
    closeDescriptor(place);
  }
}

function unprobe(
  root: number,
  { path, name }: { readonly path: string; readonly name: string },
): StepOutcome {
  const file = path === "" ? name : `${path}/${name}`;
  const unlink = (parent: number) => unlinkSync(`/proc/self/fd/${parent}/${name}`);
  return attempt("remove", "removing a file", () => inParent(root, file, unlink) ?? {});
}

function remove(
  root: number,
  { path, mark }: { readonly path: string; readonly mark: string },
): StepOutcome {
  if (path === "" || !isMarked(root, path, mark)) return { isOurs: false };
  const isOurs = attempt("remove", `removing ${path}`, () =>
    inParent(root, path, (parent, name) => {
      // Of this very parent: the one above may be another one by now.
      if (!hasMark(parent, name, mark)) return false;
      removeTree(parent, Buffer.from(name));
      // Last: a removal that was cut short is begun again.
      removeFile(markOf(parent, name));
      return true;
    }),
  );
  if (isOurs) removeParents(root, split(path).parent, mark);
  return { isOurs };
}

/**
 * Removes those that were made with the directory, as far as they are empty and nobody else has
 * come to use them, who would have taken their marks away. One that cannot be removed is left.
 */
function removeParents(root: number, path: string, mark: string): void {
  for (const each of downTo(path).toReversed()) {
    try {
      inParent(root, each, (parent, name) => {
        if (!hasMark(parent, name, mark)) return;
        try {
          rmdirSync(`/proc/self/fd/${parent}/${name}`);
        } finally {
          // Of one that is not empty, too: from now on it is nobody's.
          removeFile(markOf(parent, name));
        }
      });
    } catch {
      // What was to be destroyed is destroyed: an empty directory is no failure of that.
    }
  }
}

function markOf(parent: number, name: string): string {
  return `/proc/self/fd/${parent}/${MARK}${name}`;
}

function inParent<T>(root: number, path: string, work: (parent: number, name: string) => T): T {
  const { parent, name } = split(path);
  const descriptor = openPlaceWithoutLinks(root, parent === "" ? "." : parent);
  try {
    return work(descriptor, name);
  } finally {
    closeDescriptor(descriptor);
  }
}

function split(path: string): { readonly parent: string; readonly name: string } {
  const slash = path.lastIndexOf("/");
  return { parent: path.slice(0, Math.max(slash, 0)), name: path.slice(slash + 1) };
}

/** Succeeds when it is closed already. */
function closeQuietly(descriptor: number): void {
  try {
    closeSync(descriptor);
  } catch {
    // The failure that brought us here is the one to be told.
  }
}

const stepNames: ReadonlySet<unknown> = new Set<StorageStep["do"]>([
  ...(["make", "unmake", "probe", "unprobe", "remove"] as const),
]);

/** The helper `storage-step` of `Host.assist`: its input is a `StorageStep`. */
export async function storageStep(call: {
  readonly directory: string;
  readonly input: unknown;
}): Promise<StepOutcome> {
  if (!isStep(call.input)) throw new EngineError("internal.bug", "storage-step was given no step");
  return takeStep(call.directory, call.input);
}

function isStep(value: unknown): value is StorageStep {
  if (typeof value !== "object" || value === null) return false;
  if (!("do" in value && stepNames.has(value.do))) return false;
  const path = "path" in value ? value.path : "made" in value ? value.made : undefined;
  const paths: readonly unknown[] = Array.isArray(path) ? path : [path];
  return paths.every((each) => typeof each === "string" && isPlain(each));
}

/** The kernel refuses what leads out; this refuses what would name another place than it says. */
function isPlain(path: string): boolean {
  if (path === "") return true;
  return path.split("/").every((each) => each !== "" && each !== "." && each !== "..");
}
