// kill -9 of a process that writes: every acknowledged change is there after the next start.
import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openIn, temporaryDirectory } from "../../test/support/state-bench.ts";
import { lanePrefix, namesAfter } from "../../test/support/state-writer.ts";
import { parseVolumeName } from "../core/names.ts";
import type { StateStore } from "../core/state-store.ts";
import { readCopy } from "./copy-format.ts";

const rounds = 40;
const lanes = 6;
const writer = fileURLToPath(new URL("../../test/support/state-writer.ts", import.meta.url));

test(`${rounds} kills at random moments lose nothing that was acknowledged`, async () => {
  using directory = temporaryDirectory();
  const acknowledged = new Map<string, number>();
  for (let round = 0; round < rounds; round++) {
    // Some die while they open, some after thousands of writes and several copies.
    await writeUntilKilled(directory.path, round, acknowledged);
    const store = openIn(directory.path);
    if (round > 0) expect(store.origin).toEqual({ kind: "opened" });
    const names = store.read((view) => [...view.volumes()].map((volume) => volume.name));
    for (const [prefix, count] of acknowledged) {
      const own = names.filter((name) => name.startsWith(`${prefix}-`)).sort();
      // The step that was under way is done or not done, and nothing else.
      const either = [namesAfter(prefix, count), namesAfter(prefix, count + 1)];
      expect(either).toContainEqual(own);
      expect(own.filter((name) => holderCount(store, name) !== 1)).toEqual([]);
      expect(own.filter((name) => !isAlias(store, name))).toEqual([]);
      acknowledged.set(prefix, own.join() === either[0]?.join() ? count : count + 1);
    }
    expectWholeRest(store);
    const aliasCount = store.read((view) => [...view.aliases()].length);
    const retiredCount = store.read((view) => view.retiredCount);
    await store.close();
    const copy = readCopy(join(directory.path, "state.copy"));
    expect(copy.volumes.map((volume) => volume.name).sort()).toEqual(names.toSorted());
    expect([copy.aliases.length, copy.retired.length]).toEqual([aliasCount, retiredCount]);
  }
  const total = [...acknowledged.values()].reduce((sum, count) => sum + count, 0);
  expect(total).toBeGreaterThan(rounds);
  expect(readFileSync(join(directory.path, "state.db-wal")).length).toBe(2_109_472);
}, 120_000);

/** What was removed left no alias, and its row lies in the trash until the next one's does. */
function expectWholeRest(store: StateStore): void {
  const rest = store.read((view) => {
    const isThere = (name: string) => view.volume(name) !== undefined;
    return {
      aliases: [...view.aliases()].filter(({ volume }) => !isThere(volume)),
      retired: [...view.retired()].filter(({ volume }) => isThere(volume.name)),
    };
  });
  expect(rest).toEqual({ aliases: [], retired: [] });
}

function isAlias(store: StateStore, name: string): boolean {
  return store.read((view) => view.alias(`alias-${name}`))?.volume === name;
}

function holderCount(store: StateStore, name: string): number {
  return store.read((view) => view.holders(parseVolumeName(name))).length;
}

async function writeUntilKilled(
  directory: string,
  round: number,
  acknowledged: Map<string, number>,
): Promise<void> {
  const child = spawn(process.execPath, [writer, directory, String(round), String(lanes)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (bytes: Buffer) => {
    text += bytes.toString();
  });
  // From the first acknowledgement on, so that slow machines test the same thing.
  if (round % 5 !== 4) await once(child.stdout, "data");
  const timer = setTimeout(() => child.kill("SIGKILL"), Math.random() * 150);
  await once(child, "close");
  clearTimeout(timer);
  expect(child.signalCode).toBe("SIGKILL");
  for (let lane = 0; lane < lanes; lane++) acknowledged.set(lanePrefix(round, lane), 0);
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  for (const [, prefix = "", count] of whole.matchAll(/^(\S+) (\d+)$/gm)) {
    acknowledged.set(prefix, Number(count));
  }
}
