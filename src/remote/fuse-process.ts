// One FUSE tool (sshfs, rclone) that serves one mount: its start, its end, and what is left of it.
//
// The process outlives the daemon; what is known of it is in the mount's run directory, and every
// call reads it from there, so that the next life of the daemon goes on where the last one ended:
//
//   <runDirectory>/process.json   its pid and when it began
//   <runDirectory>/fuse.log       what it printed, the end of which explains a failure
//
// A kind's `mount` calls `startFuse`, its `unmount` `stopFuse`, and its `look` begins with
// `lookFuse`.
import fs from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { EngineError, isErrno, storageError } from "../core/errors.ts";
import type { Host, KeptProcess, MountInfo } from "../core/host.ts";
import { type Operation, unfired } from "../core/operation.ts";
import { placeOfMount } from "../core/peer-mount.ts";
import { printable } from "../core/printable.ts";
import type { FuseLogs } from "./fuse-logs.ts";
import type { Look } from "./kind.ts";
import { writeWhole } from "./whole-files.ts";

const NOTE = "process.json";
const LOG = "fuse.log";

/** How often the mount table and the process are looked at, in milliseconds. */
const LOOK_AGAIN_MS = 10;

/** How long a process may take to end once it is unmounted, in milliseconds. */
const END_MS_MAX = 5_000;
/** After so long it is asked whether copies of the mount in other namespaces keep it. */
const COPIES_MS = 200;
/** The same after SIGTERM, and after SIGKILL: what the kernel holds is left behind. */
const SIGNALLED_MS_MAX = 2_000;

/** So many bytes of its end are read for a message, and so many lines of them are shown. */
const WORDS_BYTES_MAX = 8 * 1024;
const WORDS_LINES_MAX = 20;

/** Shorter values would blank half of a message. */
const SECRET_CHARACTERS_MIN = 4;

/** What a kind starts its tools with, and keeps. */
export interface FuseParts {
  readonly host: Host;
  readonly logs: FuseLogs;
}

/** Where it is mounted, and where the notes of it are: of a `RemoteMount`. */
export interface FusePlace {
  readonly target: string;
  readonly runDirectory: string;
}

interface Begun {
  readonly start: FuseStart;
  readonly kept: KeptProcess;
  /** Mounts that were there before. */
  readonly before: readonly number[];
}

export interface FuseStart extends FusePlace {
  /** `sshfs`; found as all programs are. */
  readonly program: string;
  /** In the foreground, at `target`: the words that say so are the caller's. */
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** For its standard input. May be a secret. */
  readonly input?: Uint8Array | undefined;
  /** Values that are masked wherever the tool repeats them. */
  readonly secrets: readonly string[];
  /** What a failure is called, from the tool's own last lines. */
  explain(words: string): EngineError;
  /** Whether what is mounted answers; missing: `Host.askStorage` of the target. */
  answers?(operation: Operation): Promise<unknown>;
}

/**
 * Starts the tool and waits until the mount is in the table and answers. When it throws (what
 * `explain` makes, `host.program_missing`, `storage.*`, the signal's reason), nothing is mounted,
 * no process is there, and the log and the note are gone.
 */
export async function startFuse(
  parts: FuseParts,
  start: FuseStart,
  operation: Operation,
): Promise<void> {
  const { host, logs } = parts;
  const { target, runDirectory, program, args, environment, input } = start;
  operation.signal.throwIfAborted();
  // One of an earlier life that has not mounted by now is not to do it later; and its words would
  // explain this one.
  const earlier = readNote(start);
  if (earlier !== undefined) await endFuse(host, earlier);
  forget(logs, start);
  const before = mountsAt(host, target).map(({ mountId }) => mountId);
  const log = `${runDirectory}/${LOG}`;
  const kept = host.startKept({ program, args, environment, input, log });
  logs.bound(log);
  try {
    writeNote(start, kept);
    await untilAnswers(host, { start, kept, before }, operation);
  } catch (thrown) {
    const words = lastWords(start);
    // The note may be what failed.
    host.signalKept(kept, "SIGKILL");
    await stopFuse(parts, start, { isLost: true }, unfired(operation));
    if (operation.signal.aborted) throw operation.signal.reason;
    // The tool knows better than the storage that it serves.
    throw isOfStorage(thrown) && words !== "" ? start.explain(words) : thrown;
  }
}

function isOfStorage(thrown: unknown): boolean {
  return thrown instanceof EngineError && thrown.code === "storage.failed";
}

