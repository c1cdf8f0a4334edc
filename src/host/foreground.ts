// Starts a command in our own place: the kernel ends it with us, and our signals are its signals.
//
// setpriv(1) has the kernel do that and then becomes the command, which costs a millisecond. Where
// it is not installed, or a file is to be locked first, our own executable does, which costs ten.
import type {
  Foreground,
  ForegroundCommand,
  ForegroundRequest,
  HeldFile,
  NotStarted,
} from "../core/foreground.ts";
import {
  canBeContinued,
  environmentWith,
  handOnAll,
  ignoredSignals,
  inheritedDescriptors,
  isTerminalsGroup,
  type RelayedSignal,
  restoreDescriptorLimit,
  wordsAsGiven,
} from "./inherited.ts";
import { closeQuietly, exitOf, makePipe, readProcText, spawnInPlace } from "./libc-command.ts";

/** What they mean is the command's business. SIGCHLD and what cannot be caught are not among. */
const relayed: readonly RelayedSignal[] = [
  "SIGINT",
  "SIGTERM",
  "SIGHUP",
  "SIGQUIT",
  "SIGUSR1",
  "SIGUSR2",
  "SIGWINCH",
  "SIGALRM",
  "SIGCONT",
];

/** The terminal sends them to the command as well. */
const ofTerminal: ReadonlySet<RelayedSignal> = new Set(["SIGINT", "SIGQUIT", "SIGWINCH"]);

/** Something must be waited for, or the runtime ends; nothing happens when it is over. */
const KEEP_ALIVE_MS = 3_600_000;

/** Without a file the helper only has to start. */
const HELPER_MS_MAX = 30_000;

/** As long as a line of the helper may get, in characters. */
const LINE_LENGTH_MAX = 4_096;

const encoder = new TextEncoder();

const givenUp: NotStarted = { outcome: "given up", reason: "it was given up before it began" };

interface Surroundings {
  readonly descriptors: readonly number[];
  readonly isIgnored: (name: RelayedSignal) => boolean;
}

/** Must be made before anything is opened: it looks at what we were started with. */
export function foreground(): Foreground {
  const around = { descriptors: inheritedDescriptors(), isIgnored: ignoredSignals() };
  return {
    async start(request) {
      const missing = await whyNotStarted(request.words[0]);
      if (missing !== undefined) return missing;
      if (request.signal.aborted) return givenUp;
      const setpriv = request.file === undefined ? Bun.which("setpriv") : null;
      if (setpriv === null) return await startByHelper(request, around);
      const first = [setpriv, "--pdeathsig", "KILL", "--"].map((word) => encoder.encode(word));
      return running(around, () => {
        handOnAll(around.descriptors);
        restoreDescriptorLimit();
        const environment = environmentWith(request.environment);
        return spawnInPlace([...first, ...wordsAsGiven(request.words)], environment);
      });
    },
  };
}

async function whyNotStarted(program: string): Promise<NotStarted | undefined> {
  if (program !== "" && Bun.which(program) !== null) return undefined;
  if (program.includes("/") && (await Bun.file(program).exists()))
    return { outcome: "not executable", reason: `${program} cannot be executed` };
  return { outcome: "missing", reason: `there is no program ${JSON.stringify(program)}` };
}

/** Starts a process, and is it from then on, as far as signals go. */
function running({ isIgnored }: Surroundings, start: () => number): ForegroundCommand {
  const { promise, resolve } = Promise.withResolvers<number>();
  let pid = 0;
  let hasEnded = false;
  const keepAlive = setInterval(() => undefined, KEEP_ALIVE_MS);
  const send = (name: RelayedSignal): void => {
    if (pid > 0 && !hasEnded) signalQuietly(pid, name);
  };
  const look = (): void => {
    const exit = pid > 0 && !hasEnded ? exitOf(pid) : undefined;
    if (exit === undefined) return;
    hasEnded = true;
    clearInterval(keepAlive);
    resolve(exit);
  };
  process.on("SIGCHLD", look);
  for (const name of relayed) {
    if (isIgnored(name)) continue;
    process.on(name, () => {
      if (ofTerminal.has(name) && isTerminalsGroup()) return;
      send(name);
    });
  }
  if (!isIgnored("SIGTSTP")) {
    process.on("SIGTSTP", () => {
      if (!canBeContinued()) return;
      send("SIGTSTP");
      process.kill(process.pid, "SIGSTOP");
    });
  }
  pid = start();
  look();
  return {
    outcome: "running",
    pid,
    ended: promise,
    signalAll(name) {
      if (hasEnded) return;
      for (const each of descendants(pid)) {
        signalQuietly(each, name);
        // What is stopped gets it only when it goes on.
        signalQuietly(each, "SIGCONT");
      }
    },
  };
}

