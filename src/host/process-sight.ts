// What one process sees and where it belongs, by the kernel alone: for rights that follow from it.
import { readFileSync, readlinkSync } from "node:fs";
import type { KeptProcess } from "../core/host.ts";
import type { ProcessSight } from "../core/process-watch.ts";
import { parseMountTable } from "./mount-table.ts";
import { containersIn } from "./namespaces.ts";
import { processStart } from "./processes.ts";

/**
 * `Host.sightOf`. Its namespace and its beginning are read before and after all the rest: what was
 * read is one process's, in one namespace.
 */
export function sightOf({ pid, start }: KeptProcess): ProcessSight | undefined {
  try {
    if (processStart(pid) !== start) return undefined;
    const namespace = readlinkSync(`/proc/${pid}/ns/mnt`);
    const controlGroups = readFileSync(`/proc/${pid}/cgroup`, "utf8");
    const mounts = parseMountTable(readFileSync(`/proc/${pid}/mountinfo`, "utf8"));
    const isSame = readlinkSync(`/proc/${pid}/ns/mnt`) === namespace && processStart(pid) === start;
    if (!isSame) return undefined;
    const isOurs = readlinkSync("/proc/self/ns/mnt") === namespace;
    return { namespace, isOurs, container: outermostIn(controlGroups), mounts };
  } catch {
    // It is gone, or may not be looked at: nothing is known of it.
    return undefined;
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
