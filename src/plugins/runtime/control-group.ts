// The control group of a plugin: whoever is in it is of the plugin, whatever has lost track of it.
import { existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { isErrno } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import { isAtOrBelow } from "../../core/mount-of.ts";

/** Where runc, systemd and everybody else has them. */
const HIERARCHIES = "/sys/fs/cgroup";
const LOOK_AGAIN_MS = 10;
/** A process that the kernel does not let die is left. */
const PATIENCE_MS = 5_000;

/**
 * Kills what is in it, and removes it in every hierarchy, with groups below that the plugin made.
 * False: something is left, which the kernel does not let go. Costs next to nothing where there is
 * none.
 */
export async function endControlGroup(
  host: Pick<Host, "mounts" | "monotonicMs">,
  cgroupPath: string,
): Promise<boolean> {
  const untilMs = host.monotonicMs() + PATIENCE_MS;
  for (;;) {
    const folders = foldersOf(host, cgroupPath);
    if (folders.length === 0) return true;
    for (const pid of folders.flatMap(processesIn)) kill(pid);
    for (const folder of folders) removeEmpty(folder);
    if (host.monotonicMs() > untilMs) return foldersOf(host, cgroupPath).length === 0;
    if (foldersOf(host, cgroupPath).length > 0) await pause(LOOK_AGAIN_MS);
  }
}

/**
 * Those that are there, the deepest first. Hierarchies that lie elsewhere are not believed: plugins
 * can mount some, and on them what names processes that are not theirs.
 */
function foldersOf({ mounts }: Pick<Host, "mounts">, cgroupPath: string): readonly string[] {
  return mounts()
    .filter(({ fileSystem, root }) => fileSystem.startsWith("cgroup") && root === "/")
    .filter(({ target }) => isAtOrBelow(target, HIERARCHIES))
    .map(({ target }) => join(target, cgroupPath))
    .filter((folder) => existsSync(folder))
    .flatMap(withThoseBelow);
}

function withThoseBelow(folder: string): readonly string[] {
  const below = listOf(() => readdirSync(folder, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => withThoseBelow(join(folder, entry.name)));
  return [...below, folder];
}

function processesIn(folder: string): readonly number[] {
  const lines = listOf(() => readFileSync(join(folder, "cgroup.procs"), "utf8").split("\n"));
  // 0 is a process of another namespace of processes, which cannot be named here.
  return lines.map(Number).filter((pid) => pid > 1);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended in this moment.
  }
}

function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    const isExpected = ["EBUSY", "ENOTEMPTY", "ENOENT"].some((code) => isErrno(error, code));
    if (!isExpected) throw error;
  }
}

function listOf<T>(read: () => readonly T[]): readonly T[] {
  try {
    return read();
  } catch {
    // It went in this moment.
    return [];
  }
}
