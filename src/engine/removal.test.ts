// Removal: refused while held, undone when it fails, gentle with what was not made here.
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  changedScratch,
  changedTrash,
  type EngineBench,
  type EngineBenchParts,
  failureOf,
  startedEngine,
} from "../../test/support/engine-bench.ts";
import type { VolumeDriver } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import { parseHolderId } from "../core/names.ts";
import type { VolumeEntry } from "../core/state-store.ts";

const dead = new EngineError("storage.failed", "the disk does not answer");

/** A volume with a file in it. */
async function filled(bench: EngineBench, name: string, driver = "local"): Promise<VolumeEntry> {
  const request = { name, driver, options: null, labels: { kept: "yes" } };
  const entry = await bench.engine.volumes.create(request, bench.operation());
  const { mountpoint } = entry;
  writeFileSync(join(mountpoint === "" ? dataOfScratch(bench, name) : mountpoint, "file"), "data");
  return entry;
}

function dataOfScratch(bench: EngineBench, name: string): string {
  return join(bench.scratchRoot, "volumes", name, "_data");
}

function remove(bench: EngineBench, name: string): Promise<void> {
  return bench.engine.volumes.remove(name, bench.operation());
}

function rows(bench: EngineBench): readonly string[] {
  return bench.engine.volumes.list({}).map((entry) => entry.name);
}

/** The scratch driver without a trash, and with some members replaced. */
function withoutTrash(
  change: (driver: VolumeDriver) => Partial<VolumeDriver> = () => ({}),
): EngineBenchParts {
  return changedScratch((driver) => ({ trash: undefined, ...change(driver) }));
}

