// What one process sees and where it belongs, by the kernel alone: for rights that follow from it.
import { closeSync, openSync, readFileSync, readlinkSync, readSync } from "node:fs";
import type { KeptProcess } from "../core/host.ts";
import type { ProcessSight } from "../core/process-watch.ts";
import { parseMountTable } from "./mount-table.ts";
import { containersIn } from "./namespaces.ts";
import { processStart } from "./processes.ts";

/** Some 2,000 mounts. A container that may mount can have 100,000, and ask a thousand times. */
const MOUNT_INFO_BYTES_MAX = 256 * 1024;

/**
 * `Host.sightOf`. Its namespace and its beginning are read before and after all the rest: what was
 * read is one process's, in one namespace.
 */
export function sightOf({ pid, start }: KeptProcess): ProcessSight | undefined {
  try {
    if (processStart(pid) !== start) return undefined;
    const namespace = readlinkSync(`/proc/${pid}/ns/mnt`);
    const controlGroups = readFileSync(`/proc/${pid}/cgroup`, "utf8");
    const mounts = parseMountTable(mountInfoOf(pid));
    const isSame = readlinkSync(`/proc/${pid}/ns/mnt`) === namespace && processStart(pid) === start;
    if (!isSame) return undefined;
    const isOurs = readlinkSync("/proc/self/ns/mnt") === namespace;
    return { namespace, isOurs, container: outermostIn(controlGroups), mounts };
  } catch {
    // It is gone, or may not be looked at: nothing is known of it.
    return undefined;
  }
}

/** Throws where there is more than anybody needs. */
function mountInfoOf(pid: number): string {
  const descriptor = openSync(`/proc/${pid}/mountinfo`, "r");
  try {
    const bytes = Buffer.allocUnsafe(MOUNT_INFO_BYTES_MAX);
    let length = 0;
    for (;;) {
      const count = readSync(descriptor, bytes, length, bytes.length - length, null);
      if (count === 0) break;
      length += count;
      if (length === bytes.length) throw new Error(`process ${pid} has too many mounts`);
    }
    return bytes.toString("utf8", 0, length);
  } finally {
    closeSync(descriptor);
  }
}

/** `Host.containerOf`: of a process that is gone there is none. */
export function outermostContainerOf(pid: number): string | null {
  try {
    return outermostIn(readFileSync(`/proc/${pid}/cgroup`, "utf8"));
  } catch {
    return null;
  }
}

/** A daemon in a container is in the same outer ones as what it serves: these name nobody. */
function outermostIn(controlGroups: string): string | null {
  const own = new Set(containersIn(readFileSync("/proc/self/cgroup", "utf8")));
  return containersIn(controlGroups).find((id) => !own.has(id)) ?? null;
}
