// What the checks say again and again, in words that make a broken promise readable.
import { deepEqual, equal, fail, notEqual } from "node:assert/strict";
import type { DriverOptions, Retirement, VolumeRecord } from "../core/driver.ts";
import type { ErrorCode } from "../core/error-table.ts";
import { EngineError } from "../core/errors.ts";
import type { HolderId, TrashId, VolumeName } from "../core/names.ts";
import type { DriverBench } from "./driver-bench.ts";

/** Asserts that `work` rejects with an `EngineError` of one of these codes, and returns it. */
export async function rejectsWith(
  codes: ErrorCode | readonly ErrorCode[],
  what: string,
  work: Promise<unknown>,
): Promise<EngineError> {
  const expected = typeof codes === "string" ? [codes] : codes;
  const wanted = `${what} must throw ${expected.join(" or ")}`;
  const [outcome] = await Promise.allSettled([work]);
  if (outcome.status === "fulfilled") fail(`${wanted}, but it succeeds`);
  const error: unknown = outcome.reason;
  if (!(error instanceof EngineError)) fail(`${wanted}, but it throws ${String(error)}`);
  if (!expected.includes(error.code)) {
    fail(`${wanted}, but it throws ${error.code}: ${error.message}`);
  }
  return error;
}

/** Awaits `work` and says what failed when it rejects. */
export async function succeeds<T>(what: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const reason = error instanceof EngineError ? `${error.code}: ${error.message}` : String(error);
    return fail(`${what} must succeed, but it throws ${reason}`);
  }
}

/** Everything an iterable yields. */
export async function collect<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

/** Creates the bench's volume with this label. */
export async function create(
  bench: DriverBench,
  label: string,
  options: DriverOptions = bench.optionSets[0],
): Promise<VolumeRecord> {
  return await bench.driver.create({ name: bench.name(label), options }, bench.operation());
}

/** The record of a volume that must be found. */
export async function mustFind(bench: DriverBench, name: VolumeName): Promise<VolumeRecord> {
  const presence = await bench.driver.get(name, bench.operation());
  if (presence.state !== "found") fail(`get must find ${name}, but says ${presence.state}`);
  return presence.record;
}

/**
 * Asserts that two records tell of the same volume. Their times may differ: one driver asks the
 * clock, another the storage. An identity of "" says nothing.
 */
export function sameVolume(actual: VolumeRecord, expected: VolumeRecord): void {
  const unknown = actual.identity === "" || expected.identity === "";
  const identity = unknown ? "" : actual.identity;
  const { createdAtMs: _, ...rest } = expected;
  const { createdAtMs: __, ...shown } = actual;
  deepEqual({ ...shown, identity }, { ...rest, identity: unknown ? "" : expected.identity });
}

/** What the checks fire signals with. */
export function cancelled(): EngineError {
  return new EngineError("operation.cancelled", "cancelled by a conformance check");
}

/** Asserts that `get` does not find the volume and `list` does not show it. */
export async function mustBeGone(bench: DriverBench, name: VolumeName): Promise<void> {
  const presence = await bench.driver.get(name, bench.operation());
  notEqual(presence.state, "found", `get of ${name}`);
  const records = await collect(bench.driver.list(bench.operation()));
  equal(records.filter((record) => record.name === name).length, 0, `list shows ${name}`);
}

/** Mounts, for the first holder unless another is given. */
export async function mount(
  bench: DriverBench,
  name: VolumeName,
  holder: HolderId = bench.holders.first,
): Promise<string> {
  return await bench.driver.mount(name, holder, bench.operation());
}

/** Unmounts, for the first holder unless another is given. */
export async function unmount(
  bench: DriverBench,
  name: VolumeName,
  holder: HolderId = bench.holders.first,
): Promise<void> {
  await bench.driver.unmount(name, holder, bench.operation());
}

/** Writes one file of the volume, mounted for as long as that takes. */
export async function writeInto(
  bench: DriverBench,
  name: VolumeName,
  text: string,
  file = "data",
): Promise<void> {
  const path = await mount(bench, name);
  await bench.files.write(`${path}/${file}`, text);
  await unmount(bench, name);
}

/** Asserts what one file of the volume holds; undefined means that it is not there. */
export async function mustHold(
  bench: DriverBench,
  name: VolumeName,
  text: string | undefined,
  file = "data",
): Promise<void> {
  const path = await mount(bench, name);
  const exists = await bench.files.exists(`${path}/${file}`);
  const actual = exists ? await bench.files.read(`${path}/${file}`) : undefined;
  await unmount(bench, name);
  equal(actual, text, `the file ${file} of volume ${name}`);
}

/** Puts all kinds of things into an empty directory and returns their sum by Docker's rule. */
export async function fill({ files }: DriverBench, path: string): Promise<number> {
  await files.makeDirectory(`${path}/below`);
  await files.write(`${path}/large`, "x".repeat(100_000));
  await files.write(`${path}/below/small`, "x".repeat(234));
  await files.hardLink({ existing: `${path}/large`, path: `${path}/below/again` });
  // A symbolic link is as large as the path it holds.
  await files.symbolicLink({ target: "large", path: `${path}/symbolic` });
  return 100_239;
}

/** A removal under this id, with a description that says so. */
export function retirement(id: TrashId): Retirement {
  return { id, description: JSON.stringify({ removed: id }) };
}
