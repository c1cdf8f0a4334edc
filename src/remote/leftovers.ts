// What a daemon that died has left on this host: places of tests, mounts that it had begun, and
// processes that it did not come to note.
import fs from "node:fs";
import { toEngineError } from "../core/errors.ts";
import type { FoundProcess, Host } from "../core/host.ts";
import { isVolumeName, parseVolumeName } from "../core/names.ts";
import { type Operation, unfired } from "../core/operation.ts";
import type { Workshop } from "./creation.ts";
import { endFuse } from "./fuse-process.ts";
import { NEW, type Place, removePlace, removeRun } from "./layout.ts";
import { settleStrays, straysOf } from "./stray-processes.ts";

export interface Leftovers {
  /** Places of creations and tests. */
  readonly fresh: readonly Place[];
  /** Of volumes that have a run directory, whether they are mounted still or not. */
  readonly runs: readonly Place[];
  /** See `straysOf`. */
  readonly strays: readonly FoundProcess[];
}

/** Asked before this life begins anything, so that none of it is among them. */
export function leftoversOf<Options>({ parts, sessions, layout }: Workshop<Options>): Leftovers {
  const runs = fs.readdirSync(layout.run);
  const isNew = (name: string) => name.startsWith(NEW);
  const fresh = [...fs.readdirSync(layout.volumes), ...runs].filter(isNew);
  return {
    fresh: [...new Set(fresh)].map((name) => layout.fresh(name.slice(NEW.length))),
    runs: runs.filter(isVolumeName).map((name) => layout.volume(parseVolumeName(name))),
    strays: straysOf(parts.host, sessions.kind.program, layout),
  };
}

/**
 * Removes places of creations and tests, whose mounts are taken away lazily, and processes and
 * credentials of mounts that did not come to be. What is mounted stays: somebody may have it; the
 * process that serves it is taken over. Touches nothing on servers. Never rejects: what goes wrong
 * is logged, and tried again by the next life.
 */
export async function settleLeftovers<Options>(
  { parts, sessions, layout }: Workshop<Options>,
  { fresh, runs, strays }: Leftovers,
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
  await settleStrays(host, strays, layout, operation);
}

/** Noted or not: a tool that has not mounted by now must not do it later. */
async function endProcesses(host: Host, { run }: Place): Promise<void> {
  for (const kept of host.findKept(run)) await endFuse(host, kept);
}
