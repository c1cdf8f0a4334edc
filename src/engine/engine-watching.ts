// What looks at who has volumes, put together: holds, sharing, writers, databases, locks.
import type { VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import { ContainerLists } from "./container-lists.ts";
import { SharedDatabases } from "./databases/shared-databases.ts";
import type { Drivers } from "./drivers.ts";
import type { EngineParts } from "./engine-parts.ts";
import type { EventLog } from "./event-log.ts";
import { WriteGuard } from "./guard/write-guard.ts";
import { StorageCare } from "./health/health-care.ts";
import { HoldSettler } from "./holds/hold-settler.ts";
import { Locks } from "./locks/locks.ts";
import { Admissions } from "./sharing/admissions.ts";
import { SharingJudge } from "./sharing/sharing-judge.ts";
import { useGuard } from "./use-guard.ts";
import type { VolumeEngine } from "./volumes.ts";

/** What looks at holds, and what asks it. The volumes know the guard, and the settler them. */
export function watchHolds(
  parts: Omit<EngineParts, "drivers"> & {
    readonly drivers: Drivers;
    readonly events: EventLog;
    readonly volumes: () => VolumeEngine;
  },
) {
  const { host, state, leases, drivers, events, volumes, systemOperation } = parts;
  const { finder, graces, policy } = parts.holding;
  const lists = new ContainerLists({ state, finder, host });
  const locks = new Locks({ leases, host, volumes, lists, events });
  const judge = new SharingJudge({
    ...{ state, host, events, lists, policy, operation: systemOperation, holds: () => settler },
  });
  const settler: HoldSettler = new HoldSettler({
    ...{ state, host, lists, graces, volumes, drivers },
    operation: systemOperation,
    looked: (names, operation) => {
      judge.judge(names, operation);
      writeGuard.look(names, operation);
      sharedDatabases.judge(settler.all());
    },
  });
  const writeGuard: WriteGuard = new WriteGuard({
    ...{ state, host, events, lists, holds: () => settler, operation: systemOperation },
  });
  const sharedDatabases = new SharedDatabases({
    ...{ host, state, drivers, events, lists, operation: systemOperation },
    lookAfterMs: parts.holding.lookAfterMs,
  });
  const settle = (names: readonly string[], operation: Operation) =>
    settler.settleVolumes(names, operation);
  const isOver = (volume: string, holder: string) => settler.find(volume, holder)?.isOver === true;
  const care = new StorageCare({ host, drivers, lists, settler, volumes });
  // Who has it already may break an option that is new.
  events.watch(({ action }) => (action === "update" ? settler.expect() : undefined));
  const admissions = new Admissions({
    ...{ host, lists, settler, graces },
    unasked: (name) => care.startLater(name, systemOperation()),
  });
  const lockUsers = (volume: VolumeName) => locks.usersOf(volume);
  const guard = useGuard({ state, lists, settle, isOver, lockUsers });
  return { lists, judge, settler, guard, locks, care, writeGuard, admissions, sharedDatabases };
}
