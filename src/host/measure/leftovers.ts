// The directory that a measurement works in: made, removed, and found again after a kill.
import { createHash } from "node:crypto";
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";

/** This host's part of the name, then a random one. */
const namePattern = /^\.holdfast-doctor-([0-9a-f]{8})[0-9a-f]{8}$/;

/** In each of them: a directory without it, that is not empty either, is somebody else's. */
const MARK = "holdfast-doctor";

/** Another host may be measuring the same storage now; it does not take that long. */
const OTHERS_MS_MIN = 60 * 60 * 1000;

/** What tells this host's directories from those of others, on storage that several have. */
export function hostMark(): string {
  let machine = "";
  try {
    machine = readFileSync("/etc/machine-id", "latin1");
  } catch {
    // A container may have none: its name has to do.
  }
  return createHash("sha256").update(`${machine} ${hostname()}`).digest("hex").slice(0, 8);
}

/** Makes the directory below `volume` and returns its name. Throws what the storage says. */
export function makeDirectory(volume: string, mark: string, random: string): string {
  const name = `.holdfast-doctor-${mark}${random}`;
  mkdirSync(join(volume, name), { mode: 0o700 });
  writeFileSync(join(volume, name, MARK), "");
  return name;
}

/**
 * Removes what earlier runs left: of this host all, of others what is too old to be in use. Never
 * follows a link. Returns how many could not be removed.
 */
export function removeLeftovers(volume: string, mark: string, nowMs: number): number {
  let failures = 0;
  for (const name of readdirSync(volume)) {
    const whose = namePattern.exec(name)?.[1];
    if (whose === undefined) continue;
    const path = join(volume, name);
    try {
      const isOld = nowMs - statSync(path).mtimeMs > OTHERS_MS_MIN;
      if ((whose === mark || isOld) && isMarked(path)) removeMarked(path);
    } catch {
      failures++;
    }
  }
  return failures;
}

/** The mark goes last: what cannot be removed now is known to the next run. */
function removeMarked(path: string): void {
  const failures: unknown[] = [];
  for (const name of readdirSync(path)) {
    if (name === MARK) continue;
    try {
      rmSync(join(path, name), { recursive: true });
    } catch (thrown) {
      failures.push(thrown);
    }
  }
  if (failures.length > 0) throw failures[0];
  rmSync(path, { recursive: true });
}

function isMarked(path: string): boolean {
  if (!lstatSync(path).isDirectory()) return false;
  const names = readdirSync(path);
  return names.length === 0 || names.includes(MARK);
}
