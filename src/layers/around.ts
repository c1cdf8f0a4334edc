// A driver with something around every call: the one place where the layers name every member.
import type {
  Every,
  FenceCapable,
  FlushCapable,
  HealthCapable,
  QuotaCapable,
  RebuildCapable,
  RenameCapable,
  SnapshotCapable,
  TrashCapable,
  UpdateCapable,
  UsageCapable,
  VolumeDriver,
} from "../core/driver.ts";
import type { driverDeadlinesMs } from "../core/driver-deadlines.ts";
import type { VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type { ElsewhereCapable } from "../core/second-mount.ts";

/** The calls of a driver that wait, by the names under which their deadlines are stated. */
export type DriverCall = keyof typeof driverDeadlinesMs;

/** Which call of which volume; no volume for calls about several. */
export interface CallSite {
  readonly call: DriverCall;
  readonly volume: VolumeName | undefined;
}

/**
 * What a layer does around the calls. `validate`, `describe` of `RebuildCapable`, `isWaiting` of
 * `UpdateCapable`, and `server`, `isDead`, `mountCount` of `HealthCapable` wait for nothing and are
 * never surrounded.
 */
export interface Around {
  /** Around a call that waits. `work` may be given another operation. */
  call<T>(
    site: CallSite,
    operation: Operation,
    work: (operation: Operation) => Promise<T>,
  ): Promise<T>;
  /** Around a list. */
  items<T>(
    site: CallSite,
    operation: Operation,
    open: (operation: Operation) => AsyncIterable<T>,
  ): AsyncIterable<T>;
  /** Around `createNow`; missing: it stays the driver's very own function. */
  readonly now?: (<T>(volume: VolumeName, work: () => T) => T) | undefined;
}

/** The driver with `around` around every call of it and of its facets. */
export function surround(driver: VolumeDriver, around: Around): Every<VolumeDriver> {
  return {
    name: driver.name,
    scope: driver.scope,
    isPlugin: driver.isPlugin,
    validate: driver.validate,
    create: (spec, operation) =>
      around.call({ call: "create", volume: spec.name }, operation, (inner) =>
        driver.create(spec, inner),
      ),
    get: (volume, operation) =>
      around.call({ call: "get", volume }, operation, (inner) => driver.get(volume, inner)),
    list: (operation) =>
      around.items({ call: "list", volume: undefined }, operation, (inner) => driver.list(inner)),
    forget: (volume, operation) =>
      around.call({ call: "forget", volume }, operation, (inner) => driver.forget(volume, inner)),
    destroy: (volume, operation) =>
      around.call({ call: "destroy", volume }, operation, (inner) => driver.destroy(volume, inner)),
    mount: (volume, holder, operation) =>
      around.call({ call: "mount", volume }, operation, (inner) =>
        driver.mount(volume, holder, inner),
      ),
    unmount: (volume, holder, operation) =>
      around.call({ call: "unmount", volume }, operation, (inner) =>
        driver.unmount(volume, holder, inner),
      ),
    rebuild: driver.rebuild && surroundRebuild(driver.rebuild, around),
    trash: driver.trash && surroundTrash(driver.trash, around),
    rename: driver.rename && surroundRename(driver.rename, around),
    usage: driver.usage && surroundUsage(driver.usage, around),
    quota: driver.quota && surroundQuota(driver.quota, around),
    snapshots: driver.snapshots && surroundSnapshots(driver.snapshots, around),
    fence: driver.fence && surroundFence(driver.fence, around),
    health: driver.health && surroundHealth(driver.health, around),
    update: driver.update && surroundUpdate(driver.update, around),
    flush: driver.flush && surroundFlush(driver.flush, around),
    elsewhere: driver.elsewhere && surroundElsewhere(driver.elsewhere, around),
  };
}

function surroundRebuild(facet: RebuildCapable, around: Around): Every<RebuildCapable> {
  const { now } = around;
  return {
    describe: facet.describe,
    createNow:
      now === undefined ? facet.createNow : (spec) => now(spec.name, () => facet.createNow(spec)),
    rebuild: (record, operation) =>
      around.call({ call: "rebuild", volume: record.name }, operation, (inner) =>
        facet.rebuild(record, inner),
      ),
  };
}

function surroundTrash(facet: TrashCapable, around: Around): Every<TrashCapable> {
  const { refuseShown, refusePurge } = facet;
  return {
    retire: (volume, retirement, operation) =>
      around.call({ call: "retire", volume }, operation, (inner) =>
        facet.retire(volume, retirement, inner),
      ),
    describe: (id, description, operation) =>
      around.call({ call: "describe", volume: undefined }, operation, (inner) =>
        facet.describe(id, description, inner),
      ),
    movedAtMs: (volume, operation) =>
      around.call({ call: "movedAtMs", volume }, operation, (inner) =>
        facet.movedAtMs(volume, inner),
      ),
    restore: (id, volume, operation) =>
      around.call({ call: "restore", volume }, operation, (inner) =>
        facet.restore(id, volume, inner),
      ),
    purge: (ids, operation, isUrgent) =>
      around.call({ call: "purge", volume: undefined }, operation, (inner) =>
        facet.purge(ids, inner, isUrgent),
      ),
    refuseShown:
      refuseShown &&
      ((ids, operation) =>
        around.call({ call: "refuseShown", volume: undefined }, operation, (inner) =>
          refuseShown(ids, inner),
        )),
    refusePurge:
      refusePurge &&
      ((volume, operation) =>
        around.call({ call: "refusePurge", volume }, operation, (inner) =>
          refusePurge(volume, inner),
        )),
    list: (operation, known) =>
      around.items({ call: "list", volume: undefined }, operation, (inner) =>
        facet.list(inner, known),
      ),
    measure: (id, operation) =>
      around.call({ call: "measure", volume: undefined }, operation, (inner) =>
        facet.measure(id, inner),
      ),
    space: (operation) =>
      around.call({ call: "space", volume: undefined }, operation, (inner) => facet.space(inner)),
  };
}

function surroundRename(facet: RenameCapable, around: Around): Every<RenameCapable> {
  return {
    rename: (from, to, operation) =>
      around.call({ call: "rename", volume: from }, operation, (inner) =>
        facet.rename(from, to, inner),
      ),
  };
}

function surroundUsage(facet: UsageCapable, around: Around): Every<UsageCapable> {
  return {
    measure: (volume, operation) =>
      around.call({ call: "measure", volume }, operation, (inner) => facet.measure(volume, inner)),
  };
}

function surroundQuota(facet: QuotaCapable, around: Around): Every<QuotaCapable> {
  return {
    setLimit: (volume, limitBytes, operation) =>
      around.call({ call: "setLimit", volume }, operation, (inner) =>
        facet.setLimit(volume, limitBytes, inner),
      ),
  };
}

function surroundFence(facet: FenceCapable, around: Around): Every<FenceCapable> {
  return {
    raise: (volume, fence, operation) =>
      around.call({ call: "raise", volume }, operation, (inner) =>
        facet.raise(volume, fence, inner),
      ),
  };
}

function surroundHealth(facet: HealthCapable, around: Around): Every<HealthCapable> {
  return {
    server: facet.server,
    isDead: facet.isDead,
    mountCount: facet.mountCount,
    check: (volume, operation) =>
      around.call({ call: "check", volume }, operation, (inner) => facet.check(volume, inner)),
    heal: (volume, operation) =>
      around.call({ call: "heal", volume }, operation, (inner) => facet.heal(volume, inner)),
  };
}

function surroundUpdate(facet: UpdateCapable, around: Around): Every<UpdateCapable> {
  return {
    update: (spec, operation) =>
      around.call({ call: "update", volume: spec.name }, operation, (inner) =>
        facet.update(spec, inner),
      ),
    isWaiting: facet.isWaiting,
  };
}

function surroundElsewhere(facet: ElsewhereCapable, around: Around): Every<ElsewhereCapable> {
  return {
    mount: (volume, operation) =>
      around.call({ call: "mount", volume }, operation, (inner) => facet.mount(volume, inner)),
  };
}

function surroundFlush(facet: FlushCapable, around: Around): Every<FlushCapable> {
  return {
    flush: (volume, operation, told) =>
      around.call({ call: "flush", volume }, operation, (inner) =>
        facet.flush(volume, inner, told),
      ),
  };
}

function surroundSnapshots(facet: SnapshotCapable, around: Around): Every<SnapshotCapable> {
  return {
    take: (ref, operation) =>
      around.call({ call: "take", volume: ref.volume }, operation, (inner) =>
        facet.take(ref, inner),
      ),
    list: (volume, operation) =>
      around.items({ call: "list", volume }, operation, (inner) => facet.list(volume, inner)),
    open: (ref, operation) =>
      around.call({ call: "open", volume: ref.volume }, operation, (inner) =>
        facet.open(ref, inner),
      ),
    clone: (ref, spec, operation) =>
      around.call({ call: "clone", volume: spec.name }, operation, (inner) =>
        facet.clone(ref, spec, inner),
      ),
    restore: (ref, operation) =>
      around.call({ call: "restore", volume: ref.volume }, operation, (inner) =>
        facet.restore(ref, inner),
      ),
    remove: (ref, operation) =>
      around.call({ call: "remove", volume: ref.volume }, operation, (inner) =>
        facet.remove(ref, inner),
      ),
  };
}
