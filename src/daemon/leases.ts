// The leases of the daemon: their fences below the root, their journal in the run directory.
import { fenceFile, openFences } from "../cluster/fences.ts";
import { journalFile, LeaseJournal } from "../cluster/lease-journal.ts";
import { type LocalLeaseService, localLeases } from "../cluster/local-leases.ts";
import type { Host } from "../core/host.ts";
import { bootClock } from "../host/boot-clock.ts";
import type { Logger } from "../host/logs.ts";
import type { DaemonConfig } from "./config.ts";
import { runDirectoryOf } from "./run-directory.ts";

/** The service, and its end: what is held with terms stays for the next daemon. */
export interface DaemonLeases extends Disposable {
  readonly service: LocalLeaseService;
}

/**
 * Opens the leases of a root that exists, with those that the last daemon of this boot left. What
 * is damaged or cannot be written is logged, and made good by the clock.
 */
export async function openDaemonLeases(parts: {
  readonly config: Pick<DaemonConfig, "root">;
  readonly host: Host;
  readonly logger: Logger;
}): Promise<DaemonLeases> {
  const { config, host, logger } = parts;
  const log = logger.bind({ part: "leases" });
  const { nowMs, monotonicMs } = host;
  const runDirectory = runDirectoryOf(config.root);
  const fences = await openFences({ file: fenceFile(`${config.root}/leases`), nowMs, log });
  const journal = new LeaseJournal({ file: journalFile(runDirectory), boot: bootClock(), log });
  const service = localLeases({ monotonicMs, nowMs, fences, journal });
  return { service, [Symbol.dispose]: () => journal.close() };
}
