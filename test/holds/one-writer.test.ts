// One writer at a time, asked for before the start, with a real dockerd: sharing=onewriter.
import { afterAll, afterEach, beforeAll, describe, expect } from "bun:test";
import { eventually } from "../support/child.ts";
import { HoldsBench } from "../support/holds-bench.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { testImage } from "../support/test-image.ts";

const requirements: readonly Requirement[] = ["root", "dockerd", "docker-cli", "mount", "busybox"];
const startMs = 120_000;
const testMs = 120_000;
const roundCount = 3;

let bench: HoldsBench;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  bench = new HoldsBench();
  await bench.start();
}, startMs);
afterEach(async () => {
  if (bench === undefined) return;
  const ids = (await bench.docker("ps", "-aq")).split("\n").filter((id) => id !== "");
  if (ids.length > 0) await remove(...ids);
}, startMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), startMs);

function when(name: string, run: () => Promise<void>): void {
  whenPossible(requirements, name, run, testMs);
}

/** Makes a container without starting it. */
async function create(name: string, ...mounts: readonly string[]): Promise<void> {
  const place = ["--name", name, "--network", "none"];
  await bench.docker("create", ...place, ...mounts, testImage, "sleep", "1000");
}

async function remove(...names: readonly string[]): Promise<void> {
  await bench.docker("rm", "-f", ...names);
}

async function running(...names: readonly string[]): Promise<readonly string[]> {
  const words = await Promise.all(
    names.map(async (name) => {
      const isRunning = await bench.docker("inspect", "-f", "{{.State.Running}}", name);
      return isRunning === "true" ? [name] : [];
    }),
  );
  return words.flat();
}

/** How long a container takes from `docker run` to running, in milliseconds. */
async function startedInMs(name: string, ...mounts: readonly string[]): Promise<number> {
  const fromMs = performance.now();
  await bench.run(name, ...mounts);
  return performance.now() - fromMs;
}

describe("sharing=onewriter", () => {
  when("many may read, and a second writer is refused, and never ran", async () => {
    await bench.createVolume("pages", "sharing=onewriter");
    await bench.run("reader1", "-v", "pages:/data:ro");
    await bench.run("writer", "-v", "pages:/data");
    await bench.run("reader2", "-v", "pages:/data:ro");
    await bench.holders("pages", "writer running rw", "reader1 running ro", "reader2 running ro");
    await create("second", "-v", "pages:/data");
    const words = await bench.refused("start", "second");
    expect(words.split("\n")[0]?.replace(/ '[^']*'/, "")).toBe(
      "Error response from daemon: error while mounting volume: volume pages has " +
        "sharing=onewriter, and writer has it read-write. Stop that container, or give the new " +
        "one the volume read-only (`:ro`): one at a time may write to it.",
    );
    expect(await bench.docker("inspect", "-f", "{{.State.StartedAt}}", "second")).toStartWith(
      "0001",
    );
    expect(await running("writer", "reader1", "reader2")).toHaveLength(3);
    expect((await bench.volume("pages")).state).toBe("in use");
    await remove("writer");
    await bench.docker("start", "second");
    await bench.holders("pages", "second running rw", "reader1 running ro", "reader2 running ro");
  });

  when("who reads is not kept waiting, whoever else stands by", async () => {
    await bench.createVolume("anybody");
    for (const name of ["quick", "crowded"]) await bench.createVolume(name, "sharing=onewriter");
    for (const name of ["anybody", "quick", "crowded"]) {
      await bench.run(`writer-${name}`, "-v", `${name}:/data`);
    }
    await create("idle", "-v", "crowded:/data");
    const rounds = { anybody: [] as number[], alone: [] as number[], beside: [] as number[] };
    for (let round = 0; round < 5; round++) {
      rounds.anybody.push(await startedInMs(`a${round}`, "-v", "anybody:/data:ro"));
      rounds.alone.push(await startedInMs(`b${round}`, "-v", "quick:/data:ro"));
      rounds.beside.push(await startedInMs(`c${round}`, "-v", "crowded:/data:ro"));
    }
    const fromMs = performance.now();
    await bench.refused("start", "idle");
    const refusedMs = performance.now() - fromMs;
    const middle = (all: readonly number[]) => all.toSorted((left, right) => left - right)[2] ?? 0;
    const { anybody, alone, beside } = rounds;
    console.info(
      `docker run of a reader: ${middle(anybody).toFixed()} ms with sharing=all, ` +
        `${middle(alone).toFixed()} ms beside a writer, ${middle(beside).toFixed()} ms beside a ` +
        `writer and an idle one; a second writer is refused in ${refusedMs.toFixed()} ms`,
    );
    // What asking about a container that is being started would cost.
    const lateMs = 2 * middle(anybody) + 900;
    expect(middle(alone)).toBeLessThan(lateMs);
    expect(middle(beside)).toBeLessThan(lateMs);
  });

  when("of two writers that start at the same instant one runs, and readers all do", async () => {
    await bench.createVolume("crossing", "sharing=onewriter");
    for (let round = 0; round < roundCount; round++) {
      const readers = ["read1", "read2"];
      const writers = ["left", "right"];
      for (const name of writers) await create(name, "-v", "crossing:/data");
      for (const name of readers) await create(name, "-v", "crossing:/data:ro");
      const all = [...readers, ...writers];
      const started = await Promise.all(all.map((name) => bench.dockerd.docker("start", name)));
      expect(started.slice(0, 2).map(({ exit }) => exit)).toEqual([0, 0]);
      // Where it cannot be told which one a Mount is for, the later writer is stopped instead.
      await eventually(async () => ((await running(...writers)).length === 1 ? true : undefined), {
        timeoutMs: 15_000,
        otherwise: () => bench.daemon.output(),
      });
      expect(await running(...readers)).toEqual(readers);
      await remove(...all);
    }
  });
});

describe("database=exclusive", () => {
  when("of what dockerd starts with itself one writes, and readers are there too", async () => {
    await bench.createVolume("boot", "database=exclusive");
    const always = ["--network", "none", "--restart", "always", "--stop-signal", "KILL"];
    const start = async (name: string, mount: string): Promise<number> => {
      const place = ["run", "-d", "--name", name, ...always, "-v", mount, testImage];
      return (await bench.dockerd.docker(...place, "sleep", "1000")).exit;
    };
    expect(await start("db", "boot:/data")).toBe(0);
    expect(await start("db2", "boot:/data")).not.toBe(0);
    expect(await start("exporter", "boot:/data:ro")).toBe(0);
    for (const name of ["first", "second"]) {
      await bench.dockerd.restart();
      let seen: readonly string[] = [];
      await eventually(
        async () => {
          seen = await running("db", "db2", "exporter");
          return seen.length === 2 && seen.includes("exporter") ? true : undefined;
        },
        {
          timeoutMs: 40_000,
          otherwise: () => `${name} restart: ${seen.join()} run\n${bench.daemon.output()}`,
        },
      );
    }
  });
});
