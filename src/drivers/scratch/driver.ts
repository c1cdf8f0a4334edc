// The driver of the tests: volumes as plain directories below one folder, the whole contract kept.
//
// Layout: `volumes/<name>/{record.json,_data/}`, `trash/<id>/{record.json,_data/,retired.json}`,
// `trash/<id>.purging/` for what is being destroyed, and `new/` for what is not complete yet.
// `record.json` is the driver's part in a volume: a directory without it
// was not made by this driver and is adopted by `create`. Mounts are kept in memory only.
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type {
  Presence,
  RebuildCapable,
  UsageCapable,
  VolumeDriver,
  VolumeRecord,
  VolumeSpec,
} from "../../core/driver.ts";
import { EngineError, storageError } from "../../core/errors.ts";
import type { HolderId, VolumeName } from "../../core/names.ts";
import { isVolumeName, parseDriverName, parseVolumeName } from "../../core/names.ts";
import { equalOptions, validateScratchOptions } from "./options.ts";
import {
  check,
  dataPath,
  move,
  notFound,
  openPlaces,
  type Places,
  readFolder,
  readRecord,
  recordPath,
  refuseWhileMounted,
  type StoredRecord,
  volumePath,
} from "./places.ts";
import { scratchRename, scratchTrash } from "./trash.ts";
import { apparentBytes, removeTree } from "./tree.ts";

/** What the driver needs of its surroundings. */
export interface ScratchParts {
  /** Absolute path of an existing folder that belongs to this driver alone. */
  readonly root: string;
  /** Wall clock in milliseconds since the epoch. */
  nowMs(): number;
  /** `bytes` random bytes as lower-case hex. */
  randomHex(bytes: number): string;
}

/** Opens the driver on its folder, and removes what a crash left unfinished there. */
export function scratchDriver(parts: ScratchParts): VolumeDriver {
  const places = openPlaces(parts.root);
  const holders = new Map<VolumeName, Set<HolderId>>();

  const rebuild = scratchRebuild(places, parts);
  return {
    name: parseDriverName("scratch"),
    scope: "local",

    validate: validateScratchOptions,

    async create(spec, operation) {
      check(operation);
      return rebuild.createNow(spec);
    },

    async get(name, operation) {
      check(operation);
      return presence(places, name);
    },

    async *list(operation) {
      check(operation);
      for (const entry of readFolder(places.volumes)) {
        check(operation);
        const record = isVolumeName(entry) ? readRecord(places, parseVolumeName(entry)) : undefined;
        if (record !== undefined) yield record;
      }
    },

    async forget(name, operation) {
      check(operation);
      holders.delete(name);
      rmSync(recordPath(places, name), { force: true });
    },

    async destroy(name, operation) {
      check(operation);
      refuseWhileMounted(holders, name);
      const record = readRecord(places, name);
      if (record === undefined) return;
      if (record.origin === "adopted") rmSync(recordPath(places, name));
      else removeVolume(places, name, parts);
    },

    async mount(name, holder, operation) {
      check(operation);
      const record = readRecord(places, name);
      if (record === undefined) throw notFound(name);
      if (!existsSync(record.mountpoint)) {
        throw new EngineError("volume.data_missing", `volume ${name}: its directory is gone`);
      }
      holders.set(name, (holders.get(name) ?? new Set()).add(holder));
      return record.mountpoint;
    },

    async unmount(name, holder, operation) {
      check(operation);
      const remaining = holders.get(name);
      remaining?.delete(holder);
      if (remaining?.size === 0) holders.delete(name);
    },

    rebuild,
    trash: scratchTrash(places, holders),
    rename: scratchRename(places, holders),
    usage: scratchUsage(places),
  };
}

function scratchRebuild(places: Places, parts: ScratchParts): RebuildCapable {
  function describe({ name, options }: VolumeSpec): VolumeRecord {
    const mountpoint = dataPath(places, name);
    const createdAtMs = parts.nowMs();
    return { name, options, createdAtMs, origin: "made", mountpoint, identity: "" };
  }
  function createNow(spec: VolumeSpec): VolumeRecord {
    validateScratchOptions(spec.options);
    const known = readRecord(places, spec.name);
    if (known === undefined) return makeVolume(places, parts, spec, parts.nowMs());
    if (!equalOptions(known.options, spec.options)) {
      throw new EngineError(
        "volume.exists_differently",
        `volume ${spec.name} exists with other options`,
      );
    }
    return known;
  }
  return {
    describe,
    createNow,
    async rebuild(record, operation) {
      check(operation);
      const known = readRecord(places, record.name);
      if (known === undefined) return makeVolume(places, parts, record, record.createdAtMs);
      mkdirSync(known.mountpoint, { recursive: true });
      return known;
    },
  };
}

function scratchUsage(places: Places): UsageCapable {
  return {
    async measure(name, operation) {
      check(operation);
      const record = readRecord(places, name);
      if (record === undefined) throw notFound(name);
      return { usedBytes: await apparentBytes(record.mountpoint, () => check(operation)) };
    },
  };
}

/** Makes the volume whole beside its place and moves it there: nobody ever sees half of one. */
function makeVolume(
  places: Places,
  parts: ScratchParts,
  spec: VolumeSpec,
  createdAtMs: number,
): VolumeRecord {
  const { name, options } = spec;
  const identity = parts.randomHex(8);
  const target = volumePath(places, name);
  const origin = existsSync(target) ? "adopted" : "made";
  const stored: StoredRecord = { options: { ...options }, createdAtMs, origin, identity };
  const unfinished = join(places.unfinished, identity);
  try {
    mkdirSync(join(unfinished, "_data"), { recursive: true });
    writeFileSync(join(unfinished, "record.json"), JSON.stringify(stored));
    if (origin === "made") renameSync(unfinished, target);
    else {
      mkdirSync(dataPath(places, name), { recursive: true });
      renameSync(join(unfinished, "record.json"), recordPath(places, name));
    }
  } catch (error) {
    throw storageError(error, `creating volume ${name}`);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return { ...stored, name, mountpoint: dataPath(places, name) };
}

/** Moves the volume out of its place first: a crash leaves it whole or gone. */
function removeVolume(places: Places, name: VolumeName, parts: ScratchParts): void {
  const doomed = join(places.unfinished, parts.randomHex(8));
  move(volumePath(places, name), doomed);
  removeTree(doomed);
}

function presence(places: Places, name: VolumeName): Presence {
  try {
    const record = readRecord(places, name);
    return record === undefined ? { state: "absent" } : { state: "found", record };
  } catch (error) {
    return { state: "unknown", reason: storageError(error, `looking for ${name}`).message };
  }
}
