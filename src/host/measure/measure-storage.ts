// `measure-storage`: finds out what the storage of a volume really does, by doing it there.
//
// It works in a directory of its own, with the volume as its root directory: whatever somebody
// puts there meanwhile, no name leads out of it. So all that is loaded is loaded before that.
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { errnoOf, storageError } from "../../core/errors.ts";
import { mountOf } from "../../core/mount-of.ts";
import {
  type Ability,
  abilities,
  type Measurement,
  type MeasureRequest,
} from "../../core/volume-report.ts";
import type { AssistCall } from "../assist-frame.ts";
import { loadFileCalls } from "../libc-files.ts";
import { loadStorageCalls } from "../libc-storage.ts";
import { readMountTable } from "../mount-table.ts";
import { MEASURE_PEER_COMMAND, ownExecutable } from "../own-executable.ts";
import { fileMeasures, writableOf } from "./files.ts";
import { hostMark, makeDirectory, removeLeftovers } from "./leftovers.ts";
import { nameMeasures } from "./names.ts";
import {
  type Bench,
  type Measures,
  no,
  type Outcome,
  outcomeOf,
  pathBytes,
  unknown,
} from "./outcome.ts";
import { type Peer, startPeer } from "./peer.ts";
import { speedMeasures } from "./speed.ts";
import { sharedMeasures } from "./together.ts";

const measures: Measures = {
  writable: writableOf,
  ...fileMeasures,
  ...nameMeasures,
  ...sharedMeasures,
  ...speedMeasures,
};

/** How long a whole run may take: what has not begun by then is "unknown". */
const RUN_MS_MAX = 20_000;
const QUICK_RUN_MS_MAX = 6_000;

/** How often what a run has made is removed at its end, and how long it rests before each more. */
const REMOVALS_MAX = 3;
const REMOVAL_PAUSE_MS = 700;

/** What can be said of storage that takes no directory. */
const withoutWriting: ReadonlySet<Ability> = new Set(["writable", "free-space", "free-files"]);

/**
 * Measures what can be tried (the last abilities follow from how it is mounted, and are not) and
 * returns that, each once. What the storage refuses is an answer. Throws `storage.*` when the
 * volume itself cannot be entered. To be called once in a process.
 */
export async function measureStorage({ directory, input, tell }: AssistCall) {
  const request = readRequest(input);
  await using stage = await makeStage(directory, request);
  const startedMs = performance.now();
  const limitMs = request.isQuick ? QUICK_RUN_MS_MAX : RUN_MS_MAX;
  const all: Measurement[] = [];
  for (const ability of abilities) {
    const measure = measures[ability];
    if (measure === undefined) continue;
    const beganMs = performance.now();
    const isLate = beganMs - startedMs > limitMs;
    const outcome = isLate
      ? unknown(`not tried: the run had taken ${limitMs / 1000} s already`)
      : await stage.run(ability);
    const tookMs = performance.now() - beganMs;
    const made: Measurement = { figure: null, detail: "", ...outcome, ability, tookMs };
    all.push(made);
    tell(made);
  }
  return all;
}

/** Where the measurements of one run are made; at its end nothing of it is on the storage. */
interface Stage extends AsyncDisposable {
  run(ability: Ability): Promise<Outcome>;
}

async function makeStage(directory: string, request: MeasureRequest): Promise<Stage> {
  const isRoot = process.getuid?.() === 0;
  const fileSystem = mountOf(readMountTable(), directory)?.fileSystem ?? "";
  const files = loadFileCalls();
  const calls = loadStorageCalls();
  const mark = hostMark();
  await using starting = new AsyncDisposableStack();
  const start = async (where: string): Promise<Peer> =>
    starting.use(await startPeer(ownExecutable(MEASURE_PEER_COMMAND, where)));
  // Both before the root directory changes: afterwards there is no program to start.
  const peer = await attempt(start(directory));
  const second = request.elsewhere === null ? undefined : await attempt(start(request.elsewhere));
  const root = isRoot ? "/" : directory;
  try {
    if (isRoot) enter(directory, (path) => files.changeRoot(path));
    removeLeftovers(root, mark, Date.now());
  } catch (thrown) {
    throw storageError(thrown, "entering the volume");
  }
  const made = await attempt(() => makeDirectory(root, mark, randomBytes(4).toString("hex")));
  const place = "value" in made ? join(root, made.value) : root;
  const secondRoot = isRoot ? "/" : (request.elsewhere ?? "");
  const bench: Bench = {
    directory: place,
    at: (name) => join(place, name),
    ...{ isQuick: request.isQuick, isRoot, fileSystem, files, calls },
    peer: async () => resultOf(peer),
    async elsewhere() {
      if (second === undefined || !("value" in made)) return undefined;
      const at = (name: string) => join(secondRoot, made.value, name);
      return { peer: resultOf(second), at };
    },
  };
  const ending = starting.move();
  return {
    run: (ability) => runOne(bench, ability, "value" in made ? undefined : made.thrown),
    async [Symbol.asyncDispose]() {
      await ending.disposeAsync();
      await removeAll(root, mark);
    },
  };
}

/** Of what is sent later (rclone) something may come back while it is removed. */
async function removeAll(root: string, mark: string): Promise<void> {
  for (let attempt = 1; removeLeftovers(root, mark, Date.now()) > 0; attempt++) {
    if (attempt === REMOVALS_MAX) return;
    await pause(REMOVAL_PAUSE_MS);
  }
}

/** `refusal`: why nothing can be made on the storage; undefined: it can. */
async function runOne(bench: Bench, ability: Ability, refusal: unknown): Promise<Outcome> {
  const measure = measures[ability];
  if (measure === undefined) return unknown("");
  if (refusal !== undefined) {
    const code = errnoOf(refusal);
    if (ability === "writable") return refusedOf(code);
    if (!withoutWriting.has(ability)) return unknown(`not tried: nothing can be written (${code})`);
  }
  try {
    return await measure(bench);
  } catch (thrown) {
    return outcomeOf(thrown, () => writeFileSync(bench.at(`after-${ability}`), "x"));
  }
}

function refusedOf(code: string): Outcome {
  if (code === "EROFS") return no("read-only");
  if (code === "ENOSPC" || code === "EDQUOT") return no("full", `a directory is refused: ${code}`);
  if (code === "EACCES" || code === "EPERM") {
    return unknown("root may not write there: the server may map it to nobody (root_squash)");
  }
  return no("no", `a directory is refused: ${code}`);
}

function enter(directory: string, changeRoot: (path: Uint8Array) => void): void {
  process.chdir(directory);
  changeRoot(pathBytes("."));
  process.chdir("/");
}

type Attempt<T> = { readonly value: T } | { readonly thrown: unknown };

async function attempt<T>(work: Promise<T> | (() => T)): Promise<Attempt<T>> {
  try {
    return { value: await (typeof work === "function" ? work() : work) };
  } catch (thrown) {
    return { thrown };
  }
}

function resultOf<T>(attempted: Attempt<T>): T {
  if ("value" in attempted) return attempted.value;
  throw attempted.thrown;
}

/** The daemon of this very executable asks. */
function readRequest(input: unknown): MeasureRequest {
  const given: Partial<Record<keyof MeasureRequest, unknown>> =
    typeof input === "object" && input !== null ? input : {};
  const { elsewhere, isQuick } = given;
  return { elsewhere: typeof elsewhere === "string" ? elsewhere : null, isQuick: isQuick === true };
}
