// A child process of the crash tests: writes a state and says what was acknowledged.
//
// Arguments: directory, round, lanes, steps (without: for ever). Each lane makes volumes one after
// another and removes every third again; `namesAfter` tells the parent what must be there.
import { writeSync } from "node:fs";
import {
  sampleAlias,
  sampleHistory,
  sampleHolder,
  sampleRetired,
  sampleVolume,
} from "../../src/conformance/state-store.ts";
import { makeTrashId, parseHolderId, type TrashId } from "../../src/core/names.ts";
import type { StateStore } from "../../src/core/state-store.ts";
import { openIn } from "./state-bench.ts";

/** The names that stand after `count` steps of a lane. */
export function namesAfter(prefix: string, count: number): readonly string[] {
  const names = new Set<string>();
  for (let step = 0; step < count; step++) {
    if (step % 3 === 2) names.delete(`${prefix}-${step - 1}`);
    else names.add(`${prefix}-${step}`);
  }
  return [...names].sort();
}

export function lanePrefix(round: number, lane: number): string {
  return `r${round}-l${lane}`;
}

/** Of each lane only the last one removed lies in the trash. */
function trashIdOf(prefix: string, step: number): TrashId {
  const lane = prefix.replace(/\D+/g, "0").slice(-6).padStart(6, "0");
  return makeTrashId(`${lane}${Math.max(step, 0).toString(16).padStart(10, "0")}`);
}

async function runLane(store: StateStore, prefix: string, steps: number): Promise<void> {
  for (let step = 0; step < steps; step++) {
    await store.write((transaction) => {
      if (step % 3 === 2) {
        const volume = sampleVolume(`${prefix}-${step - 1}`);
        transaction.removeVolume(volume.name);
        transaction.putRetired(sampleRetired(volume.name, "0", { id: trashIdOf(prefix, step) }));
        transaction.removeRetired(trashIdOf(prefix, step - 3));
      } else {
        const volume = sampleVolume(`${prefix}-${step}`, { labels: { step: String(step) } });
        transaction.putVolume(volume);
        transaction.putHolder(sampleHolder(volume.name, "c1"));
        transaction.removeHolder(volume.name, parseHolderId("c0"));
        transaction.putAlias(sampleAlias(`alias-${volume.name}`, volume.name));
      }
      transaction.addHistory(sampleHistory(`${prefix}-${step}`, step));
    });
    // Not buffered: what the parent has read was on disk before.
    writeSync(1, `${prefix} ${step + 1}\n`);
  }
}

if (import.meta.main) {
  const [directory = "", round = "0", lanes = "1", steps = "Infinity"] = process.argv.slice(2);
  const store = openIn(directory, { copyIntervalMs: 20 });
  const running = Array.from({ length: Number(lanes) }, (_, lane) =>
    runLane(store, lanePrefix(Number(round), lane), Number(steps)),
  );
  await Promise.all(running);
  await store.close();
}
