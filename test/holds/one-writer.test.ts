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
afterEach(async () => await bench?.removeAll(), startMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), startMs);

function when(name: string, run: () => Promise<void>): void {
  whenPossible(requirements, name, run, testMs);
}

describe("sharing=onewriter", () => {
  when("many may read, and a second writer is refused, and never ran", async () => {
    await bench.createVolume("pages", "sharing=onewriter");
    await bench.run("reader1", "-v", "pages:/data:ro");
    await bench.run("writer", "-v", "pages:/data");
    await bench.run("reader2", "-v", "pages:/data:ro");
    await bench.holders("pages", "writer running rw", "reader1 running ro", "reader2 running ro");
    await bench.create("second", "-v", "pages:/data");
    const words = await bench.refused("start", "second");
    expect(words.split("\n")[0]?.replace(/ '[^']*'/, "")).toBe(
      "Error response from daemon: error while mounting volume: volume pages has " +
        "sharing=onewriter, and writer has it read-write. Stop that container, or give the new " +
        "one the volume read-only (`:ro`): one at a time may write to it.",
    );
    expect(await bench.docker("inspect", "-f", "{{.State.StartedAt}}", "second")).toStartWith(
      "0001",
    );
    expect(await bench.running("writer", "reader1", "reader2")).toHaveLength(3);
    expect((await bench.volume("pages")).state).toBe("in use");
    await bench.remove("writer");
    await bench.docker("start", "second");
    await bench.holders("pages", "second running rw", "reader1 running ro", "reader2 running ro");
  });

  // How long it takes is a matter of what is asked: src/engine/sharing/admissions.test.ts.
  when("who reads is let in, whoever else stands by", async () => {
    for (const name of ["quick", "crowded"]) {
      await bench.createVolume(name, "sharing=onewriter");
      await bench.run(`writer-${name}`, "-v", `${name}:/data`);
    }
    await bench.create("idle", "-v", "crowded:/data");
    for (const name of ["quick", "crowded"]) {
      await bench.run(`reader-${name}`, "-v", `${name}:/data:ro`);
    }
    await bench.refused("start", "idle");
    expect(await bench.running("reader-quick", "reader-crowded")).toHaveLength(2);
  });

  when("of two writers that start at the same instant one runs, and readers all do", async () => {
    await bench.createVolume("crossing", "sharing=onewriter");
    for (let round = 0; round < roundCount; round++) {
      const readers = ["read1", "read2"];
      const writers = ["left", "right"];
      for (const name of writers) await bench.create(name, "-v", "crossing:/data");
      for (const name of readers) await bench.create(name, "-v", "crossing:/data:ro");
      const all = [...readers, ...writers];
      const started = await Promise.all(all.map((name) => bench.dockerd.docker("start", name)));
      expect(started.slice(0, 2).map(({ exit }) => exit)).toEqual([0, 0]);
      // Where it cannot be told which one a Mount is for, the later writer is stopped instead.
      await eventually(
        async () => ((await bench.running(...writers)).length === 1 ? true : undefined),
        {
          timeoutMs: 15_000,
          otherwise: () => bench.daemon.output(),
        },
      );
      expect(await bench.running(...readers)).toEqual(readers);
      await bench.remove(...all);
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
          seen = await bench.running("db", "db2", "exporter");
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
