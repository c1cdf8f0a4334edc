// Upkeep: protection, labels, note and options of a volume that stays.
import { describe, expect, test } from "bun:test";
import {
  create,
  type EngineBench,
  failureOf,
  named,
  startedEngine,
} from "../../test/support/engine-bench.ts";
import { newest as changed } from "../../test/support/upkeep-bench.ts";
import { parseHolderId } from "../core/names.ts";
import {
  DESCRIPTION_BYTES_MAX,
  type HistoryAction,
  type VolumeEntry,
} from "../core/state-store.ts";
import type { VolumeChange } from "./upkeep.ts";

const reason = "prod orders, ask before touching";
const nothing: VolumeChange = {
  labelsSet: {},
  labelsRemoved: [],
  optionsSet: {},
  optionsRemoved: [],
};

async function withVolume(): Promise<EngineBench> {
  const bench = await startedEngine();
  await create(bench, named("pgdata"));
  return bench;
}

function protect(bench: EngineBench, text = reason): Promise<VolumeEntry> {
  return bench.engine.upkeep.protect("pgdata", text, bench.operation());
}

function update(bench: EngineBench, change: Partial<VolumeChange>): Promise<VolumeEntry> {
  return bench.engine.upkeep.update("pgdata", { ...nothing, ...change }, bench.operation());
}

function newest(
  bench: EngineBench,
  countMax: number,
): readonly (readonly [HistoryAction, string])[] {
  const { entries } = bench.engine.history.all({ countMax });
  return entries.map(({ action, subject }) => [action, subject]);
}

describe("protection", () => {
  test("is part of the volume, in the history and an event, and survives a restart", async () => {
    await using bench = await withVolume();
    const { protection } = await protect(bench);
    expect(protection).toEqual({ reason, sinceMs: bench.nowMs, by: "holdfast" });
    expect(newest(bench, 1)).toEqual([["protect", reason]]);
    expect(bench.events.at(-1)).toMatchObject({ action: "protect", attributes: { reason } });
    await bench.restart();
    expect(bench.engine.volumes.inspect("pgdata").protection).toEqual(protection);
  });

  test("refuses a removal and a rename in Docker's words, and the history tells", async () => {
    await using bench = await withVolume();
    await protect(bench);
    const removed = await failureOf(bench.engine.volumes.remove("pgdata", bench.operation()));
    expect([removed.code, removed.message]).toEqual([
      "volume.protected",
      `remove pgdata: volume is protected: ${reason}`,
    ]);
    const how = { keepAlias: false };
    const { upkeep } = bench.engine;
    const renamed = await failureOf(upkeep.rename("pgdata", "orders", how, bench.operation()));
    expect(renamed.message).toBe(`rename pgdata: volume is protected: ${reason}`);
    await changed(
      bench,
      "remove pgdata (volume.protected)",
      "rename pgdata orders (volume.protected)",
    );
  });

  test("can have a new reason, and is lifted", async () => {
    await using bench = await withVolume();
    await protect(bench);
    const { protection } = await protect(bench, "audit until May");
    expect(protection?.reason).toBe("audit until May");
    const { upkeep, volumes } = bench.engine;
    expect((await upkeep.unprotect("pgdata", bench.operation())).protection).toBeNull();
    expect(newest(bench, 1)).toEqual([["unprotect", ""]]);
    // Of what is not protected nothing is changed.
    await upkeep.unprotect("pgdata", bench.operation());
    expect(newest(bench, 2).map(([action]) => action)).toEqual(["unprotect", "protect"]);
    await volumes.remove("pgdata", bench.operation());
  });

  test("in the trash wants a reason of one line, too", async () => {
    await using bench = await withVolume();
    await bench.engine.volumes.remove("pgdata", bench.operation());
    const { id } = bench.engine.trash.find("pgdata");
    const refused = bench.engine.trash.protect(id, "a\nb", bench.operation());
    expect((await failureOf(refused)).code).toBe("request.invalid");
    expect(bench.engine.trash.find("pgdata").volume.protection).toBeNull();
  });

  test("wants a reason of one line", async () => {
    await using bench = await withVolume();
    for (const text of ["", "  ", "a\nb", "a\u2028b", "x".repeat(1_001)]) {
      expect((await failureOf(protect(bench, text))).code).toBe("request.invalid");
    }
    expect((await protect(bench, "x".repeat(1_000))).protection?.reason).toHaveLength(1_000);
    const missing = bench.engine.upkeep.protect("other", reason, bench.operation());
    expect((await failureOf(missing)).code).toBe("volume.not_found");
  });
});

