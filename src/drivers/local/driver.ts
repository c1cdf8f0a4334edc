// Docker's `local` driver: directories below the data root, and whatever mount(8) can mount on
// them.
import type {
  DriverOptions,
  Presence,
  RebuildCapable,
  UsageCapable,
  VolumeDriver,
  VolumeRecord,
  VolumeSpec,
} from "../../core/driver.ts";
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import {
  isVolumeName,
  parseDriverName,
  parseVolumeName,
  type VolumeName,
} from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import { Turns } from "../../core/turns.ts";
import { localHealth } from "./health.ts";
import {
  contentsOf,
  entriesOf,
  hasData,
  type Layout,
  makeRoot,
  makeVolume,
  plainDirectory,
  readOptions,
} from "./layout.ts";
import { localMounts } from "./mounts.ts";
import { checkLocalOptions, localFixedOwner, localMount } from "./options.ts";
import { localRename } from "./rename.ts";
import { localTrash } from "./trash.ts";
import { measureTree, mountedBelow } from "./usage.ts";

export interface LocalDriverParts {
  /** The data root: absolute, without a trailing slash. Made if it is missing. */
  readonly root: string;
  readonly host: Host;
  /** The state knows of no volumes yet, so that missing directories are made. By default true. */
  readonly isFirstStart?: boolean;
}

/**
 * The driver every engine has. `create` and removal are one or two directory operations; the first
 * mount makes the directories durable; options are mounted for the first holder and unmounted after
 * the last. Throws `storage.*` or `host.denied` when the root cannot be used.
 */
export function localDriver(parts: LocalDriverParts): VolumeDriver {
  const { host } = parts;
  const layout = makeRoot(parts);
  const mounts = localMounts({ layout, host });
  const trash = localTrash({ layout, host, isHeld: mounts.isHeld });
  const rebuild = localRebuild(layout, host);

  return {
    name: parseDriverName("local"),
    scope: "local",
    validate: checkLocalOptions,
    fixedOwner: localFixedOwner,

    async create(spec, operation) {
      operation.signal.throwIfAborted();
      const made = rebuild.createNow(spec);
      return { ...made, identity: present(layout, spec.name).identity };
    },

    async get(name): Promise<Presence> {
      try {
        const record = look(layout, name);
        if (record !== undefined) return { state: "found", record };
        // Without the directory of all volumes (a disk that is not mounted) nothing is known.
        if (plainDirectory(layout.volumes) !== undefined) return { state: "absent" };
        return { state: "unknown", reason: `${layout.volumes} is gone` };
      } catch (error) {
        return { state: "unknown", reason: toEngineError(error).message };
      }
    },

    async *list(operation) {
      for (const entry of await entriesOf(layout.volumes)) {
        if (!isVolumeName(entry)) continue;
        const record = lookOrWarn(layout, parseVolumeName(entry), operation);
        if (record !== undefined) yield record;
      }
    },

    async forget(name, operation) {
      operation.signal.throwIfAborted();
      mounts.forget(name);
    },

    destroy: trash.destroy,
    mount: mounts.mount,
    unmount: mounts.unmount,
    rebuild,
    trash: trash.facet,
    rename: localRename({ layout, host, isHeld: mounts.isHeld }),
    usage: localUsage(layout, host),
    health: localHealth({ layout, host }),
  };
}

function localRebuild(layout: Layout, host: Host): RebuildCapable {
  const describe = (spec: VolumeSpec): VolumeRecord => ({
    name: spec.name,
    options: spec.options,
    createdAtMs: host.nowMs(),
    origin: "made",
    mountpoint: layout.data(spec.name),
    identity: "",
  });
  return {
    describe,

    createNow(spec) {
      parseVolumeName(spec.name);
      checkLocalOptions(spec.options);
      const existing = look(layout, spec.name);
      if (existing !== undefined) refuseOtherOptions(existing.options, spec);
      makeVolume(layout, spec.name, spec.options);
      return existing ?? describe(spec);
    },

    async rebuild(record) {
      // Options on a directory with data would hide it: what is there is left alone.
      const data = layout.data(record.name);
      const isMounted = host.mounts().some((line) => line.target === data);
      if (!isMounted && !hasData(layout, record.name))
        makeVolume(layout, record.name, record.options);
      const { identity, options } = present(layout, record.name);
      return { ...record, identity, options };
    },
  };
}

function localUsage(layout: Layout, host: Host): UsageCapable {
  const isMounted = mountedBelow(layout.volumes, host);
  const turns = new Turns();
  return {
    async measure(name, operation) {
      while (turns.isOver()) await turns.next();
      operation.signal.throwIfAborted();
      // First of all: on the volume's own directory, too, a dead server may be mounted.
      if (isMounted(name)) return { usedBytes: null };
      if (localMount(readOptions(layout, name)) !== undefined) return { usedBytes: null };
      const place = { directory: layout.volume(name), name: "_data" };
      return { usedBytes: await measureTree(place, turns, operation) };
    },
  };
}

/** What the directory says, or undefined when there is no volume of this name. */
function look(layout: Layout, name: VolumeName): VolumeRecord | undefined {
  const facts = plainDirectory(layout.volume(name));
  if (facts === undefined) return undefined;
  const { hasOptions, hasData: isWhole } = contentsOf(layout, name);
  const options = hasOptions ? readOptions(layout, name) : {};
  if (Object.keys(options).length === 0 && !isWhole) return undefined;
  return {
    name,
    options,
    createdAtMs: facts.bornAtMs,
    origin: "made",
    mountpoint: layout.data(name),
    identity: facts.identity,
  };
}

/** One damaged volume, or a file of somebody else's, must not hide all the others. */
function lookOrWarn(
  layout: Layout,
  name: VolumeName,
  operation: Operation,
): VolumeRecord | undefined {
  try {
    return look(layout, name);
  } catch (error) {
    const { code, message } = toEngineError(error);
    operation.log.warn("left out of the list of volumes", { name, code, error: message });
    return undefined;
  }
}

function present(layout: Layout, name: VolumeName): VolumeRecord {
  const record = look(layout, name);
  if (record === undefined) {
    throw new EngineError("storage.failed", `volume ${name} vanished right after it was made`);
  }
  return record;
}

function refuseOtherOptions(existing: DriverOptions, spec: VolumeSpec): void {
  const names = new Set([...Object.keys(existing), ...Object.keys(spec.options)]);
  for (const option of names) {
    if (existing[option] !== spec.options[option]) {
      throw new EngineError(
        "volume.exists_differently",
        `volume ${spec.name} exists with another value of the option ${option}`,
        { details: { option } },
      );
    }
  }
}
