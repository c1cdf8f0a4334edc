// How a remote volume comes to be: tested at a place of its own, and moved into its place whole.
import { dirname } from "node:path";
import type { DriverOptions, VolumeRecord, VolumeSpec } from "../core/driver.ts";
import { EngineError, toEngineError } from "../core/errors.ts";
import { parseVolumeName, type VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import {
  isPlainDirectory,
  type Layout,
  makePlace,
  moveDirectory,
  type Place,
  removePlace,
  removeRun,
  syncDirectory,
} from "./layout.ts";
import { readOptions } from "./options.ts";
import type { RemoteDriverParts } from "./parts.ts";
import { differingOption, readStored, recordOf, type StoredVolume, writeStored } from "./record.ts";
import type { Sessions } from "./sessions.ts";
import { tryOut } from "./trial.ts";

/** What all parts of a driver are made of. */
export interface Workshop<Options> {
  readonly sessions: Sessions<Options>;
  readonly layout: Layout;
  readonly parts: RemoteDriverParts;
}

/** The `create` of a driver. */
export async function createVolume<Options>(
  shop: Workshop<Options>,
  spec: VolumeSpec,
  operation: Operation,
): Promise<VolumeRecord> {
  operation.signal.throwIfAborted();
  const { layout } = shop;
  const name = parseVolumeName(spec.name);
  readOptions(shop.sessions.kind, spec.options);
  const there = layout.volume(name);
  const existing = findStored(there);
  if (existing !== undefined) {
    refuseOtherOptions(name, existing.options, spec.options);
    return recordOf(name, existing, there);
  }
  const stored = await withFreshPlace(shop, operation, async (place) => {
    const made = await makeVolume(shop, { name, place, options: spec.options }, operation);
    operation.signal.throwIfAborted();
    await moveDirectory(place.directory, there.directory);
    removeRun(place);
    return made;
  });
  // Up to the root: the first volume of a driver has just had these made.
  const drivers = dirname(layout.volumes);
  for (const each of [layout.volumes, drivers, dirname(drivers)]) await syncDirectory(each);
  return recordOf(name, stored, there);
}

/** The record that stands there; undefined: nothing does. Throws `volume.data_missing`. */
export function findStored(place: Place): StoredVolume | undefined {
  const stored = readStored(place);
  if (stored !== undefined || !isPlainDirectory(place.directory)) return stored;
  throw new EngineError(
    "volume.data_missing",
    `the record of the volume in ${place.directory} is missing`,
    { details: { path: place.directory } },
  );
}

/** Gives `work` a place that nobody else has, and removes what is left there afterwards. */
export async function withFreshPlace<Options, T>(
  { layout, parts }: Workshop<Options>,
  operation: Operation,
  work: (place: Place) => Promise<T>,
): Promise<T> {
  const place = layout.fresh(parts.host.randomHex(8));
  try {
    makePlace(place, parts.host);
    return await work(place);
  } finally {
    try {
      removePlace(place, parts.host);
    } catch (thrown) {
      // The next start tries again.
      const { message } = toEngineError(thrown);
      operation.log.warn("a place of a test is left", { place: place.directory, error: message });
    }
  }
}

interface Making {
  readonly name: VolumeName;
  readonly place: Place;
  readonly options: DriverOptions;
}

async function makeVolume<Options>(
  { sessions, parts }: Workshop<Options>,
  { name, place, options }: Making,
  operation: Operation,
): Promise<StoredVolume> {
  const { host } = parts;
  const { isTested, subpath } = readOptions(sessions.kind, options).common;
  const mark = host.randomHex(16);
  let stored: StoredVolume = {
    options,
    createdAtMs: host.nowMs(),
    origin: "adopted",
    identity: host.randomHex(16),
    mark: null,
    isPrepared: isTested || subpath === "",
  };
  const commit = (isMade: boolean): void => {
    if (isMade) stored = { ...stored, origin: "made", mark };
    writeStored(place, stored);
  };
  if (!isTested) commit(false);
  else {
    const request = { volume: name, place, options, mark, isTested, commit, sessions, parts };
    await tryOut(request, operation);
  }
  return stored;
}

function refuseOtherOptions(name: VolumeName, existing: DriverOptions, given: DriverOptions): void {
  const option = differingOption(existing, given);
  if (option === undefined) return;
  throw new EngineError(
    "volume.exists_differently",
    `volume ${name} exists with another value of the option ${option}`,
    { details: { option } },
  );
}