function signalQuietly(pid: number, name: RelayedSignal): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended in this moment.
  }
}

/** A process and all that comes from it, parents first. */
function descendants(pid: number): readonly number[] {
  const text = readProcText(`/proc/${pid}/task/${pid}/children`);
  const children = text.split(" ").filter(Boolean).map(Number);
  return [pid, ...children.flatMap(descendants)];
}

/** The helper says by a pipe how far it is; the pipe ends when it has become the command. */
async function startByHelper(
  request: ForegroundRequest,
  around: Surroundings,
): Promise<ForegroundCommand | NotStarted> {
  const { reading, writing } = makePipe();
  const { file, words, signal } = request;
  const settings = { writing, parent: process.pid, file };
  // What only this way needs is loaded here.
  const { BECOME_COMMAND, ownExecutable } = await import("./own-executable.ts");
  const helper = ownExecutable(BECOME_COMMAND, JSON.stringify(settings));
  handOnAll([...around.descriptors, writing]);
  restoreDescriptorLimit();
  const pid = spawnInPlace(
    [...helper.map((word) => encoder.encode(word)), ...wordsAsGiven(words)],
    environmentWith(request.environment),
  );
  closeQuietly(writing);
  const failure = await follow(reading, { pid, file, signal });
  if (failure !== undefined) {
    signalQuietly(pid, "SIGKILL");
    return failure;
  }
  return running(around, () => pid);
}

interface Helper {
  readonly pid: number;
  readonly file: HeldFile | undefined;
  readonly signal: AbortSignal;
}

async function follow(reading: number, helper: Helper): Promise<NotStarted | undefined> {
  const { file, signal } = helper;
  const given = Promise.withResolvers<NotStarted>();
  const giveUp = (): void => given.resolve(givenUp);
  signal.addEventListener("abort", giveUp, { once: true });
  if (signal.aborted) giveUp();
  let timer = setTimeout(() => {
    const what = file === undefined ? "our own executable" : "the storage of the file";
    given.resolve({ outcome: "silent", reason: `${what} has not answered in time` });
  }, file?.openMs ?? HELPER_MS_MAX);
  const told = tellings(reading, () => {
    clearTimeout(timer);
    if (file?.waitMs === undefined) return;
    timer = setTimeout(() => {
      given.resolve({ outcome: "timed out", reason: `somebody else has ${file.path} locked` });
    }, file.waitMs);
  });
  try {
    return await Promise.race([told, given.promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", giveUp);
  }
}

/** Reads `waits`, `become` and `failed WHY`, a line each. */
async function tellings(reading: number, waits: () => void): Promise<NotStarted | undefined> {
  let text = "";
  let isWaiting = false;
  const decoder = new TextDecoder();
  try {
    for await (const chunk of Bun.file(reading).stream()) {
      text += decoder.decode(chunk, { stream: true });
      if (text.length > LINE_LENGTH_MAX) break;
      if (!isWaiting && /^waits$/m.test(text)) {
        isWaiting = true;
        waits();
      }
    }
  } catch (thrown) {
    return { outcome: "failed", reason: String(thrown) };
  }
  const failure = /^failed (.*)$/m.exec(text)?.[1];
  if (failure !== undefined) return { outcome: "failed", reason: failure };
  if (/^become$/m.test(text)) return undefined;
  return { outcome: "failed", reason: "our own executable ended before it became the command" };
}
