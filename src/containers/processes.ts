// What /proc says about a process: which program it is, how it was started, where it listens.
//
// Each answers undefined (or an empty list) for a process that is gone or may not be looked at.
// Nothing here waits: /proc is memory of the kernel.
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { basename } from "node:path";

/** An upgrade replaces the file of a program that runs: the kernel says so behind its path. */
const replaced = / \(deleted\)$/;

/** /proc/net/unix marks sockets that take connections with this (__SO_ACCEPTCON). */
const LISTENS = "00010000";

/** Lines of /proc/net/unix: `Num RefCount Protocol Flags Type St Inode Path`. */
const socketLine = /^\S+ \S+ \S+ (\S+) \S+ \S+ +(\d+) (.+)$/;

/** In /proc/PID/stat, counted behind the program's name, which may hold anything. */
const START_TIME_FIELD = 19;

/** The pids of all processes that this process's PID namespace has. */
export function allProcesses(): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** The file name of the program, `dockerd`; its 15-character nickname where that is hidden. */
export function programOf(pid: number): string | undefined {
  const path = quietly(() => readlinkSync(`/proc/${pid}/exe`));
  if (path !== undefined) return basename(path.replace(replaced, ""));
  return text(pid, "comm")?.trim();
}

/** When it was started, in ticks since boot: together with the pid nobody else's. */
export function startOf(pid: number): string | undefined {
  const stat = text(pid, "stat");
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[START_TIME_FIELD];
}

/** Its arguments, the program's own name first. */
export function argumentsOf(pid: number): readonly string[] | undefined {
  return text(pid, "cmdline")?.split("\0").slice(0, -1);
}

/** One variable of the environment that it was started with. */
export function variableOf(pid: number, name: string): string | undefined {
  const start = `${name}=`;
  const found = text(pid, "environ")
    ?.split("\0")
    .find((line) => line.startsWith(start));
  return found?.slice(start.length);
}

/** A path of ours that leads to what the process has at `path`. */
export function pathThrough(pid: number, path: string): string {
  return `/proc/${pid}/root${path}`;
}

/** `device:inode` of what is at a path; undefined when nothing is, or it cannot be reached. */
export function identityOf(path: string): string | undefined {
  const stat = quietly(() => statSync(path, { bigint: true }));
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`;
}

/** `device:inode` of the directory that the process has as `/`. */
export function rootOf(pid: number): string | undefined {
  return identityOf(pathThrough(pid, "/"));
}

/**
 * The paths on which it takes connections, as it named them when it bound them (or as systemd
 * did). O(its descriptors + the sockets of its network namespace).
 */
export function listeningPaths(pid: number): readonly string[] {
  const inodes = socketsOf(pid);
  if (inodes.size === 0) return [];
  return (text(pid, "net/unix") ?? "").split("\n").flatMap((line) => {
    const [, flags, inode, path] = socketLine.exec(line) ?? [];
    const isOurs = flags === LISTENS && inode !== undefined && inodes.has(inode);
    return isOurs && path !== undefined ? [path] : [];
  });
}

function socketsOf(pid: number): ReadonlySet<string> {
  const descriptors = quietly(() => readdirSync(`/proc/${pid}/fd`)) ?? [];
  return new Set(
    descriptors.flatMap((descriptor) => {
      const target = quietly(() => readlinkSync(`/proc/${pid}/fd/${descriptor}`));
      const inode = /^socket:\[(\d+)\]$/.exec(target ?? "")?.[1];
      return inode === undefined ? [] : [inode];
    }),
  );
}

function text(pid: number, file: string): string | undefined {
  return quietly(() => readFileSync(`/proc/${pid}/${file}`, "utf8"));
}

/** Processes end while they are looked at, and some are hidden: neither is a failure here. */
function quietly<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