/** Resolves when it is mounted and answers; throws when the process ends before. */
async function untilAnswers(host: Host, begun: Begun, operation: Operation): Promise<void> {
  const { start, kept, before } = begun;
  const isMounted = () =>
    mountsAt(host, start.target).some(({ mountId }) => !before.includes(mountId));
  let hasAnswered = false;
  for (;;) {
    if (host.processStart(kept.pid) !== kept.start) {
      throw start.explain(lastWords(start) || `${start.program} ended without a word`);
    }
    if (isMounted()) {
      // sshfs mounts before it connects, and unmounts when it cannot: an answer may have been that
      // of the directory below.
      if (hasAnswered) return;
      await (start.answers?.(operation) ?? host.askStorage(start.target, operation));
      hasAnswered = true;
    } else {
      hasAnswered = false;
      await pause(LOOK_AGAIN_MS, undefined, { signal: operation.signal });
    }
  }
}

/**
 * Unmounts and sees the process to its end, which is asked for by SIGTERM and SIGKILL when it does
 * not come by itself. With `isLost` the kernel fails what waits for it, and nothing is waited for
 * longer than a moment. Succeeds when nothing is there. Throws `volume.unmount_failed` while
 * somebody uses the mount: then all is as before.
 */
export async function stopFuse(
  { host, logs }: FuseParts,
  place: FusePlace,
  { isLost }: { readonly isLost: boolean },
  operation: Operation,
): Promise<void> {
  const kept = readNote(place);
  const places = mountsAt(host, place.target).filter(isFuse).map(placeOfMount);
  if (isLost) {
    for (const { device } of mountsAt(host, place.target).filter(isFuse)) host.abortFuse(device);
    await host.detach(place.target, operation);
  } else {
    while (mountsAt(host, place.target).length > 0) await host.unmount(place.target, operation);
  }
  if (kept !== undefined) {
    const hasGone = !isLost && (await endInOrder(host, { kept, places }, operation));
    if (!hasGone) await endFuse(host, kept);
  }
  forget(logs, place);
}

interface Unmounted {
  readonly kept: KeptProcess;
  /** See `placeOfMount`. */
  readonly places: readonly string[];
}

/**
 * A process does not end by itself while another mount namespace has a copy of the mount: who was
 * started before the unmount and got all that was mounted then. Whom the volume was given to has
 * none of those: that the kernel shows no such mount any more is why this is called (decision
 * 0006).
 */
async function endInOrder(
  host: Host,
  { kept, places }: Unmounted,
  operation: Operation,
): Promise<boolean> {
  if (await hasEnded(host, kept, COPIES_MS)) return true;
  const question = { groups: new Map(), places: new Set(places) };
  const { loose } = await host.peerMountsInTurns(question);
  const copies = loose.map(({ pid, target }) => `${target} of process ${pid}`);
  if (copies.length > 0) {
    operation.log.info("copies of a mount that has ended are cut off", { copies });
  } else if (await hasEnded(host, kept, END_MS_MAX)) {
    return true;
  }
  host.signalKept(kept, "SIGTERM");
  return await hasEnded(host, kept, SIGNALLED_MS_MAX);
}

/** Ends a process that serves no mount, at once; one that the kernel holds is left after 2 s. */
export async function endFuse(host: Host, kept: KeptProcess): Promise<void> {
  host.signalKept(kept, "SIGKILL");
  await hasEnded(host, kept, SIGNALLED_MS_MAX);
}

/** Waits so long for its end. */
async function hasEnded(host: Host, { pid, start }: KeptProcess, ms: number): Promise<boolean> {
  const until = host.monotonicMs() + ms;
  while (host.processStart(pid) === start) {
    if (host.monotonicMs() > until) return false;
    await pause(LOOK_AGAIN_MS);
  }
  return true;
}

/**
 * Says "stale" of a mount whose process is gone, with its last words. Waits for nothing. Keeps the
 * log from growing, and makes a lost note of the process anew. Nothing mounted is not its business.
 */
export function lookFuse(
  { host, logs }: FuseParts,
  place: FusePlace & { readonly program: string; readonly secrets?: readonly string[] },
): Look {
  logs.bound(`${place.runDirectory}/${LOG}`);
  if (!mountsAt(host, place.target).some(isFuse)) return {};
  const kept = readNote(place);
  // A crash came between its start and the note, or somebody emptied the run directory: that it
  // serves the mount shows when it is asked.
  if (kept === undefined) noteAgain(host, place);
  if (kept === undefined || host.processStart(kept.pid) === kept.start) return {};
  const words =
    lastWords({ ...place, secrets: place.secrets ?? [] })
      .split("\n")
      .at(-1) ?? "";
  return { stale: `its ${place.program} process has ended${words === "" ? "" : `: ${words}`}` };
}

