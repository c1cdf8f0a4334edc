// Locks as everybody may see them: who has which, in words for people.
import type { DaemonClient } from "./client.ts";
import { DaemonRefusal } from "./failure.ts";
import { shortDuration } from "./human.ts";
import { type LockPlace, placeText } from "./lock-place.ts";
import { ask, ownPath } from "./own-client.ts";

interface LockOwner {
  readonly pid: number;
  readonly program: string;
  readonly label: string;
  readonly container: string | null;
  /** Of the container. */
  readonly name?: string | null;
}

/** src/api/holdfast/lock-contract.ts */
export interface SeenLock extends LockPlace {
  readonly mode: "shared" | "exclusive";
  readonly fence: string;
  readonly holder: LockOwner;
  readonly since: string;
  readonly expires: string | null;
  /** How many wait for it. */
  readonly waiting: number;
}

/** How many characters of an id are shown, as Docker's CLI does it. */
const SHORT_ID_CHARACTERS = 12;

/** Of one volume or of all. */
export async function readLocks(
  client: DaemonClient,
  volume: string | undefined,
): Promise<readonly SeenLock[]> {
  const path = ownPath(volume === undefined ? ["locks"] : ["volumes", volume, "locks"]);
  return (await ask<{ readonly locks: readonly SeenLock[] }>(client, { method: "GET", path }))
    .locks;
}

/** What completion offers; nothing where the daemon is not ours. */
export async function lockNames(client: DaemonClient): Promise<readonly string[]> {
  try {
    return [...new Set((await readLocks(client, undefined)).map(placeText))];
  } catch (error) {
    if (error instanceof DaemonRefusal) return [];
    throw error;
  }
}

/** `web-1: publish.sh (4711)`. What it calls itself says more than what it runs. */
export function ownerText({ pid, program, label, container, name }: LockOwner): string {
  const where = name ?? container?.slice(0, SHORT_ID_CHARACTERS);
  const what = label === "" ? program : label;
  const number = pid === 0 ? "" : `(${pid})`;
  const who = [what, number].filter(Boolean).join(" ");
  if (where === undefined) return who === "" ? "-" : who;
  return who === "" ? where : `${where}: ${who}`;
}

/** `12s` */
export function sinceText({ since }: SeenLock, nowMs: number): string {
  return shortDuration(nowMs - Date.parse(since));
}

/** `in 18s` */
export function expiresText({ expires }: SeenLock, nowMs: number): string {
  return expires === null ? "never" : `in ${shortDuration(Date.parse(expires) - nowMs)}`;
}