describe("update", () => {
  test("sets and removes labels, the note and options of the engine in one change", async () => {
    await using bench = await startedEngine();
    const labels = { tier: "test", owner: "ann" };
    await create(bench, named("pgdata", { labels, options: { sharing: "none", mode: "0750" } }));
    const entry = await update(bench, {
      labelsSet: { tier: "prod" },
      labelsRemoved: ["owner", "never-there"],
      note: "orders of the shop",
      optionsSet: { sharing: "onewriter" },
      optionsRemoved: ["mode"],
    });
    expect([entry.labels, entry.options, entry.note]).toEqual([
      { tier: "prod" },
      { sharing: "onewriter" },
      "orders of the shop",
    ]);
    const changed = "label owner, label tier, option mode=, option sharing=onewriter, note";
    expect(newest(bench, 1)).toEqual([["update", changed]]);
    expect(bench.events.at(-1)).toMatchObject({ action: "update", attributes: { changed } });
    await bench.restart();
    expect(bench.engine.volumes.inspect("pgdata")).toEqual(entry);
    expect((await update(bench, { note: null })).note).toBeNull();
  });

  test("that changes nothing writes nothing, and keeps null labels and options null", async () => {
    await using bench = await withVolume();
    const before = bench.engine.volumes.inspect("pgdata");
    expect(await update(bench, { labelsRemoved: ["tier"], optionsRemoved: ["sharing"] })).toEqual(
      before,
    );
    expect(newest(bench, 9).map(([action]) => action)).toEqual(["create"]);
    await update(bench, { labelsSet: { tier: "prod" } });
    expect((await update(bench, { labelsRemoved: ["tier"] })).labels).toEqual({});
  });

  test("refuses options of the driver, what a create refuses, and what is too long", async () => {
    await using bench = await withVolume();
    const refused = async (change: Partial<VolumeChange>) =>
      (await failureOf(update(bench, change))).code;
    const driver = await failureOf(update(bench, { optionsSet: { device: "/srv" } }));
    expect(driver.message).toStartWith('the option "device" is not the engine\'s and stays');
    expect(driver.details["option"]).toBe("device");
    expect(await refused({ optionsRemoved: ["type"] })).toBe("volume.option_invalid");
    expect(await refused({ optionsSet: { sharing: "some" } })).toBe("volume.option_invalid");
    expect(await refused({ note: "" })).toBe("request.invalid");
    expect(await refused({ note: "two\nlines" })).toBe("request.invalid");
    const labelsSet = { big: "x".repeat(DESCRIPTION_BYTES_MAX) };
    expect(await refused({ labelsSet })).toBe("request.invalid");
    expect(newest(bench, 9).map(([action]) => action)).toEqual(["create"]);
  });

  test("of many at once loses none", async () => {
    await using bench = await withVolume();
    const keys = Array.from({ length: 20 }, (_, index) => `key-${index}`);
    await Promise.all(keys.map((key) => update(bench, { labelsSet: { [key]: "" } })));
    const { labels } = bench.engine.volumes.inspect("pgdata");
    expect(Object.keys(labels ?? {}).sort()).toEqual(keys.sort());
  });

  test("a volume that a client holds keeps its changes when it ends", async () => {
    await using bench = await withVolume();
    const { volumes } = bench.engine;
    const holder = parseHolderId("job");
    await volumes.mount("pgdata", holder, bench.operation());
    await update(bench, { note: "while it is held" });
    await protect(bench);
    bench.nowMs += 5_000;
    await volumes.unmount("pgdata", holder, bench.operation());
    const { note, protection, lastUse, name } = volumes.inspect("pgdata");
    expect([note, protection?.reason]).toEqual(["while it is held", reason]);
    expect(lastUse).toEqual({ atMs: bench.nowMs, holder: "job" });
    expect(bench.engine.lastUse.holderOf(name)).toBe("job");
    expect(newest(bench, 1)).toEqual([["unmount", "job"]]);
  });
});
