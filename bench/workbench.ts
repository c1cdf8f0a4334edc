// What every group of rows works with: tools, sizes, and engines on a fresh file system.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Engine, EngineKind } from "./engines.ts";
import { freshFileSystem } from "./file-system.ts";
import type { LoadNote } from "./latency.ts";
import type { Burst, LoadTools } from "./load.ts";

/** How much is measured. */
export interface Sizes {
  readonly rounds: number;
  /** How long one burst of requests that change nothing lasts. */
  readonly burstSeconds: number;
  /** Volumes created and removed in one burst, with one connection and with eight. */
  readonly changes: { readonly one: number; readonly eight: number };
  readonly listed: number;
  readonly remembered: number;
  /** Numbers of volumes for the cost per volume, ascending. */
  readonly growth: readonly number[];
  /** Volumes that are held while mounts are measured. */
  readonly held: number;
  /** Processes on the machine while holds are looked at. */
  readonly hostProcesses: number;
  /** Containers per round and volume driver. */
  readonly containers: number;
  /** What is written inside of a container in one round. */
  readonly writing: {
    readonly sequentialMib: number;
    readonly randomWrites: number;
    readonly files: number;
  };
  /** Of the large volumes that go into the trash, and of those that are purged. */
  readonly trash: { readonly files: number; readonly bytes: number; readonly purged: number };
  /** What is written in a container while a volume is purged. */
  readonly beside: {
    readonly sequentialMib: number;
    readonly randomWrites: number;
    readonly files: number;
  };
  /** Transfers through remote mounts: rounds of their own number, and pairs of each. */
  readonly remote: { readonly rounds: number; readonly pairs: number };
  /** Volumes of the plan of a prune and of the list, and as many in the trash. */
  readonly crowd: number;
  readonly plugins: {
    /** Lists of a burst, and processes of a round, that have a 99th percentile. */
    readonly lists: number;
    readonly processes: number;
    /** Operations of a burst. */
    readonly calls: number;
    /** What a plugin that is installed holds, and one whose pull is watched. */
    readonly installedBytes: number;
    readonly pulledBytes: number;
    /** Files of the plugin that has many. */
    readonly files: number;
  };
  /** Pairs of processes per round. */
  readonly processes: number;
  /** How long an engine is left alone before its memory is read. */
  readonly idleMs: number;
}

/**
 * The whole measurement. Many short rounds rather than a few long ones: a disturbance from outside
 * then falls on both engines of a round, or spoils one round of many.
 */
export const fullSizes: Sizes = {
  rounds: 11,
  burstSeconds: 0.75,
  changes: { one: 500, eight: 2000 },
  listed: 5000,
  remembered: 10_000,
  growth: [1000, 10_000, 100_000],
  held: 1000,
  hostProcesses: 300,
  containers: 4,
  writing: { sequentialMib: 256, randomWrites: 400, files: 10_000 },
  trash: { files: 1_000_000, bytes: 10e9, purged: 30_000 },
  beside: { sequentialMib: 2048, randomWrites: 3000, files: 20_000 },
  remote: { rounds: 11, pairs: 32 },
  crowd: 10_000,
  plugins: {
    lists: 300,
    processes: 30,
    calls: 300,
    installedBytes: 50e6,
    pulledBytes: 1e9,
    files: 3000,
  },
  processes: 20,
  idleMs: 5000,
};

/** Enough to see that everything runs, not enough for the record. */
export const quickSizes: Sizes = {
  rounds: 2,
  burstSeconds: 0.4,
  changes: { one: 200, eight: 800 },
  listed: 5000,
  remembered: 2000,
  growth: [500, 5000],
  held: 200,
  hostProcesses: 300,
  containers: 2,
  writing: { sequentialMib: 64, randomWrites: 100, files: 2000 },
  trash: { files: 20_000, bytes: 1e9, purged: 10_000 },
  beside: { sequentialMib: 128, randomWrites: 200, files: 2000 },
  remote: { rounds: 2, pairs: 8 },
  crowd: 2000,
  plugins: {
    lists: 100,
    processes: 10,
    calls: 150,
    installedBytes: 20e6,
    pulledBytes: 200e6,
    files: 1000,
  },
  processes: 5,
  idleMs: 500,
};

/** A file system of a group's own, with its directory for sockets and logs. */
export interface Ground extends AsyncDisposable {
  /** On the file system under test. */
  readonly disk: string;
  /** For sockets and logs; short. */
  readonly directory: string;
  /** Starts an engine with its data on this ground. It ends with the ground, if not before. */
  start(kind: EngineKind, name: string): Promise<Engine>;
}

/** What a group gets. */
export interface Workbench {
  readonly candidate: EngineKind;
  /** Holdfast's executable; undefined: the candidate is another engine. */
  readonly executable: string | undefined;
  readonly reference: EngineKind;
  readonly sizes: Sizes;
  readonly tools: LoadTools;
  readonly signal: AbortSignal;
  say(line: string): void;
  /** Keeps a burst for the table of latencies. */
  note(note: LoadNote): void;
  /** A fresh file system, by default of `IMAGE_BYTES`; the group disposes of it. */
  ground(bytes?: number): Promise<Ground>;
}

/** Makes a ground in a new directory, which it removes when it is disposed of. */
export async function freshGround(
  directory: string,
  signal: AbortSignal,
  bytes?: number,
): Promise<Ground> {
  await using cleanUp = new AsyncDisposableStack();
  await mkdir(directory);
  cleanUp.defer(() => rm(directory, { recursive: true, force: true }));
  const disk = cleanUp.use(await freshFileSystem(directory, signal, bytes));
  const held = cleanUp.move();
  return {
    disk: disk.path,
    directory,
    async start(kind, name) {
      const place = { directory: join(directory, name), data: join(disk.path, name) };
      return held.use(await kind.start(place, signal));
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/**
 * One burst of a row: its rate in operations a second. Rounds below 0 warm up: they leave no note.
 */
export async function rateOf(
  workbench: Workbench,
  engine: Engine,
  burst: Omit<Burst, "socket">,
  row: { readonly work: string; readonly round: number },
): Promise<number> {
  const load = await workbench.tools.burst({ ...burst, socket: engine.socket });
  if (row.round >= 0) {
    workbench.note({ work: row.work, engine: engine.kind.name, load });
  }
  return load.operations / load.seconds;
}

/** Starts the two engines that a paired row compares, the candidate first. */
export async function startPair(
  workbench: Workbench,
  ground: Ground,
): Promise<readonly [Engine, Engine]> {
  const candidate = await ground.start(workbench.candidate, "a");
  const reference = await ground.start(workbench.reference, "b");
  return [candidate, reference];
}

/** Creates volumes `<prefix>-0` … with eight connections. */
export async function fillWithVolumes(
  workbench: Workbench,
  engine: Engine,
  volumes: { readonly prefix: string; readonly count: number; readonly groups?: number },
): Promise<void> {
  const { prefix, count, groups } = volumes;
  await workbench.tools.burst({
    mode: "create",
    socket: engine.socket,
    connections: 8,
    amount: { count },
    prefix,
    ...(groups === undefined ? {} : { groups }),
  });
}
