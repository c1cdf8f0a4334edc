// The driver of the tests: volumes as plain directories below one folder, the whole contract kept.
//
// Layout: `volumes/<name>/{record.json,_data/}`, `trash/<id>/{record.json,_data/}`, and `new/` for
// what is not complete yet. `record.json` is the driver's part in a volume: a directory without it
// was not made by this driver and is adopted by `create`. Mounts are kept in memory only.
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type {
  Presence,
  RebuildCapable,
  RetiredRecord,
  TrashCapable,
  UsageCapable,
  VolumeDriver,
  VolumeRecord,
  VolumeSpec,
} from "../../core/driver.ts";
import { EngineError, isErrno, storageError } from "../../core/errors.ts";
import type { HolderId, TrashId, VolumeName } from "../../core/names.ts";
import { isVolumeName, parseDriverName, parseTrashId, parseVolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import { equalOptions, validateScratchOptions } from "./options.ts";
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

interface Places {
  readonly volumes: string;
  readonly trash: string;
  readonly unfinished: string;
}

/** What `record.json` holds. */
type StoredRecord = Pick<VolumeRecord, "options" | "createdAtMs" | "origin" | "identity">;

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
    usage: scratchUsage(places),
  };
}

function openPlaces(root: string): Places {
  const places: Places = {
    volumes: join(root, "volumes"),
    trash: join(root, "trash"),
    unfinished: join(root, "new"),
  };
  rmSync(places.unfinished, { recursive: true, force: true });
  for (const place of Object.values(places)) mkdirSync(place, { recursive: true });
  return places;
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

function scratchTrash(places: Places, holders: Map<VolumeName, Set<HolderId>>): TrashCapable {
  return {
    async retire(name, id, operation) {
      check(operation);
      const target = join(places.trash, id);
      if (existsSync(target)) return;
      refuseWhileMounted(holders, name);
      const record = readRecord(places, name);
      if (record === undefined) return;
      if (record.origin === "adopted") rmSync(recordPath(places, name));
      else move(volumePath(places, name), target);
    },

    async movedAtMs(name, operation) {
      check(operation);
      return statSync(volumePath(places, name), { throwIfNoEntry: false })?.ctimeMs ?? 0;
    },

    async restore(id, name, operation) {
      check(operation);
      const target = volumePath(places, name);
      if (!existsSync(join(places.trash, id))) {
        // Repeated after a crash: what it was to bring back is there already.
        if (existsSync(target)) return;
        throw new EngineError("volume.not_found", `nothing lies in the trash under ${id}`);
      }
      if (existsSync(target)) {
        throw new EngineError("volume.exists_differently", `volume ${name} exists again`);
      }
      move(join(places.trash, id), target);
    },

    async purge(ids, operation) {
      for (const id of ids) {
        check(operation);
        removeTree(join(places.trash, id));
      }
      syncFolder(places.trash);
    },

    async *list(operation): AsyncGenerator<RetiredRecord> {
      check(operation);
      for (const entry of readFolder(places.trash)) {
        check(operation);
        const id: TrashId | undefined = parseTrashId(entry);
        const stored = id === undefined ? undefined : readStored(join(places.trash, entry));
        if (id !== undefined && stored !== undefined) yield { id, identity: stored.identity };
      }
    },
  };
}

/** A signal that has fired says why by its reason, when that is one of our errors. */
function check(operation: Operation): void {
  if (!operation.signal.aborted) return;
  const reason: unknown = operation.signal.reason;
  if (reason instanceof EngineError) throw reason;
  throw new EngineError("operation.cancelled", "the operation was cancelled", { cause: reason });
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

function readRecord(places: Places, name: VolumeName): VolumeRecord | undefined {
  const stored = readStored(volumePath(places, name));
  if (stored !== undefined) return { ...stored, name, mountpoint: dataPath(places, name) };
  // Without the folder of all volumes nobody can tell which of them exist.
  if (existsSync(places.volumes)) return undefined;
  throw new EngineError("storage.failed", `the folder ${places.volumes} is gone`);
}

function readStored(folder: string): StoredRecord | undefined {
  try {
    // Written by this driver and nobody else, so its shape is known.
    return JSON.parse(readFileSync(join(folder, "record.json"), "utf8")) as StoredRecord;
  } catch (error) {
    if (isErrno(error, "ENOENT") || isErrno(error, "ENOTDIR")) return undefined;
    throw storageError(error, `reading ${folder}`);
  }
}

function readFolder(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    throw storageError(error, `reading ${path}`);
  }
}

function move(source: string, target: string): void {
  try {
    renameSync(source, target);
  } catch (error) {
    throw storageError(error, `moving ${source}`);
  }
}

function syncFolder(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function refuseWhileMounted(
  holders: ReadonlyMap<VolumeName, ReadonlySet<HolderId>>,
  name: VolumeName,
): void {
  const held = [...(holders.get(name) ?? [])];
  if (held.length === 0) return;
  throw new EngineError("volume.in_use", `volume ${name} is mounted for ${held.join(", ")}`, {
    details: { holders: held },
  });
}

function notFound(name: VolumeName): EngineError {
  return new EngineError("volume.not_found", `volume ${name} does not exist`);
}

function volumePath(places: Places, name: VolumeName): string {
  return join(places.volumes, name);
}

function dataPath(places: Places, name: VolumeName): string {
  return join(places.volumes, name, "_data");
}

function recordPath(places: Places, name: VolumeName): string {
  return join(places.volumes, name, "record.json");
}
