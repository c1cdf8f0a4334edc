// What the second process of a measurement does: one small thing after another, when it is told.
//
// The measuring process does the same things itself through these functions.
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { errnoOf } from "../../core/errors.ts";
import type { LockKind, StorageCalls } from "../libc-storage.ts";

/** All paths are absolute, as this process sees them. */
export type PeerRequest =
  | { readonly do: "try-lock"; readonly path: string; readonly kind: LockKind }
  | { readonly do: "read"; readonly path: string }
  | { readonly do: "create"; readonly paths: readonly string[]; readonly atMs: number }
  | { readonly do: "append"; readonly job: AppendJob }
  | { readonly do: "read-often"; readonly path: string; readonly untilMs: number }
  | { readonly do: "map"; readonly path: string; readonly bytes: number }
  | { readonly do: "peek"; readonly at: number }
  | { readonly do: "poke"; readonly at: number; readonly value: number };

export interface AppendJob {
  readonly path: string;
  /** One letter, which its lines are made of. */
  readonly letter: string;
  readonly count: number;
  /** When to begin, in milliseconds since the epoch: both writers are to write at once. */
  readonly atMs: number;
}

/** How often a file was read, and how often it was not there or not whole. */
export interface ReadOften {
  readonly count: number;
  readonly missing: number;
  readonly torn: number;
}

/** Does a request and returns its answer. Throws what the storage says. */
export type PeerWork = (request: PeerRequest) => unknown;

/** What an appended line is made of, with its end. */
export const APPEND_LINE_BYTES = 64;

export function makePeerWork(calls: StorageCalls): PeerWork {
  let mapped: Uint8Array | undefined;
  return (request) => {
    switch (request.do) {
      case "try-lock":
        return tryLock(calls, request.path, request.kind);
      case "read":
        return existsSync(request.path) ? readFileSync(request.path, "latin1") : null;
      case "create":
        return createAll(request.paths, request.atMs);
      case "append":
        return appendLines(request.job);
      case "read-often":
        return readOften(request.path, request.untilMs);
      case "map":
        mapped = Bun.mmap(request.path, { shared: true, size: request.bytes });
        return mapped.length;
      case "peek":
        return mapped?.[request.at] ?? null;
      case "poke":
        mapped?.fill(request.value, request.at, request.at + 1);
        return null;
    }
  };
}

/** Whether the lock was free. It is given back at once. */
function tryLock(calls: StorageCalls, path: string, kind: LockKind): boolean {
  const descriptor = openSync(path, "r+");
  try {
    const isFree = calls.lock(descriptor, kind);
    if (isFree) calls.unlock(descriptor, kind);
    return isFree;
  } finally {
    closeSync(descriptor);
  }
}

/** How many of the files this process was the one to create. */
export function createAll(paths: readonly string[], atMs: number): number {
  spinUntil(atMs);
  let count = 0;
  for (const path of paths) {
    try {
      writeFileSync(path, "", { flag: "wx", mode: 0o600 });
      count++;
    } catch (thrown) {
      if (errnoOf(thrown) !== "EEXIST") throw thrown;
    }
  }
  return count;
}

/** Each line is one write. Returns how many were written. */
export function appendLines({ path, letter, count, atMs }: AppendJob): number {
  const { O_WRONLY, O_APPEND } = constants;
  const descriptor = openSync(path, O_WRONLY | O_APPEND);
  const line = Buffer.from(`${letter.repeat(APPEND_LINE_BYTES - 1)}\n`);
  try {
    spinUntil(atMs);
    for (let index = 0; index < count; index++) writeSync(descriptor, line);
    return count;
  } finally {
    closeSync(descriptor);
  }
}

/** The file is whole when all its bytes are the same. */
function readOften(path: string, untilMs: number): ReadOften {
  let [count, missing, torn] = [0, 0, 0];
  while (Date.now() < untilMs) {
    count++;
    try {
      const text = readFileSync(path, "latin1");
      const isWhole = text.length > 0 && text === text.charAt(0).repeat(text.length);
      if (!isWhole) torn++;
    } catch (thrown) {
      if (errnoOf(thrown) !== "ENOENT") throw thrown;
      missing++;
    }
  }
  return { count, missing, torn };
}

/** Two processes are to begin at the same moment: sleeping is not exact enough. */
function spinUntil(atMs: number): void {
  while (Date.now() < atMs);
}
