// `holdfast lock run`: a command that runs while its lock is held, and no longer.
import type { ForegroundCommand, NotStarted } from "../core/foreground.ts";
import { LOCK_LABEL_LENGTH_MAX } from "../core/lock.ts";
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";
import {
  lostExit,
  missingExit,
  notExecutableExit,
  notStartedExit,
  timedOut,
  timedOutExit,
} from "./lock-exits.ts";
import type { HeldLock } from "./lock-keeping.ts";
import { badPlace, type LockPlace, placeOf, placeText } from "./lock-place.ts";
import { refusalIn } from "./lock-stream.ts";
import { takeLock } from "./lock-taking.ts";
import { readSpanMs } from "./lock-times.ts";
import type { Options } from "./options.ts";

/** How long nobody may read that the lock is lost, in milliseconds: then it is not said. */
const TELL_MS_MAX = 1_000;

type Words = readonly [string, ...string[]];

/** Returns the command's own exit code, unless the lock was not had, or was lost. */
export async function runLocked(invocation: Invocation): Promise<number> {
  const { options, positional, parts } = invocation;
  const [name = "", ...words] = positional;
  const place = placeHere(options, name);
  if (!isCommand(words)) throw refused(badPlace("what is to be run is missing"));
  // Before anything is opened: it looks at what was open.
  const foreground = await parts.foreground?.();
  if (foreground === undefined) throw new Error("nothing here can start commands");
  const untilMs = deadlineOf(invocation);
  const held = await take(invocation, { place, words, untilMs });
  const { lock, lost: signal } = held;
  const file = await fileOf(invocation, held, untilMs);
  try {
    const environment = {
      HOLDFAST_LOCK_FENCE: lock.fence,
      HOLDFAST_LOCK_ID: lock.id,
      HOLDFAST_LOCK_NAME: lock.lock,
      HOLDFAST_VOLUME: lock.volume,
    };
    const started = await foreground.start({ words, environment, file: file?.held, signal });
    if (started.outcome === "running") return await follow(invocation, held, started);
    throw notStarted(started, invocation, held);
  } finally {
    await Promise.all([held.release(), file?.end()]);
  }
}

function placeHere(options: Options, name: string): LockPlace {
  try {
    return placeOf(options, name);
  } catch (error) {
    throw refused(error);
  }
}

function isCommand(words: readonly string[]): words is Words {
  return words.length > 0;
}

/** By `performance.now()`; undefined: there is no limit. */
function deadlineOf({ options }: Invocation): number | undefined {
  if (options.flag("nonblock")) return performance.now();
  const wait = options.text("wait");
  const waitMs = wait === undefined ? undefined : readSpanMs(wait);
  return waitMs === undefined ? undefined : performance.now() + waitMs;
}

interface Wanted {
  readonly place: LockPlace;
  readonly words: Words;
  readonly untilMs: number | undefined;
}

async function take(invocation: Invocation, { place, words, untilMs }: Wanted): Promise<HeldLock> {
  const { options, client, terminal } = invocation;
  let end: (() => Promise<void>) | undefined;
  let told = Promise.resolve();
  const queued = (at: number): void => {
    const tell = async (): Promise<void> => {
      const { lockNotice } = (await import("./rarely.ts")).rarely;
      end = await lockNotice(terminal, { target: client.target, place, at });
    };
    // What cannot be said is no reason to fail: the terminal may be gone.
    told = told.then(tell).catch(() => undefined);
  };
  try {
    return await takeLock(client.target, place, {
      mode: options.flag("shared") ? "shared" : "exclusive",
      ttlMs: readSpanMs(options.text("ttl") ?? "") ?? 0,
      untilMs,
      label: options.text("label") ?? labelOf(words),
      queued,
    });
  } catch (error) {
    throw timedOut(error, place, options.text("conflict-exit-code")) ?? refused(error);
  } finally {
    await told;
    await end?.().catch(() => undefined);
  }
}

/** Nothing was started, whatever the reason: the command's own codes are the command's. */
function refused(error: unknown): unknown {
  if (!(error instanceof CliFailure)) return error;
  const { code, recovery, message } = error;
  return new CliFailure(message, notStartedExit, { code, recovery });
}

/** What others see as who has it. */
function labelOf([program]: Words): string {
  const name = program.slice(program.lastIndexOf("/") + 1);
  return name.replace(/[^\x20-\x7e]/g, "?").slice(0, LOCK_LABEL_LENGTH_MAX);
}

async function fileOf(invocation: Invocation, held: HeldLock, untilMs: number | undefined) {
  if (!invocation.options.isGiven("file")) return undefined;
  const { lockedFile } = (await import("./rarely.ts")).rarely;
  try {
    return await lockedFile(invocation, held.lock, untilMs);
  } catch (error) {
    await held.release();
    throw refused(error);
  }
}

function notStarted(
  { outcome, reason }: NotStarted,
  { options }: Invocation,
  { lock, lost }: HeldLock,
): CliFailure {
  const message = `holdfast: ${reason}`;
  switch (outcome) {
    case "missing":
      return new CliFailure(message, missingExit);
    case "not executable":
      return new CliFailure(message, notExecutableExit);
    case "timed out": {
      const exit = Number(options.text("conflict-exit-code") ?? timedOutExit);
      return new CliFailure(message, exit, { code: "lock.timed_out" });
    }
    case "given up": {
      const { code, message: why } = refusalIn(lost);
      const what = `the lock ${placeText(lock)} was lost before anything was started`;
      return new CliFailure(`holdfast: ${what}: ${why}`, lostExit, { code });
    }
    default:
      return new CliFailure(message, notStartedExit);
  }
}

/** The command's end, and what is done to it where the lock is lost before. */
async function follow(
  { options, terminal }: Invocation,
  { lock, lost }: HeldLock,
  command: ForegroundCommand,
): Promise<number> {
  const onLost = options.text("on-lost");
  const killAfterMs = readSpanMs(options.text("kill-after") ?? "") ?? 0;
  let killing: Timer | undefined;
  let told: Promise<void> | undefined;
  const end = (): void => {
    if (onLost === "kill") command.signalAll("SIGKILL");
    else if (onLost === "term") {
      command.signalAll("SIGTERM");
      killing = setTimeout(() => command.signalAll("SIGKILL"), killAfterMs);
    }
    const done: Readonly<Record<string, string>> = {
      term: `SIGTERM to the command, and SIGKILL in ${killAfterMs / 1_000} s`,
      kill: "SIGKILL to the command",
      ignore: "the command goes on without it",
    };
    const what = `the lock ${placeText(lock)} (fence ${lock.fence}) is lost`;
    const text = `holdfast: ${what}: ${refusalIn(lost).message}; ${done[onLost ?? "term"]}\n`;
    told = terminal.errWithin(text, TELL_MS_MAX);
  };
  if (lost.aborted) end();
  else lost.addEventListener("abort", end, { once: true });
  const exit = await command.ended;
  clearTimeout(killing);
  lost.removeEventListener("abort", end);
  await told;
  return lost.aborted && onLost !== "ignore" ? lostExit : exit;
}