describe("remove", () => {
  test("takes the row and the directory away, and the data goes in the background", async () => {
    await using bench = await startedEngine();
    await filled(bench, "wiki");
    await remove(bench, "wiki");
    expect(rows(bench)).toEqual([]);
    expect(existsSync(bench.volumePath("wiki"))).toBe(false);
    expect(readdirSync(join(bench.root, "trash"))).toHaveLength(1);
    expect(bench.events.map((event) => event.action)).toEqual(["create", "destroy"]);
    expect(bench.state.history({ order: "newest first", countMax: 1 }).entries).toMatchObject([
      { action: "remove" },
    ]);
    await bench.purged();
    expect(readdirSync(join(bench.root, "trash"))).toEqual([]);
  });

  test("what is not there is Docker's 404, before and after", async () => {
    await using bench = await startedEngine();
    await filled(bench, "wiki");
    await remove(bench, "wiki");
    for (const name of ["wiki", "other", "", "../etc"]) {
      const { code, message } = await failureOf(remove(bench, name));
      expect(code).toBe("volume.not_found");
      expect(message).toEndWith("no such volume");
    }
  });

  test("refuses while held and names every holder", async () => {
    await using bench = await startedEngine();
    const { mountpoint } = await filled(bench, "wiki");
    for (const id of ["c1", "c2"]) {
      await bench.engine.volumes.mount("wiki", parseHolderId(id), bench.operation());
    }
    const { code, message, details } = await failureOf(remove(bench, "wiki"));
    expect(code).toBe("volume.in_use");
    expect(message).toBe("remove wiki: volume is in use - [c1, c2]");
    expect(details).toEqual({ holders: ["c1", "c2"] });
    expect(existsSync(join(mountpoint, "file"))).toBe(true);
    await bench.engine.volumes.unmount("wiki", parseHolderId("c1"), bench.operation());
    expect((await failureOf(remove(bench, "wiki"))).message).toContain("[c2]");
    await bench.engine.volumes.unmount("wiki", parseHolderId("c2"), bench.operation());
    await remove(bench, "wiki");
  });

  test("a holder of an earlier life still holds", async () => {
    await using bench = await startedEngine();
    await filled(bench, "wiki");
    await bench.engine.volumes.mount("wiki", parseHolderId("c1"), bench.operation());
    await bench.restart();
    expect((await failureOf(remove(bench, "wiki"))).code).toBe("volume.in_use");
  });

  test("the row is gone from the disk before the directory is moved", async () => {
    let rowsThen: readonly string[] | undefined;
    const parts = changedTrash((trash, bench) => ({
      retire: (name, retirement, operation) => {
        rowsThen = rows(bench);
        expect(existsSync(join(bench.volumePath(name), "_data", "file"))).toBe(true);
        return trash.retire(name, retirement, operation);
      },
    }));
    await using bench = await startedEngine(parts);
    await filled(bench, "wiki");
    await remove(bench, "wiki");
    expect(rowsThen).toEqual([]);
  });

  test("does not go on for an operation that is over", async () => {
    await using bench = await startedEngine();
    await filled(bench, "wiki");
    const controller = new AbortController();
    controller.abort(new EngineError("operation.cancelled", "nobody wants it any more"));
    const over = bench.operation(controller.signal);
    expect((await failureOf(bench.engine.volumes.remove("wiki", over))).code).toBe(
      "operation.cancelled",
    );
    expect(rows(bench)).toEqual(["wiki"]);
  });

  test("when the driver cannot tell, nothing is removed", async () => {
    await using bench = await startedEngine();
    const { mountpoint } = await filled(bench, "wiki");
    renameSync(bench.volumePath("wiki"), `${bench.volumePath("wiki")}-aside`);
    writeFileSync(bench.volumePath("wiki"), "no directory");
    const { code } = await failureOf(remove(bench, "wiki"));
    expect(code).toBe("volume.unknown");
    expect(rows(bench)).toEqual(["wiki"]);
    rmSync(bench.volumePath("wiki"));
    renameSync(`${bench.volumePath("wiki")}-aside`, bench.volumePath("wiki"));
    expect(existsSync(join(mountpoint, "file"))).toBe(true);
  });

  test("also when the move would have worked", async () => {
    await using bench = await startedEngine({
      drivers: (it) => [
        { ...it.local(), get: async () => ({ state: "unknown", reason: "no answer" }) },
      ],
    });
    const { mountpoint } = await filled(bench, "wiki");
    const { code, message } = await failureOf(remove(bench, "wiki"));
    expect([code, message]).toEqual(["volume.unknown", "remove wiki: no answer"]);
    expect(rows(bench)).toEqual(["wiki"]);
    expect(existsSync(join(mountpoint, "file"))).toBe(true);
  });

  test("a volume whose directory has vanished can be removed", async () => {
    await using bench = await startedEngine();
    await filled(bench, "wiki");
    rmSync(bench.volumePath("wiki"), { recursive: true });
    await remove(bench, "wiki");
    await bench.purged();
    expect(rows(bench)).toEqual([]);
  });
});

