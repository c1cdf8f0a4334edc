// What looks at who has volumes, put together: holds, sharing, writers, databases, locks.
import type { VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import { Admissions } from "./admissions.ts";
import { ContainerLists } from "./container-lists.ts";
import type { Drivers } from "./drivers.ts";
import type { EngineParts } from "./engine-parts.ts";
import type { EventLog } from "./event-log.ts";
import { StorageCare } from "./health-care.ts";
import { HoldSettler } from "./hold-settler.ts";
import { Locks } from "./locks.ts";
import { SharedDatabases } from "./shared-databases.ts";
import { SharingJudge } from "./sharing-judge.ts";
import { useGuard } from "./use-guard.ts";
import type { VolumeEngine } from "./volumes.ts";
import { WriteGuard } from "./write-guard.ts";

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
  const judge = new SharingJudge({ state, events, lists, policy, holds: () => settler });
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
