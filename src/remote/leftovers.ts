// What a daemon that died has left on this host: places of tests, and mounts that it had begun.
import { setTimeout as pause } from "node:timers/promises";
import { toEngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { Operation } from "../core/operation.ts";
import type { Workshop } from "./creation.ts";
import { type Leftovers, type Place, removePlace, removeRun } from "./layout.ts";
import { unfired } from "./trial.ts";

/** How long a process that is killed may take to end, in milliseconds. */
const END_MS_MAX = 2_000;
const LOOK_AGAIN_MS = 10;

/**
 * Removes what `leftoversOf` has found before this life began anything: places of creations and
 * tests, whose mounts are taken away lazily, and processes and credentials of mounts that did not
 * come to be. What is mounted is not touched: somebody may have it. Nor is anything on servers.
 */
export async function removeLeftovers<Options>(
  { parts, sessions }: Workshop<Options>,
  { fresh, runs }: Leftovers,
  operation: Operation,
): Promise<void> {
  const { host } = parts;
  const orWarn = async (place: Place, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (thrown) {
      const { message } = toEngineError(thrown);
      operation.log.warn("something of a daemon that died is left", {
        ...{ place: place.directory, error: message },
      });
    }
  };
  for (const place of fresh) {
    await orWarn(place, async () => {
      await endProcesses(host, place);
      await host.detach(place.data, unfired(operation));
      removePlace(place, host);
    });
  }
  for (const place of runs) {
    if (sessions.mountedAt(place) !== undefined) continue;
    await orWarn(place, async () => {
      await endProcesses(host, place);
      // It may have mounted in its last moment.
      if (sessions.mountedAt(place) !== undefined) await host.detach(place.data, operation);
      removeRun(place);
    });
  }
}

/** Noted or not: a tool that has not mounted by now must not do it later. */
async function endProcesses(
  host: Pick<Host, "findKept" | "signalKept" | "processStart" | "monotonicMs">,
  { run }: Place,
): Promise<void> {
  const until = host.monotonicMs() + END_MS_MAX;
  for (const kept of host.findKept(run)) {
    host.signalKept(kept, "SIGKILL");
    while (host.processStart(kept.pid) === kept.start && host.monotonicMs() < until) {
      await pause(LOOK_AGAIN_MS);
    }
  }
}
