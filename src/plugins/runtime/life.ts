// What runs of a plugin, written down for the daemon that comes after this one.
import fs from "node:fs";
import type { Host } from "../../core/host.ts";
import type { RunPlaces } from "./run-places.ts";

/** One life of a plugin's process. The starts say which processes are meant: numbers come back. */
export interface Life {
  readonly pid: number;
  readonly start: string;
  readonly monitorPid: number;
  readonly monitorStart: string;
  /** Milliseconds since the epoch. */
  readonly startedAtMs: number;
  readonly rootfs: string;
}

/** For `RunState.life`. */
export function nameOfLife({ pid, start }: Life): string {
  return `${pid} ${start}`;
}

/** In one piece: half of it would name no process. Throws the system's error. */
export function writeLife({ lifeFile }: RunPlaces, life: Life): void {
  const beside = `${lifeFile}.new`;
  fs.writeFileSync(beside, JSON.stringify(life));
  fs.renameSync(beside, lifeFile);
}

/** undefined: nothing was started, or not to its end. */
export function readLife({ lifeFile }: RunPlaces): Life | undefined {
  try {
    // Written above, in one piece.
    return JSON.parse(fs.readFileSync(lifeFile, "utf8")) as Life;
  } catch {
    return undefined;
  }
}

/**
 * For whoever ends it and has no request: the host's directory of its propagated mount. Throws the
 * system's error.
 */
export function writePropagated(places: RunPlaces, propagated: string | null): void {
  fs.writeFileSync(places.propagatedFile, JSON.stringify(propagated));
}

/** null: it has none, or nothing is known. */
export function readPropagated(places: RunPlaces): string | null {
  try {
    const value: unknown = JSON.parse(fs.readFileSync(places.propagatedFile, "utf8"));
    return typeof value === "string" ? value : null;
  } catch {
    return null;
  }
}

/** Whether the plugin's process lives. */
export function isAlive(host: Pick<Host, "processStart">, { pid, start }: Life): boolean {
  return host.processStart(pid) === start;
}

/** Whether somebody keeps its log and will know its exit status. */
export function isMonitored(host: Pick<Host, "processStart">, life: Life): boolean {
  return host.processStart(life.monitorPid) === life.monitorStart;
}

/** How its process ended; "" when nobody knows. */
export function howItEnded({ exitFile }: RunPlaces): string {
  let status: number;
  try {
    status = Number.parseInt(fs.readFileSync(exitFile, "utf8"), 10);
  } catch {
    return "";
  }
  if (Number.isNaN(status)) return "";
  return status > 128 ? `signal ${status - 128}` : `exit status ${status}`;
}
