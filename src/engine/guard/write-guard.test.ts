// Which mounts the guard watches, how many, and what it says of those that it does not.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { eventually } from "../../../test/support/child.ts";
import {
  create,
  type EngineBench,
  named,
  startedEngine,
} from "../../../test/support/engine-bench.ts";
import { EngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import { parseHolderId, parseVolumeName, type VolumeName } from "../../core/names.ts";
import type { WatchRequest, WriteWatch, WrittenFile } from "../../core/write-watch.ts";
import { type Hold, newHold } from "../holds/hold-table.ts";
import { WriteGuard } from "./write-guard.ts";

const COUNT_MAX = 64;

/** Writes through mounts, as the kernel would tell of them. */
class MemoryWrites {
  readonly watches = new Map<string, WriteWatch>();
  readonly queues = new Map<string, WrittenFile[]>();
  readonly cut = new Set<string>();
  /** Targets whose mounts are gone. */
  readonly gone = new Set<string>();
  /** What each read costs, in milliseconds of a clock that only they move. */
  costMs: number | undefined;
  readonly reads: string[] = [];
  refusal: EngineError | undefined;
  nowMs = 0;

  get host(): Pick<Host, "watchWrites" | "writeWatchCountMax" | "pathOfWritten" | "programOf"> {
    return {
      writeWatchCountMax: () => COUNT_MAX,
      pathOfWritten: (_, file) => (file.startsWith("gone") ? undefined : `/${file}`),
      programOf: (pid) => (pid === 0 ? "" : `program ${pid}`),
      watchWrites: (request) => this.#watch(request),
    };
  }

  monotonicMs({ host }: EngineBench): number {
    this.nowMs += 0.001;
    return this.costMs === undefined ? host.monotonicMs() : this.nowMs;
  }

  write(target: string, file: string, pid = 7): void {
    this.queues.get(target)?.push({ file, pid });
  }

  #watch({ target }: WatchRequest): WriteWatch {
    if (this.refusal !== undefined) throw this.refusal;
    this.queues.set(target, []);
    const watch: WriteWatch = {
      read: () => {
        const isCut = this.cut.delete(target);
        this.reads.push(target);
        this.nowMs += this.costMs ?? 0;
        return { written: this.queues.get(target)?.splice(0) ?? [], isCut };
      },
      isOver: () => this.gone.has(target),
      [Symbol.dispose]: () => void this.watches.delete(target),
    };
    this.watches.set(target, watch);
    return watch;
  }
}

let bench: EngineBench;
let writes: MemoryWrites;
let holds: Hold[];
let guard: WriteGuard;
beforeEach(async () => {
  bench = await startedEngine();
  writes = new MemoryWrites();
  holds = [];
  guard = open(5);
});

function open(pollMs: number): WriteGuard {
  const { state, engine } = bench;
  return new WriteGuard({
    ...{ state, events: engine.events, lists: engine.lists, pollMs },
    host: {
      ...{ ...bench.host, ...writes.host },
      monotonicMs: () => writes.monotonicMs(bench),
    },
    holds: () => ({
      all: () => holds,
      holdsOf: (volume) => holds.filter((hold) => hold.volume === volume),
      settle: async () => look(),
    }),
    operation: () => bench.operation(),
  });
}
afterEach(async () => {
  await guard.stop();
  expect(writes.watches.size).toBe(0);
  await bench[Symbol.asyncDispose]();
});

async function volume(name: string, options: Record<string, string> = {}): Promise<VolumeName> {
  await create(bench, named(name, { options }));
  return parseVolumeName(name);
}

/** A container with a volume, at a target of its own. */
function use(name: VolumeName, container: string, isReadOnly = false): string {
  const target = `/${name}/${container}`;
  const place = { volume: name, holder: parseHolderId(`${name}-${container}`), path: "/h" };
  const mount = { group: 1, namespace: "mnt:[1]", pid: 1 };
  holds.push({
    ...newHold({ ...place, sinceMs: 0 }, { monotonicMs: 0 }),
    uses: [{ ...mount, target, container, isReadOnly }],
  });
  return target;
}

function look(): void {
  guard.look(new Set(holds.map(({ volume: name }) => name)), bench.operation());
}

async function watching(name: VolumeName) {
  return guard.watchingOf(bench.engine.volumes.inspect(name));
}

function told(): readonly Readonly<Record<string, string>>[] {
  const events = bench.events.filter(({ action }) => action === "conflict");
  return events.map(({ attributes }) => attributes);
}

async function until(isSo: () => boolean): Promise<void> {
  const look = () => (isSo() ? true : undefined);
  await eventually(look, { timeoutMs: 10_000, otherwise: () => JSON.stringify(guard.figures) });
}

