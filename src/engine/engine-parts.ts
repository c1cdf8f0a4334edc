// What the engine is made of, by whom it is asked for.
import type { ContainerEngineFinder } from "../core/container-engine.ts";
import type { VolumeDriver } from "../core/driver.ts";
import type { DataPlaces, ForeignVolumesFinder } from "../core/foreign-volumes.ts";
import type { Host } from "../core/host.ts";
import type { LeaseService } from "../core/lease-service.ts";
import type { Operation } from "../core/operation.ts";
import type { SecretStore } from "../core/secret-store.ts";
import type { StateStore } from "../core/state-store.ts";
import type { StorageJudge } from "../core/volume-report.ts";
import type { UnfitDataParts } from "./databases/unfit-data.ts";
import type { Drivers } from "./drivers.ts";
import type { EventLog } from "./event-log.ts";
import type { HealthClock } from "./health/health.ts";
import type { HoldGraces } from "./holds/hold-table.ts";
import type { PluginParts } from "./plugins/no-plugins.ts";
import type { ViolationPolicy } from "./sharing/sharing-judge.ts";
import type { TrashDefaults } from "./trash/policy.ts";
import type { TrashParts } from "./trash/trash.ts";
import type { UseGuard } from "./use-guard.ts";
import type { VolumeDoctorParts } from "./volume-doctor.ts";
import type { VolumeEngine } from "./volumes.ts";

export interface EngineParts {
  readonly host: Host;
  readonly state: StateStore;
  readonly leases: LeaseService;
  readonly secrets: SecretStore;
  /** Built in. */
  readonly drivers: readonly VolumeDriver[];
  /** Missing: there are none. */
  readonly plugins?: PluginParts | undefined;
  /** A fresh operation on the daemon's own account. */
  readonly systemOperation: () => Operation;
  readonly holding: HoldingParts;
  readonly adopting: AdoptingParts;
  readonly trash: TrashingParts;
  /** Missing: nothing is known of any storage. */
  readonly examining?: ExaminingParts | undefined;
  /** A test's own clock for the health of storage. */
  readonly healthClock?: HealthClock | undefined;
}

/** What looks at storage are judged by, and their times where they are a test's own. */
export interface ExaminingParts
  extends Pick<VolumeDoctorParts, "silenceMsMax">,
    Pick<UnfitDataParts, "afterCreateMs" | "afterMountMs"> {
  readonly judge: StorageJudge;
}

/** What the trash is told, and its timers where they are a test's own. */
export interface TrashingParts extends Pick<TrashParts, "budget" | "startTimer"> {
  readonly defaults: TrashDefaults;
}

/** What adopting volumes of other engines needs. */
export interface AdoptingParts {
  readonly foreign: ForeignVolumesFinder;
  readonly places: DataPlaces;
}

/** What holds of container engines need. */
export interface HoldingParts {
  readonly finder: ContainerEngineFinder;
  /** Absolute; where the holds' mounts are. Exists. */
  readonly directory: string;
  readonly graces: HoldGraces;
  readonly policy: ViolationPolicy;
  /** When a volume with several writers is looked into: a test's own times. */
  readonly lookAfterMs?: readonly number[] | undefined;
}

/** What parts of the engine are made of that come after the volumes. */
export interface LaterParts extends Omit<EngineParts, "drivers"> {
  readonly drivers: Drivers;
  readonly volumes: VolumeEngine;
  readonly events: EventLog;
  readonly guard: UseGuard;
}
