// Processes by more than their number: when they began.
import { readdirSync, readFileSync } from "node:fs";

/** Fields of /proc/PID/stat (proc(5)), counted after the name, which may hold anything. */
const STATE = 0;
const START_TIME = 19;

/** See core/host.ts. */
export function processStart(pid: number): string | undefined {
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const state = fields[STATE] ?? "";
    if (state === "X" || (state === "Z" && !hasOtherThreads(pid))) return undefined;
    return `${bootId()} ${fields[START_TIME]}`;
  } catch {
    return undefined;
  }
}

/** The first thread of a process may end before the others: until then it is a zombie. */
function hasOtherThreads(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).length > 1;
}

let knownBootId: string | undefined;

/** Another one after each boot. Throws where the kernel does not show it. */
export function bootId(): string {
  knownBootId ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return knownBootId;
}
