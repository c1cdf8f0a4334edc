// One daemon per data root: an exclusive lock that the kernel drops with its holder.
import { closeSync, constants, fchmodSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { EngineError, isErrno, storageError } from "../core/errors.ts";
import { lockExclusively } from "./libc.ts";

/** Held until released; the kernel releases it when the process ends, however it ends. */
export interface RootLock {
  readonly root: string;
  /** Releasing twice is allowed. */
  release(): void;
}

const LOCK_FILE_MODE = 0o600;

/** A pid as text, padded: the file never changes its size, so a full disk does not matter. */
const PID_TEXT_BYTES = 12;

/**
 * A program that a killed daemon was just starting has the lock until its exec (up to 10 ms were
 * seen), so the first refusal is not believed.
 */
const LOCK_PATIENCE_MS = 250;
const LOCK_RETRY_MS = 5;

/**
 * Locks `<root>/lock`, which also holds our pid for people. Throws `state.locked` with
 * the other daemon's pid; `host.denied`, `storage.read_only`, `storage.full` or `storage.failed`
 * when the file cannot be made. The file stays behind: removing it would let two daemons in.
 * The descriptor is close-on-exec: helper processes do not keep the lock.
 */
export function lockRoot(root: string): RootLock {
  const path = join(root, "lock");
  let descriptor: number | undefined = openLockFile(path, root);
  try {
    lockPatiently(descriptor);
  } catch (thrown) {
    const holder = readPid(descriptor);
    closeSync(descriptor);
    if (!isErrno(thrown, "EWOULDBLOCK")) throw storageError(thrown, `locking the root ${root}`);
    throw new EngineError(
      "state.locked",
      `the root ${root} is in use by another daemon (pid ${holder ?? "unknown"})`,
      { details: { root, pid: holder }, cause: thrown },
    );
  }
  writePid(descriptor);
  return {
    root,
    release() {
      if (descriptor !== undefined) closeSync(descriptor);
      descriptor = undefined;
    },
  };
}

function lockPatiently(descriptor: number): void {
  const deadlineMs = performance.now() + LOCK_PATIENCE_MS;
  for (;;) {
    try {
      lockExclusively(descriptor);
      return;
    } catch (thrown) {
      if (!isErrno(thrown, "EWOULDBLOCK") || performance.now() > deadlineMs) throw thrown;
      Bun.sleepSync(LOCK_RETRY_MS);
    }
  }
}

function openLockFile(path: string, root: string): number {
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;
  try {
    return openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW, LOCK_FILE_MODE);
  } catch (thrown) {
    throw storageError(thrown, `locking the root ${root}`);
  }
}

/** The lock counts, not the text: a disk that does not take the pid does not stop the daemon. */
function writePid(descriptor: number): void {
  try {
    fchmodSync(descriptor, LOCK_FILE_MODE);
    writeSync(descriptor, `${process.pid}\n`.padEnd(PID_TEXT_BYTES), 0);
  } catch {
    // Then the next daemon's message says "unknown", or an old pid.
  }
}

function readPid(descriptor: number): number | undefined {
  const text = Buffer.alloc(PID_TEXT_BYTES);
  const count = readSync(descriptor, text, 0, text.length, 0);
  const pid = Number.parseInt(text.toString("latin1", 0, count), 10);
  return Number.isNaN(pid) ? undefined : pid;
}
