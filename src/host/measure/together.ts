// What storage does when two processes use it at once, on one mount or through two clients.
import { closeSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import type { LockKind } from "../libc-storage.ts";
import { type Bench, type Measures, no, type Outcome, unknown, yes } from "./outcome.ts";
import type { Peer } from "./peer.ts";
import { APPEND_LINE_BYTES, appendLines, createAll, type ReadOften } from "./peer-work.ts";

/** How long two processes get to be at the same place at the same moment. */
const START_MS = 15;
const RENAMING_MS = 250;
const READ_COUNT_MIN = 10;
const RACE_COUNT = 40;
const APPEND_COUNT = 200;
/** How long something may take to be seen. */
const SEEN_MS_MAX = 3_000;
const SEEN_PAUSE_MS = 20;
const MAPPED_BYTES = 4096;

const noSecondClient = unknown("there is no second client of this storage to look from");

/** Another process sees the same directory under `at`. */
interface Other {
  readonly peer: Peer;
  at(name: string): string;
}

export const sharedMeasures: Measures = {
  async "atomic-rename"(bench) {
    let found = await renameWhileRead(bench, bench.isQuick ? RENAMING_MS / 2 : RENAMING_MS);
    // On a busy machine the reader may have had no turn.
    if (found.reads < READ_COUNT_MIN) found = await renameWhileRead(bench, 4 * RENAMING_MS);
    const { count, reads, missing, torn } = found;
    if (reads === 0) return unknown("the reader did not come to read");
    if (missing + torn === 0) return yes("yes", `${count} renames, ${reads} reads`);
    return no("no", `of ${reads} reads ${missing} found no file and ${torn} not a whole one`);
  },

  async "exclusive-create"({ at, peer }) {
    const other = await peer();
    const paths = Array.from({ length: RACE_COUNT }, (_, index) => at(`race-${index}`));
    const atMs = Date.now() + START_MS;
    const theirs = other.ask({ do: "create", paths, atMs });
    const ours = createAll(paths, atMs);
    const sum = ours + Number(await theirs);
    if (sum === RACE_COUNT) return yes();
    return no("no", `${RACE_COUNT} files were created ${sum} times by two processes`);
  },

  async flock(bench) {
    return await lockSeen(bench, await onSameMount(bench), "flock");
  },
  async "posix-locks"(bench) {
    return await lockSeen(bench, await onSameMount(bench), "posix");
  },
  async "ofd-locks"(bench) {
    return await lockSeen(bench, await onSameMount(bench), "ofd");
  },
  async "flock-elsewhere"(bench) {
    const other = await bench.elsewhere();
    return other === undefined ? noSecondClient : await lockSeen(bench, other, "flock");
  },
  async "posix-locks-elsewhere"(bench) {
    const other = await bench.elsewhere();
    return other === undefined ? noSecondClient : await lockSeen(bench, other, "posix");
  },

  async append(bench) {
    return await appended(bench, await onSameMount(bench), "append");
  },
  async "append-elsewhere"(bench) {
    const other = await bench.elsewhere();
    return other === undefined ? noSecondClient : await appended(bench, other, "append-2");
  },

  async "visible-elsewhere"(bench) {
    const other = await bench.elsewhere();
    return other === undefined ? noSecondClient : await closeToOpen(bench, other);
  },

  async "shared-mmap"({ at, peer }) {
    const other = await peer();
    const path = at("mapped");
    writeFileSync(path, Buffer.alloc(MAPPED_BYTES));
    const own = Bun.mmap(path, { shared: true, size: MAPPED_BYTES });
    await other.ask({ do: "map", path, bytes: MAPPED_BYTES });
    own[1] = 77;
    if ((await other.ask({ do: "peek", at: 1 })) !== 77) {
      return no("no", "what one process writes into shared memory another does not see");
    }
    await other.ask({ do: "poke", at: 2, value: 99 });
    return own[2] === 99 ? yes() : no("one way", "not all that is written is seen");
  },
};

/** Replaces a file for so long, as often as it can be, and counts what a reader saw. */
async function renameWhileRead({ at, peer }: Bench, forMs: number) {
  const other = await peer();
  writeFileSync(at("renamed"), "0".repeat(100));
  const untilMs = Date.now() + forMs;
  const reading = other.ask({ do: "read-often", path: at("renamed"), untilMs });
  let count = 0;
  while (Date.now() < untilMs) {
    count++;
    writeFileSync(at("renaming"), String(count % 10).repeat(100));
    renameSync(at("renaming"), at("renamed"));
  }
  // The other end is `readOften`.
  const { missing, torn, count: reads } = (await reading) as ReadOften;
  return { count, reads, missing, torn };
}

async function onSameMount({ at, peer }: Bench): Promise<Other> {
  return { peer: await peer(), at };
}

/** A lock of ours keeps the other process out, and only for as long as it is held. */
async function lockSeen(bench: Bench, other: Other, kind: LockKind): Promise<Outcome> {
  const name = `lock-${kind}`;
  writeFileSync(bench.at(name), "");
  const descriptor = openSync(bench.at(name), "r+");
  const isFree = () => other.peer.ask({ do: "try-lock", path: other.at(name), kind });
  try {
    if (!bench.calls.lock(descriptor, kind)) return unknown("a new file is locked already");
    if ((await isFree()) === true) {
      return no("no", "two processes had the same exclusive lock at once");
    }
    bench.calls.unlock(descriptor, kind);
    const freeMs = await untilSeen(isFree, true);
    if (freeMs === undefined) return no("no", "a lock stays after it was given back");
    return yes();
  } finally {
    closeSync(descriptor);
  }
}

async function appended(bench: Bench, other: Other, name: string): Promise<Outcome> {
  writeFileSync(bench.at(name), "");
  const atMs = Date.now() + START_MS;
  const job = { count: APPEND_COUNT, atMs };
  const theirs = other.peer.ask({
    do: "append",
    job: { ...job, path: other.at(name), letter: "b" },
  });
  appendLines({ ...job, path: bench.at(name), letter: "a" });
  await theirs;
  const lines = readFileSync(bench.at(name), "latin1").split("\n");
  const whole = (letter: string) =>
    lines.filter((line) => line === letter.repeat(APPEND_LINE_BYTES - 1)).length;
  const kept = whole("a") + whole("b");
  if (kept === 2 * APPEND_COUNT) return yes();
  return no("no", `${2 * APPEND_COUNT - kept} of ${2 * APPEND_COUNT} lines were lost or mixed`);
}

/** What is written and closed here is seen by who opens it there, at once. */
async function closeToOpen(bench: Bench, other: Other): Promise<Outcome> {
  const name = "visible";
  const read = () => other.peer.ask({ do: "read", path: other.at(name) });
  const delays: number[] = [];
  for (const text of ["first", "second, longer", "third"]) {
    writeNew(bench.at(name), text);
    const delayMs = await untilSeen(read, text);
    if (delayMs === undefined) {
      return no("no", `what is written is not seen within ${SEEN_MS_MAX / 1000} s`);
    }
    delays.push(delayMs);
  }
  const longest = Math.max(...delays);
  if (longest === 0) return { ...yes("at once"), figure: 0 };
  const value = `after ${(longest / 1000).toFixed(1)} s`;
  return {
    ...no(value, "who opens it right after a close sees what was there before"),
    figure: longest,
  };
}

/** In place: a rename would be another file, which is looked up anew. */
function writeNew(path: string, text: string): void {
  const descriptor = openSync(path, "w");
  writeSync(descriptor, text);
  closeSync(descriptor);
}

/** After how many milliseconds; 0: at the first look; undefined: not in time. */
async function untilSeen(
  look: () => Promise<unknown>,
  wanted: unknown,
): Promise<number | undefined> {
  const startedMs = performance.now();
  for (let looks = 0; ; looks++) {
    if ((await look()) === wanted) return looks === 0 ? 0 : performance.now() - startedMs;
    if (performance.now() - startedMs > SEEN_MS_MAX) return undefined;
    await Bun.sleep(SEEN_PAUSE_MS);
  }
}