/** Where one process, and only one, has the mount point among its arguments. Throws `storage.*`. */
function noteAgain(host: Host, place: FusePlace & { readonly program: string }): void {
  const { target, program } = place;
  const serving = host
    .findKept(target)
    .filter((found) => found.program === program && found.path === target);
  const [only] = serving;
  if (only !== undefined && serving.length === 1) adoptFuse(place, only);
}

/**
 * As `lookFuse`, with the secrets read where they are needed: its last words may repeat one. Where
 * they cannot be read the words are not shown.
 */
export async function lookFuseMasked(
  parts: FuseParts,
  place: FusePlace & { readonly program: string },
  secrets: () => Promise<readonly string[]>,
): Promise<Look> {
  const look = lookFuse(parts, place);
  if (look.stale === undefined) return look;
  try {
    return lookFuse(parts, { ...place, secrets: await secrets() });
  } catch {
    return { stale: `its ${place.program} process has ended` };
  }
}

/**
 * Whether the process of a mount is gone: from its note and one look into /proc. False where there
 * is no note. Never throws: what cannot be read says nothing.
 */
export function isFuseDead(host: Pick<Host, "processStart">, runDirectory: string): boolean {
  try {
    const kept = readNote({ runDirectory });
    return kept !== undefined && host.processStart(kept.pid) !== kept.start;
  } catch {
    return false;
  }
}

/** The last lines of its log, secrets masked; "" when there are none. */
export function lastWords({
  runDirectory,
  secrets,
}: Pick<FuseStart, "runDirectory" | "secrets">): string {
  let descriptor: number | undefined;
  try {
    descriptor = fs.openSync(`${runDirectory}/${LOG}`, "r");
    const { size } = fs.fstatSync(descriptor);
    const bytes = Buffer.alloc(Math.min(size, WORDS_BYTES_MAX));
    fs.readSync(descriptor, bytes, 0, bytes.length, size - bytes.length);
    const lines = bytes
      .toString("utf8")
      .split("\n")
      .map((line) => line.trim());
    const said = lines.filter((line) => line !== "").slice(-WORDS_LINES_MAX);
    return printable(maskValues(said.join("\n"), secrets));
  } catch {
    return "";
  } finally {
    if (descriptor !== undefined) fs.closeSync(descriptor);
  }
}

/** Replaces values, and each line of values that have several, by `****`. */
export function maskValues(text: string, values: readonly string[]): string {
  const parts = values
    .flatMap((value) => [value, ...value.split(/\r?\n/)])
    .map((part) => part.trim())
    .filter((part) => part.length >= SECRET_CHARACTERS_MIN)
    .sort((left, right) => right.length - left.length);
  return parts.reduce((masked, part) => masked.replaceAll(part, "****"), text);
}

function mountsAt(host: Host, target: string): readonly MountInfo[] {
  return host.mounts().filter((mount) => mount.target === target);
}

function isFuse({ fileSystem }: MountInfo): boolean {
  return fileSystem === "fuse" || fileSystem.startsWith("fuse.");
}

/**
 * Takes a process for the one that serves a mount, as `startFuse` notes it. Throws `storage.*`.
 */
export function adoptFuse(place: FusePlace, kept: KeptProcess): void {
  try {
    fs.mkdirSync(place.runDirectory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw storageError(error, `making ${place.runDirectory}`);
  }
  writeNote(place, kept);
}

function writeNote({ runDirectory }: FusePlace, { pid, start }: KeptProcess): void {
  writeWhole(`${runDirectory}/${NOTE}`, JSON.stringify({ pid, start }));
}

/** undefined: none was started, as far as anybody knows. Throws `storage.*`. */
export function readNote({
  runDirectory,
}: Pick<FusePlace, "runDirectory">): KeptProcess | undefined {
  try {
    const note: unknown = JSON.parse(fs.readFileSync(`${runDirectory}/${NOTE}`, "utf8"));
    if (typeof note !== "object" || note === null) return undefined;
    if (!("pid" in note && "start" in note)) return undefined;
    return { pid: Number(note.pid), start: String(note.start) };
  } catch (error) {
    if (isErrno(error, "ENOENT") || error instanceof SyntaxError) return undefined;
    throw storageError(error, `reading ${runDirectory}/${NOTE}`);
  }
}

function forget(logs: FuseLogs, { runDirectory }: FusePlace): void {
  logs.release(`${runDirectory}/${LOG}`);
  try {
    for (const name of [NOTE, `${NOTE}.new`, LOG])
      fs.rmSync(`${runDirectory}/${name}`, { force: true });
  } catch (error) {
    throw storageError(error, `removing the notes of a process in ${runDirectory}`);
  }
}