describe("a removal that fails", () => {
  test("puts the volume back as it was", async () => {
    let isDead = true;
    const parts = changedTrash((trash) => ({
      retire: (name, retirement, operation) =>
        isDead ? Promise.reject(dead) : trash.retire(name, retirement, operation),
    }));
    await using bench = await startedEngine(parts);
    const { mountpoint } = await filled(bench, "wiki");
    expect(await failureOf(remove(bench, "wiki"))).toBe(dead);
    expect(bench.engine.volumes.inspect("wiki").labels).toEqual({ kept: "yes" });
    expect(existsSync(join(mountpoint, "file"))).toBe(true);
    expect(bench.state.read((view) => [...view.retired()])).toEqual([]);
    expect(bench.events.map((event) => event.action)).toEqual(["create"]);
    await bench.restart();
    expect(bench.engine.recovery.retired).toEqual([]);
    isDead = false;
    await remove(bench, "wiki");
    expect(rows(bench)).toEqual([]);
  });

  test("only in its answer has been done, and is finished", async () => {
    const parts = changedTrash((trash) => ({
      retire: async (name, retirement, operation) => {
        await trash.retire(name, retirement, operation);
        throw dead;
      },
    }));
    await using bench = await startedEngine(parts);
    await filled(bench, "wiki");
    await remove(bench, "wiki");
    await bench.purged();
    await bench.restart();
    expect(rows(bench)).toEqual([]);
    expect(bench.engine.recovery.strays).toEqual([]);
  });

  test("and then cannot tell, leaves a row that the next start brings to its data", async () => {
    let isDead = false;
    const parts: EngineBenchParts = {
      drivers: (bench) => {
        const driver = bench.local();
        const { trash } = driver;
        return [
          {
            ...driver,
            get: (name, operation) => (isDead ? Promise.reject(dead) : driver.get(name, operation)),
            trash: trash && {
              ...trash,
              retire: async (name, retirement, operation) => {
                await trash.retire(name, retirement, operation);
                isDead = true;
                throw dead;
              },
            },
          },
        ];
      },
    };
    await using bench = await startedEngine(parts);
    const { mountpoint } = await filled(bench, "wiki");
    expect(await failureOf(remove(bench, "wiki"))).toBe(dead);
    isDead = false;
    // The data is not found now; a second failure must not forget by what it is known.
    expect(await failureOf(remove(bench, "wiki"))).toBe(dead);
    isDead = false;
    await bench.restart();
    expect(rows(bench)).toEqual(["wiki"]);
    expect(existsSync(join(mountpoint, "file"))).toBe(true);
  });
});

describe("removal by a driver without a trash", () => {
  test("destroys what was made, between two commits", async () => {
    const phases: (string | undefined)[] = [];
    const parts: EngineBenchParts = {
      drivers: (bench) => {
        const driver = bench.scratch();
        return [
          {
            ...driver,
            trash: undefined,
            destroy: (name, operation) => {
              phases.push(bench.state.read((view) => view.volume(name)?.phase));
              return driver.destroy(name, operation);
            },
          },
        ];
      },
    };
    await using bench = await startedEngine(parts);
    await filled(bench, "wiki", "scratch");
    await remove(bench, "wiki");
    expect(phases).toEqual(["removing"]);
    expect(rows(bench)).toEqual([]);
    expect(existsSync(dataOfScratch(bench, "wiki"))).toBe(false);
    expect(bench.events.map((event) => event.action)).toEqual(["create", "destroy"]);
  });

  test("a failure makes the volume usable again", async () => {
    await using bench = await startedEngine(withoutTrash(() => ({ destroy: () => fail() })));
    await filled(bench, "wiki", "scratch");
    expect(await failureOf(remove(bench, "wiki"))).toBe(dead);
    expect(bench.engine.volumes.inspect("wiki").phase).toBe("ready");
    expect(existsSync(join(dataOfScratch(bench, "wiki"), "file"))).toBe(true);
  });

  test("what was adopted is forgotten, and its data stays", async () => {
    const destroyed: string[] = [];
    const parts = withoutTrash((driver) => ({
      rebuild: undefined,
      destroy: (name, operation) => {
        destroyed.push(name);
        return driver.destroy(name, operation);
      },
    }));
    await using bench = await startedEngine(parts);
    mkdirSync(dataOfScratch(bench, "wiki"), { recursive: true });
    const entry = await filled(bench, "wiki", "scratch");
    expect(entry.origin).toBe("adopted");
    await remove(bench, "wiki");
    expect(destroyed).toEqual([]);
    expect(existsSync(join(dataOfScratch(bench, "wiki"), "file"))).toBe(true);
    expect(rows(bench)).toEqual([]);
  });
});

test("with a trash, too, what was adopted stays where it is", async () => {
  await using bench = await startedEngine({
    drivers: (it) => [{ ...it.scratch(), rebuild: undefined }],
  });
  mkdirSync(dataOfScratch(bench, "wiki"), { recursive: true });
  await filled(bench, "wiki", "scratch");
  await remove(bench, "wiki");
  await bench.purged();
  expect(existsSync(join(dataOfScratch(bench, "wiki"), "file"))).toBe(true);
});

function fail(): Promise<never> {
  return Promise.reject(dead);
}
