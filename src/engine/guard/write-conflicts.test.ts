// The rules by which two writers of one file are told, on seeds and one by one.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Conflict, type Findings, WINDOW_MS, WriteConflicts } from "./write-conflicts.ts";

const POLL_MS = 200;
const HOUR_MS = 3_600_000;

/** A volume's containers, each read every 200 milliseconds. */
class Volume {
  readonly conflicts: WriteConflicts;
  readonly told: Conflict[] = [];
  nowMs = 0;

  constructor(fileCountMax = 1_000) {
    this.conflicts = new WriteConflicts(() => fileCountMax);
  }

  /** What has been written in the last 200 milliseconds, by container. */
  poll(written: Readonly<Record<string, readonly string[]>> = {}, pauseMs = POLL_MS): Findings[] {
    const afterMs = this.nowMs;
    this.nowMs += pauseMs;
    const found = Object.entries(written).map(([container, files]) =>
      this.conflicts.note({
        container,
        written: files.map((file) => ({ file, program: `of ${container}` })),
        ...{ afterMs, atMs: this.nowMs },
      }),
    );
    this.told.push(...found.flatMap(({ news }) => news));
    return found;
  }

  rest(ms: number): void {
    this.nowMs += ms - POLL_MS;
    this.poll();
  }
}

describe("two writers of one file", () => {
  test("are told once, with who was first and the programs", () => {
    const volume = new Volume();
    volume.poll({ web: ["a"] });
    volume.poll({ job: ["a", "b"] });
    volume.poll({ web: ["a"], job: ["a"] });
    expect(volume.told).toEqual([
      {
        file: "a",
        writers: [
          { container: "web", program: "of web" },
          { container: "job", program: "of job" },
        ],
      },
    ]);
  });

  test("in the same moment are told, and so is each pair of three", () => {
    const volume = new Volume();
    volume.poll({ a: ["x"], b: ["x"], c: ["x"] });
    const pairs = volume.told.map(({ writers }) => writers.map(({ container }) => container));
    expect(pairs).toEqual([
      ["a", "b"],
      ["a", "c"],
      ["b", "c"],
    ]);
  });

  test("who goes on is told again only after ten minutes of quiet", () => {
    const volume = new Volume();
    const both = { a: ["x"], b: ["x"] };
    for (let minute = 0; minute < 30; minute += 1) {
      expect(volume.poll(both).some(({ isConflict }) => isConflict)).toBe(true);
      volume.rest(60_000);
    }
    expect(volume.told).toHaveLength(1);
    volume.rest(600_000);
    volume.poll(both);
    expect(volume.told).toHaveLength(2);
  });

  test("a program that was gone is the one that the container wrote with before", () => {
    const volume = new Volume();
    volume.poll({ a: ["x"] });
    const at = { container: "a", afterMs: volume.nowMs, atMs: volume.nowMs };
    volume.conflicts.note({ ...at, written: [{ file: "x", program: "" }] });
    volume.poll({ b: ["x"] });
    expect(volume.told[0]?.writers[0]).toEqual({ container: "a", program: "of a" });
  });
});

describe("no conflict is", () => {
  test("a container alone, whatever it writes", () => {
    const volume = new Volume();
    for (let count = 0; count < 100; count += 1) volume.poll({ a: ["x", "y"] });
    expect(volume.told).toEqual([]);
  });

  test("different files: a publisher's new one has another handle", () => {
    const volume = new Volume();
    for (let count = 0; count < 100; count += 1) volume.poll({ a: [`${count}`], b: [`b${count}`] });
    expect(volume.told).toEqual([]);
  });

  test("a file that is handed over after the window", () => {
    const volume = new Volume();
    volume.poll({ a: ["x"] });
    volume.rest(WINDOW_MS);
    volume.poll({ b: ["x"] });
    expect(volume.told).toEqual([]);
  });

  test("a file of a container that is gone, however soon", () => {
    const volume = new Volume();
    volume.poll({ old: ["x"], other: ["y"] });
    volume.conflicts.forget("old");
    volume.poll({ new: ["x"] });
    expect(volume.told).toEqual([]);
    volume.poll({ new: ["y"] });
    expect(volume.told).toHaveLength(1);
  });

  test("what was written at some time in a long pause", () => {
    const volume = new Volume();
    volume.poll({ a: ["x"], b: ["x"] }, WINDOW_MS + 1);
    expect(volume.told).toEqual([]);
  });
});

