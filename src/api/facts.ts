// What the daemon says about itself: gathered once at start, told by /version, /info and /_ping.

import type { DaemonPlaces } from "../core/doctor.ts";
import type { DriverManual } from "../core/driver-manual.ts";

/** The newest and the oldest version of Docker's API that is spoken. */
export const API_VERSION = "1.51";
export const API_VERSION_MIN = "1.24";

export interface DaemonFacts {
  /** Holdfast's own version, for example "0.1.0". */
  readonly version: string;
  readonly gitCommit: string;
  /** RFC 3339. */
  readonly buildTime: string;
  /** The runtime and its version. */
  readonly runtime: string;
  /** A random UUID, the same in every life on this data root. */
  readonly id: string;
  readonly root: string;
  readonly places: DaemonPlaces;
  readonly hostName: string;
  readonly kernelVersion: string;
  readonly operatingSystem: string;
  /** Go's word for the architecture: amd64, arm64. */
  readonly arch: string;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  /** What the built-in drivers take. */
  readonly driverManuals: readonly DriverManual[];
  /** Sentences for whoever asks `info`: what recovery found, what is missing. */
  readonly warnings: readonly string[];
}
