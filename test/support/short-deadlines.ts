// The daemon as it is, but with deadlines that a test can wait for.
import { driverDeadlinesMs } from "../../src/core/driver-deadlines.ts";
import { runDaemon } from "../../src/daemon/main.ts";

/**
 * Long enough for a slow machine, short enough for a test, in milliseconds. An unmount waits 8 s
 * for looks of our own that are in its way (host/mounts.ts), and says only then that it is busy.
 */
export const SHORT_DEADLINES_MS = { mount: 6_000, unmount: 10_000, retire: 4_000 } as const;

if (import.meta.main) {
  Object.assign(driverDeadlinesMs, SHORT_DEADLINES_MS);
  process.exit(await runDaemon(process.argv.slice(3)));
}