describe("bounds", () => {
  test("of reports in an hour, and what is beyond is counted", () => {
    const volume = new Volume();
    const files = Array.from({ length: 100 }, (_, index) => `${index}`);
    volume.poll({ a: files, b: files });
    expect(volume.told).toHaveLength(60);
    expect(volume.conflicts.unreportedCount).toBe(40);
    volume.rest(HOUR_MS);
    volume.poll({ a: ["new"], b: ["new"] });
    expect(volume.told).toHaveLength(61);
  });

  test("of files: the ones written longest ago are forgotten, which is counted", () => {
    const volume = new Volume(10);
    volume.poll({ a: Array.from({ length: 11 }, (_, index) => `${index}`) });
    expect(volume.conflicts.fileCount).toBe(10);
    expect(volume.conflicts.cutCount).toBe(1);
    volume.poll({ b: ["0"] });
    volume.poll({ b: ["10"] });
    expect(volume.told.map(({ file }) => file)).toEqual(["10"]);
  });

  test("of time: what is out of the window is kept by nobody", () => {
    const volume = new Volume();
    volume.poll({ a: ["x", "y"], b: ["z"] });
    volume.rest(WINDOW_MS + POLL_MS);
    volume.poll({ a: ["w"] });
    expect(volume.conflicts.fileCount).toBe(1);
  });
});

/** A write at a moment, in milliseconds. */
interface Moment {
  readonly atMs: number;
  readonly container: string;
  readonly file: string;
}

const moments = fc.array(
  fc.record({
    atMs: fc.integer({ min: 0, max: 20_000 }),
    container: fc.constantFrom("a", "b", "c"),
    file: fc.constantFrom("x", "y"),
  }),
  { maxLength: 30 },
);

/** Runs them against reads with these pauses between them. */
function run(all: readonly Moment[], pauses: readonly number[]): readonly string[] {
  const volume = new Volume();
  for (let index = 0; volume.nowMs < 21_000; index += 1) {
    const pauseMs = pauses[index % pauses.length] ?? POLL_MS;
    const until = volume.nowMs + pauseMs;
    const now = all.filter(({ atMs }) => atMs >= volume.nowMs && atMs < until);
    const byContainer = Object.groupBy(now, ({ container }) => container);
    const written = Object.entries(byContainer).map(([container, own = []]) => [
      container,
      own.map(({ file }) => file),
    ]);
    volume.poll(Object.fromEntries(written), pauseMs);
  }
  return volume.told.map(({ file, writers }) =>
    nameOf(file, ...writers.map(({ container }) => container)),
  );
}

function nameOf(file: string, ...containers: readonly string[]): string {
  return `${file} ${[...containers].sort().join(" ")}`;
}

/** Pairs of containers that wrote a file within so many milliseconds. */
function pairsWithin(all: readonly Moment[], ms: number): ReadonlySet<string> {
  const found = new Set<string>();
  for (const one of all) {
    for (const other of all) {
      if (one.file !== other.file || one.container === other.container) continue;
      if (Math.abs(one.atMs - other.atMs) > ms) continue;
      found.add(nameOf(one.file, one.container, other.container));
    }
  }
  return found;
}

test("seeded: nothing is told that was not, however late the reads, and each pair once", () => {
  const pauses = fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(moments, pauses, (all, reads) => {
      const told = run(all, reads);
      const real = pairsWithin(all, WINDOW_MS);
      for (const pair of told) expect(real).toContain(pair);
      expect(new Set(told).size).toBe(told.length);
    }),
    { numRuns: 2_000 },
  );
});

test("seeded: with reads in time nothing is missed that is nearer than the window less two", () => {
  const pauses = fc.array(fc.integer({ min: 50, max: 250 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(moments, pauses, (all, reads) => {
      const told = new Set(run(all, reads));
      for (const pair of pairsWithin(all, WINDOW_MS - 2 * 250)) expect(told).toContain(pair);
    }),
    { numRuns: 2_000 },
  );
});
