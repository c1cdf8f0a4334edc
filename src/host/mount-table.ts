// Reads the kernel's mount table (proc_pid_mountinfo(5)).
import { readFileSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { MountInfo } from "../core/host.ts";

let lastRead: { readonly text: string; readonly mounts: readonly MountInfo[] } | undefined;

/**
 * Reading it takes no locks of file systems: it never blocks on storage. It is read anew at every
 * call, and parsed anew when it has changed: every removal of a volume looks at it.
 */
export function readMountTable(): readonly MountInfo[] {
  const text = readFileSync("/proc/self/mountinfo", "utf8");
  if (lastRead?.text !== text) lastRead = { text, mounts: parseMountTable(text) };
  return lastRead.mounts;
}

/** Lines that are not understood are left out: a newer kernel may add fields, never drop them. */
export function parseMountTable(text: string): readonly MountInfo[] {
  const mounts: MountInfo[] = [];
  for (const line of text.split("\n")) {
    const mount = parseLine(line);
    if (mount !== undefined) mounts.push(mount);
  }
  return mounts;
}

/**
 * What a path lookup of `target` finds, where several are mounted on each other. The order of the
 * lines does not tell: the topmost is the one that no other is mounted on at the same place.
 */
export function topmostAt(mounts: readonly MountInfo[], target: string): MountInfo | undefined {
  const here = mounts.filter((mount) => mount.target === target);
  const below = new Set(here.map((mount) => mount.parentId));
  return here.find((mount) => !below.has(mount.mountId)) ?? here.at(-1);
}

/**
 * The path as the mount table has it. Never asks the file system that is mounted there: only the
 * folder above it is resolved.
 */
export function trueTarget(target: string): string {
  try {
    return join(realpathSync(dirname(target)), basename(target));
  } catch {
    return target;
  }
}

function parseLine(line: string): MountInfo | undefined {
  // The separator stands after any number of optional fields. An escaped path has no spaces.
  const separator = line.indexOf(" - ");
  if (separator < 0) return undefined;
  const [mountId, parentId, device, root, target, options, ...propagation] = line
    .slice(0, separator)
    .split(" ");
  const [fileSystem, source, superOptions] = line.slice(separator + 3).split(" ");
  if (!mountId || !parentId || !device || !root || !target || !options || !fileSystem) {
    return undefined;
  }
  return {
    mountId: Number(mountId),
    parentId: Number(parentId),
    device,
    root: unescapeOctal(root),
    target: unescapeOctal(target),
    options: options.split(","),
    propagation,
    fileSystem: unescapeOctal(fileSystem),
    // An empty source is printed as nothing by some file systems, as "none" by others.
    source: unescapeOctal(source ?? ""),
    superOptions: (superOptions ?? "").split(",").map(unescapeOctal),
  };
}

/** A path as the table's lines have it. */
export function escapeOctal(path: string): string {
  return path.replace(/[ \t\n\\]/g, (one) => `\\${one.charCodeAt(0).toString(8).padStart(3, "0")}`);
}

/** The kernel writes space, tab, newline, backslash and a source's `#` as three octal digits. */
export function unescapeOctal(text: string): string {
  if (!text.includes("\\")) return text;
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
