// Options of a driver that can change them: the row and the driver agree, whatever happens between.
import { describe, expect, test } from "bun:test";
import { create, failureOf, named } from "../../test/support/engine-bench.ts";
import { IllBench } from "../../test/support/ill-bench.ts";
import { parseHolderId } from "../core/names.ts";
import type { StateStore } from "../core/state-store.ts";
import type { VolumeChange } from "./upkeep.ts";

const nothing: VolumeChange = {
  ...{ labelsSet: {}, labelsRemoved: [], optionsSet: {}, optionsRemoved: [] },
};

async function withMedia(parts: ConstructorParameters<typeof IllBench>[0] = {}): Promise<IllBench> {
  const bench = await new IllBench(parts).start();
  await bench.add("10.0.0.5", ["media"], false);
  return bench;
}

function update(bench: IllBench, optionsSet: Readonly<Record<string, string>>) {
  const { upkeep } = bench.engines.engine;
  return upkeep.update("media", { ...nothing, optionsSet }, bench.engines.operation());
}

describe("an update of a driver's options", () => {
  test("changes the driver, the row, the history and an event; the engine's stay", async () => {
    await using bench = await withMedia();
    await update(bench, { sharing: "none" });
    expect(bench.ill.calls.filter((call) => call.startsWith("update"))).toEqual([]);
    await update(bench, { server: "10.0.0.6" });
    expect(bench.volumes.inspect("media").options).toEqual({ server: "10.0.0.6", sharing: "none" });
    expect(bench.ill.options.get("media")).toEqual({ server: "10.0.0.6" });
    const attributes = { changed: "option server=10.0.0.6" };
    expect(bench.engines.events.at(-1)).toMatchObject({ action: "update", attributes });
    await bench.engines.restart();
    expect(bench.volumes.inspect("media").options).toMatchObject({ server: "10.0.0.6" });
  });

  test("that the driver refuses leaves everything as it was", async () => {
    await using bench = await withMedia();
    const { code } = await failureOf(update(bench, { server: "nowhere", sharing: "none" }));
    expect(code).toBe("remote.test_failed");
    expect(bench.volumes.inspect("media").options).toEqual({ server: "10.0.0.5" });
    expect(bench.ill.options.get("media")).toEqual({ server: "10.0.0.5" });
  });

  test("whose row cannot be written is taken back from the driver", async () => {
    let isFull = false;
    const failing = (state: StateStore): StateStore => ({
      origin: state.origin,
      id: state.id,
      read: (work) => state.read(work),
      history: (query) => state.history(query),
      close: () => state.close(),
      write: (work, how) =>
        isFull ? Promise.reject(new Error("no space left")) : state.write(work, how),
    });
    await using bench = await withMedia({ state: failing });
    isFull = true;
    await expect(update(bench, { server: "10.0.0.6" })).rejects.toThrow("no space left");
    isFull = false;
    expect(bench.volumes.inspect("media").options).toEqual({ server: "10.0.0.5" });
    expect(bench.ill.options.get("media")).toEqual({ server: "10.0.0.5" });
  });

  test("after a crash before the row was written the next mount goes by the row", async () => {
    await using bench = await withMedia();
    bench.ill.options.set("media", { server: "10.0.0.6" });
    await bench.volumes.mount("media", parseHolderId("c1"), bench.engines.operation());
    expect(bench.ill.options.get("media")).toEqual({ server: "10.0.0.5" });
    expect(bench.ill.calls).toContain("update media");
  });

  test("is refused where the driver cannot change them", async () => {
    await using bench = await withMedia();
    await create(bench.engines, named("here"));
    const { upkeep } = bench.engines.engine;
    const change = { ...nothing, optionsSet: { server: "10.0.0.6" } };
    const refused = await failureOf(upkeep.update("here", change, bench.engines.operation()));
    expect(refused.code).toBe("volume.option_invalid");
  });
});

describe("a flush", () => {
  test("tells what is left, and ends at once where everything is there", async () => {
    await using bench = await withMedia();
    bench.ill.unsaved = [300, 100];
    const told: number[] = [];
    const { upkeep } = bench.engines.engine;
    await upkeep.flush("media", bench.engines.operation(), ({ bytes }) => told.push(bytes));
    expect(told).toEqual([300, 100]);
    await create(bench.engines, named("here"));
    await upkeep.flush("here", bench.engines.operation());
    const missing = await failureOf(upkeep.flush("nobody", bench.engines.operation()));
    expect(missing.code).toBe("volume.not_found");
  });
});