describe("what is watched", () => {
  test("only what two containers have read-write, and only while they have", async () => {
    const wiki = await volume("wiki");
    const one = use(wiki, "one");
    use(wiki, "one");
    use(wiki, "reader", true);
    look();
    expect(writes.watches.size).toBe(0);
    const idle = { state: "no", reason: "fewer than two running containers have it read-write" };
    expect(await watching(wiki)).toMatchObject(idle);
    const two = use(wiki, "two");
    look();
    expect([...writes.watches.keys()]).toEqual([one, two]);
    expect(await watching(wiki)).toEqual({ state: "yes", reason: null });
    holds.pop();
    look();
    expect(writes.watches.size).toBe(0);
    expect(await watching(wiki)).toMatchObject(idle);
  });

  test("a mount that was replaced is watched anew", async () => {
    const wiki = await volume("wiki");
    const [one] = [use(wiki, "one"), use(wiki, "two")];
    look();
    const before = writes.watches.get(one);
    writes.gone.add(one);
    look();
    expect(writes.watches.get(one)).not.toBe(before);
    writes.gone.clear();
  });

  test("nothing with guard=off", async () => {
    const wiki = await volume("wiki", { guard: "off" });
    use(wiki, "one");
    use(wiki, "two");
    look();
    expect(writes.watches.size).toBe(0);
    expect(await watching(wiki)).toEqual({ state: "no", reason: "guard=off" });
  });

  test("of 200 mounts as many as there is room for, and the others are told", async () => {
    const first = await volume("first");
    for (let count = 0; count < 10; count += 1) use(first, `c${count}`);
    const many = await volume("many");
    for (let count = 0; count < 189; count += 1) use(many, `c${count}`);
    const late = await volume("late");
    use(late, "one");
    use(late, "two");
    look();
    look();
    expect(writes.watches.size).toBe(COUNT_MAX);
    expect(guard.figures.watched).toBe(COUNT_MAX);
    expect(await watching(first)).toEqual({ state: "yes", reason: null });
    const limit = "all 64 mounts that are watched at once are taken";
    expect(await watching(many)).toEqual({
      ...{ state: "partly", reason: `135 of 189 mounts are not watched: ${limit}` },
    });
    expect(await watching(late)).toEqual({ state: "no", reason: limit });
    // There is room again.
    holds = holds.filter(({ volume: name }) => name !== many);
    look();
    expect(await watching(late)).toEqual({ state: "yes", reason: null });
  });

  test("what cannot be is told with the reason, and tried again", async () => {
    const wiki = await volume("wiki");
    use(wiki, "one");
    use(wiki, "two");
    writes.refusal = new EngineError("host.unsupported", "overlay has no handles");
    look();
    expect(await watching(wiki)).toEqual({ state: "no", reason: "overlay has no handles" });
    writes.refusal = undefined;
    look();
    expect(await watching(wiki)).toEqual({ state: "yes", reason: null });
  });
});

describe("what is told", () => {
  test("a conflict: an event, the history, the state for an hour", async () => {
    const wiki = await volume("wiki");
    const [one, two] = [use(wiki, "one"), use(wiki, "two")];
    look();
    writes.write(one, "page", 1);
    writes.write(two, "page", 0);
    await until(() => told().length > 0);
    expect(told()).toMatchObject([{ file: "/page", names: "one,two", programs: "program 1," }]);
    const rows = bench.state.history({ order: "newest first", countMax: 9 }).entries;
    await guard.stop();
    expect(rows.map(({ action, subject }) => [action, subject])[0]).toEqual([
      "conflict",
      "/page: one@one (program 1), two@two",
    ]);
    const { reports } = guard;
    expect(reports.latestOf(wiki)).toMatchObject({ writerCount: 2 });
    bench.nowMs += 3_600_001;
    expect(reports.latestOf(wiki)).toBeUndefined();
  });

  test("a file that is gone, and what was written right before the end of a mount", async () => {
    const wiki = await volume("wiki");
    const [one, two] = [use(wiki, "one"), use(wiki, "two"), use(wiki, "three")];
    look();
    writes.write(one, "gone", 1);
    writes.write(two, "gone", 2);
    holds.shift();
    look();
    await until(() => told().length > 0);
    expect(told()).toMatchObject([{ file: "(gone)" }]);
  });

  test("what is asked for knows all that was written and who is there until then", async () => {
    await guard.stop();
    guard = open(60_000);
    const wiki = await volume("wiki");
    const [one, two] = [use(wiki, "one"), use(wiki, "two")];
    await guard.settle(bench.operation());
    writes.write(one, "page", 1);
    writes.write(two, "page", 2);
    await guard.settle(bench.operation());
    expect(told()).toHaveLength(1);
  });

  test("what is expensive is read in turn, a few at a time, and less often", async () => {
    writes.costMs = 20;
    const wiki = await volume("wiki");
    const targets = ["one", "two", "three", "four", "five"].map((name) => use(wiki, name));
    look();
    const startedMs = performance.now();
    await until(() => writes.reads.length >= 15);
    // Three in a round, and four times as long a pause: 60 ms of reads, then 240.
    expect(performance.now() - startedMs).toBeGreaterThan(4 * 240);
    expect(writes.reads.slice(0, 10)).toEqual([...targets, ...targets]);
  });

  test("gaps are counted", async () => {
    const wiki = await volume("wiki");
    const one = use(wiki, "one");
    use(wiki, "two");
    look();
    writes.cut.add(one);
    await until(() => guard.figures.gaps === 1);
  });
});
