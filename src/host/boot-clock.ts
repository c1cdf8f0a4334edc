// The clock of this boot and its name: what two lives of the daemon have in common.
import { readFileSync } from "node:fs";
import { bootId } from "./processes.ts";

const MS = 1_000;

/**
 * `nowMs`: milliseconds since the boot, suspended time included, in steps of 10, never ahead.
 * `id`: another one after each boot.
 */
export function bootClock(): { readonly id: string; nowMs(): number } {
  return {
    id: bootId(),
    nowMs: () => Math.round(Number.parseFloat(readFileSync("/proc/uptime", "latin1")) * MS),
  };
}
