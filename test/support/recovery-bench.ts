// Starts over a storage that differs from the rows, and what recovery says that it found.
import { expect } from "bun:test";
import type { VolumeDriver } from "../../src/core/driver.ts";
import { EngineError } from "../../src/core/errors.ts";
import { makeTrashId } from "../../src/core/names.ts";
import type { RetiredEntry, VolumeEntry } from "../../src/core/state-store.ts";
import type { RecoveryReport } from "../../src/engine/recovery/recovery-stage.ts";
import {
  changedScratch,
  type EngineBench,
  type EngineBenchParts,
  startedEngine,
} from "./engine-bench.ts";

/** What a storage throws that is there and does not work. */
export const dead = new EngineError("storage.failed", "the disk does not answer");

export const idOfTrash = makeTrashId("0123456789abcdef");

/** The report of a start that found nothing. */
export const nothingFound: RecoveryReport = {
  adopted: [],
  rebuilt: [],
  retired: [],
  forgotten: [],
  missing: [],
  restored: [],
  leftRemoved: [],
  renamed: [],
  trashFound: [],
  strays: [],
  unlisted: [],
  failed: [],
};

/** Findings by their kind; names are plain strings here. */
type Findings = Readonly<Partial<Record<keyof RecoveryReport, readonly string[]>>>;

/** The report with these findings and no others. */
export function only(found: Findings): object {
  return { ...nothingFound, ...found };
}

/** An engine with the volume `wiki`. */
export async function withVolume(
  parts: EngineBenchParts = {},
  driver = "local",
): Promise<{ readonly bench: EngineBench; readonly entry: VolumeEntry }> {
  const bench = await startedEngine(parts);
  const request = { name: "wiki", driver, options: null, labels: { a: "1" } };
  const entry = await bench.engine.volumes.create(request, bench.operation());
  return { bench, entry };
}

/** The start finds what is expected, and the one after it finds nothing left to do. */
export async function startsWith(
  bench: EngineBench,
  first: Findings,
  second: Findings = {},
): Promise<void> {
  await bench.restart();
  expect(bench.engine.recovery as object).toEqual(only(first));
  await bench.restart();
  expect(bench.engine.recovery as object).toEqual(only(second));
}

/** The scratch driver without rebuild, with some members replaced. */
export function bracketed(
  change: (driver: VolumeDriver) => Partial<VolumeDriver> = () => ({}),
): EngineBenchParts {
  return changedScratch((driver) => ({ rebuild: undefined, ...change(driver) }));
}

/** Removes a volume of `local` by its row alone: its directory stays in its old place. */
export async function retireRow(bench: EngineBench, entry: VolumeEntry): Promise<void> {
  const presence = await bench.local().get(entry.name, bench.operation());
  if (presence.state !== "found") throw new Error("the volume is there");
  const volume = { ...entry, identity: presence.record.identity };
  await bench.state.write((transaction) => {
    transaction.removeVolume(entry.name);
    transaction.putRetired(retiredRow(volume));
  });
}

/** The row of a volume that was removed just now and is to be purged. */
export function retiredRow(volume: VolumeEntry, more: Partial<RetiredEntry> = {}): RetiredEntry {
  const retiredAtMs = Date.now();
  return {
    ...{ id: idOfTrash, volume, phase: "purging", retiredAtMs, removedBy: "holdfast" },
    ...{ purgeAtMs: retiredAtMs, sizeBytes: null, aliases: [] },
    ...more,
  };
}
