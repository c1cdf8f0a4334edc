// How many descriptors this process may have open.
import { readFileSync } from "node:fs";

/** The kernel's limit as of now; Infinity: there is none. */
export function descriptorCountMax(): number {
  const limits = readFileSync("/proc/self/limits", "latin1");
  const [, text] = /^Max open files\s+(\w+)/m.exec(limits) ?? [];
  const count = Number(text);
  return Number.isNaN(count) ? Infinity : count;
}
