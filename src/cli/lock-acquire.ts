// `holdfast lock acquire`, `renew` and `release`: locks of scripts, over several of their commands.
import { randomBytes } from "node:crypto";
import { LEASE_TTL_MS_MAX } from "../core/lease-service.ts";
import { LOCK_LABEL_LENGTH_MAX } from "../core/lock.ts";
import type { DaemonClient } from "./client.ts";
import type { Invocation } from "./command.ts";
import { CliFailure, DaemonUnreachable } from "./failure.ts";
import { renderRows } from "./format.ts";
import { timedOut } from "./lock-exits.ts";
import { isStopping, patience } from "./lock-patience.ts";
import {
  type GrantedLock,
  leasePath,
  lockPath,
  placeOf,
  readToken,
  tokenOf,
} from "./lock-place.ts";
import { readSpanMs, waitSeconds } from "./lock-times.ts";
import { ask, asOwn, badWords, forEach, tell } from "./own-client.ts";
import { whoseLock } from "./script-shell.ts";
import { rowStruct } from "./template/values.ts";

const ID_BYTES = 16;

/** What a request may last longer than its wait, in milliseconds. */
const MORE_MS = 30_000;

/** Who refuses sooner has not let anybody wait, in milliseconds. */
const WAITED_MS_MIN = 5_000;

/** Prints a word that `release` and `renew` take. */
export async function acquireLock(invocation: Invocation): Promise<number> {
  const { options, positional, client } = invocation;
  const place = placeOf(options, positional[0] ?? "");
  const body = {
    mode: options.flag("shared") ? "shared" : "exclusive",
    label: (options.text("label") ?? "").slice(0, LOCK_LABEL_LENGTH_MAX),
    ...lifeOf(invocation),
  };
  const wait = options.text("wait");
  const waitMs = options.flag("nonblock") ? 0 : wait === undefined ? undefined : readSpanMs(wait);
  const untilMs = waitMs === undefined ? undefined : performance.now() + waitMs;
  try {
    return await handOver(invocation, await granted(client, lockPath(place), body, untilMs));
  } catch (error) {
    throw timedOut(error, place, options.text("conflict-exit-code")) ?? asOwn(error);
  }
}

/**
 * Waits over restarts of the daemon. What was given in an answer that did not arrive is found again
 * by its id, which is ours.
 */
async function granted(
  client: DaemonClient,
  path: string,
  body: object,
  untilMs: number | undefined,
): Promise<GrantedLock> {
  const id = randomBytes(ID_BYTES).toString("hex");
  let patient = patience(untilMs);
  let isGone = false;
  let doubt: DaemonUnreachable | undefined;
  for (;;) {
    const wait = waitSeconds(untilMs, performance.now());
    const silenceMs = wait * 1_000 + MORE_MS;
    const startedMs = performance.now();
    try {
      return await client.json({ method: "POST", path, body: { ...body, id, wait }, silenceMs });
    } catch (error) {
      const isOver = error instanceof CliFailure && error.code === "lock.timed_out";
      // Who let us wait was there: of a wait of hours each absence of the daemon is a new one. One
      // that hangs in its end refuses at once, again and again, and was not.
      const waitedMs = performance.now() - startedMs;
      const wasThere = isOver || (isStopping(error) && waitedMs > WAITED_MS_MIN);
      if (wasThere) [patient, doubt] = [patience(untilMs), undefined];
      if (isOver && untilMs === undefined) continue;
      const isAway = error instanceof DaemonUnreachable;
      if (isAway && error.wasReached && doubt === undefined) {
        doubt = error;
        // Whether there is a lock is found out also when the wait for it is over.
        patient = patience(undefined);
      }
      isGone = isStopping(error) || (isAway && (isGone || error.wasReached));
      if (!isGone || !(await patient.goesOn())) throw isAway ? (doubt ?? error) : error;
    }
  }
}

/** A lock whose word was not printed has nobody who could release it. */
async function handOver(invocation: Invocation, lock: GrantedLock): Promise<number> {
  try {
    return await print(invocation, lock);
  } catch (error) {
    const path = leasePath(lock, lock.id);
    await tell(invocation.client, { method: "DELETE", path }).catch(() => undefined);
    throw error;
  }
}

/** The process that it hangs on, and how long it lives without being renewed. */
function lifeOf({ options }: Invocation): object {
  const ttl = options.text("ttl");
  const ttlMs = ttl === undefined ? undefined : readSpanMs(ttl);
  if (options.flag("no-process")) {
    if (options.isGiven("pid")) throw badWords("either --pid or --no-process is needed");
    if (ttlMs === undefined) {
      throw badWords("a lock without a process needs --ttl: only its time would ever end it");
    }
    return { bond: "none", ttl: ttlMs / 1_000 };
  }
  const pid = options.isGiven("pid") ? Number(options.text("pid")) : whoseLock(process.ppid);
  if (!Number.isSafeInteger(pid) || pid < 1) throw badWords("--pid takes the number of a process");
  return { bond: "process", pid, ttl: (ttlMs ?? LEASE_TTL_MS_MAX) / 1_000 };
}

async function print({ options, terminal }: Invocation, lock: GrantedLock): Promise<number> {
  const token = tokenOf(lock);
  const format = options.text("format") ?? "";
  if (options.flag("json")) await terminal.out(`${JSON.stringify({ ...lock, token })}\n`);
  else if (format === "") await terminal.out(`${token}\n`);
  else await terminal.out(renderRows([grantedRow(lock, token)], { format, headers: {} }));
  return 0;
}

function grantedRow(lock: GrantedLock, token: string) {
  return rowStruct("*formatter.lockContext", {
    Expires: lock.expires ?? "",
    Fence: lock.fence,
    ID: lock.id,
    Lock: lock.lock,
    Mode: lock.mode,
    Since: lock.since,
    Token: token,
    Volume: lock.volume,
  });
}

export async function releaseLocks({ positional, client }: Invocation): Promise<number> {
  await forEach(positional, async (word) => {
    const { id, ...place } = readToken(word);
    await tell(client, { method: "DELETE", path: leasePath(place, id) });
  });
  return 0;
}

/** Prints until when it lives now, with --json all of it. */
export async function renewLock({ options, positional, client, terminal }: Invocation) {
  const { id, ...place } = readToken(positional[0] ?? "");
  const ttl = options.text("ttl");
  const ttlMs = ttl === undefined ? undefined : readSpanMs(ttl);
  const body = ttlMs === undefined ? {} : { ttl: ttlMs / 1_000 };
  const path = leasePath(place, id);
  const lock = await ask<GrantedLock>(client, { method: "PUT", path, body });
  await terminal.out(
    `${options.flag("json") ? JSON.stringify(lock) : (lock.expires ?? "never")}\n`,
  );
  return 0;
}
