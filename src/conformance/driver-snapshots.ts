// Checks of the snapshots facet, where the driver has it.
import { deepEqual, equal, fail } from "node:assert/strict";
import type { SnapshotCapable, SnapshotRef } from "../core/driver.ts";
import { parseSnapshotName } from "../core/names.ts";
import type { Check } from "./check.ts";
import type { DriverBench } from "./driver-bench.ts";
import { collect, create, mount, mustHold, succeeds, unmount, writeInto } from "./expectations.ts";

const hasSnapshots = ({ driver }: DriverBench) => driver.snapshots !== undefined;

export const snapshotChecks: readonly Check<DriverBench>[] = [
  {
    promise: "The volume as it was at one instant, even while it is being written to.",
    applies: hasSnapshots,
    async run(bench) {
      const { name } = await create(bench, "written");
      const path = await mount(bench, name);
      await bench.files.write(`${path}/data`, "before");
      const ref = { volume: name, snapshot: parseSnapshotName("instant") };
      const taking = snapshotsOf(bench).take(ref, bench.operation());
      const record = await taking;
      await bench.files.write(`${path}/data`, "after");
      await unmount(bench, name);
      deepEqual({ volume: record.volume, snapshot: record.snapshot }, ref);
      equal(await readFrom(bench, ref), "before");
      await mustHold(bench, name, "after");
    },
  },
  {
    promise: "Every snapshot of the volume once.",
    applies: hasSnapshots,
    async run(bench) {
      const first = await take(bench, "listed", "first");
      const second = await take(bench, "listed", "second");
      await take(bench, "another", "third");
      const listed = await collect(snapshotsOf(bench).list(first.volume, bench.operation()));
      const names = listed.map((record) => record.snapshot).sort();
      deepEqual(names, [first.snapshot, second.snapshot].sort());
    },
  },
  {
    promise: "A read-only view that stays as it is until it is disposed of.",
    applies: hasSnapshots,
    async run(bench) {
      const ref = await take(bench, "viewed", "view");
      await using view = await snapshotsOf(bench).open(ref, bench.operation());
      await writeInto(bench, ref.volume, "after");
      equal(await bench.files.read(`${view.path}/data`), "view");
      const [outcome] = await Promise.allSettled([bench.files.write(`${view.path}/data`, "no")]);
      equal(outcome.status, "rejected", "a write into the view");
    },
  },
  {
    promise: "A new, independent, writable volume that starts out as the snapshot.",
    applies: hasSnapshots,
    async run(bench) {
      const ref = await take(bench, "original", "cloned");
      const spec = { name: bench.name("clone"), options: bench.optionSets[0] };
      const clone = await snapshotsOf(bench).clone(ref, spec, bench.operation());
      equal(clone.name, spec.name);
      await mustHold(bench, spec.name, "cloned");
      await writeInto(bench, spec.name, "changed");
      await mustHold(bench, spec.name, "changed");
      await mustHold(bench, ref.volume, "cloned");
      equal(await readFrom(bench, ref), "cloned");
    },
  },
  {
    promise: "Sets the unmounted volume back to the snapshot.",
    applies: hasSnapshots,
    async run(bench) {
      const ref = await take(bench, "set-back", "before");
      await writeInto(bench, ref.volume, "after");
      await writeInto(bench, ref.volume, "more", "later");
      await snapshotsOf(bench).restore(ref, bench.operation());
      await mustHold(bench, ref.volume, "before");
      await mustHold(bench, ref.volume, undefined, "later");
      equal(await readFrom(bench, ref), "before", "the snapshot itself");
    },
  },
  {
    promise: "Removes the snapshot and leaves the volume alone.",
    applies: hasSnapshots,
    async run(bench) {
      const ref = await take(bench, "keeps-data", "removed");
      const kept = await take(bench, "keeps-data", "kept");
      const snapshots = snapshotsOf(bench);
      await snapshots.remove(ref, bench.operation());
      const listed = await collect(snapshots.list(ref.volume, bench.operation()));
      deepEqual(
        listed.map((record) => record.snapshot),
        [kept.snapshot],
      );
      await mustHold(bench, ref.volume, "kept");
    },
  },
  {
    promise: "Removing what is not there succeeds.",
    applies: hasSnapshots,
    async run(bench) {
      const ref = await take(bench, "volume", "removed");
      const snapshots = snapshotsOf(bench);
      await snapshots.remove(ref, bench.operation());
      await succeeds("remove again", snapshots.remove(ref, bench.operation()));
    },
  },
];

/** Takes a snapshot of a volume (made if need be) whose file `data` holds the snapshot's name. */
async function take(bench: DriverBench, label: string, snapshot: string): Promise<SnapshotRef> {
  const { name } = await create(bench, label);
  await writeInto(bench, name, snapshot);
  const ref = { volume: name, snapshot: parseSnapshotName(snapshot) };
  await snapshotsOf(bench).take(ref, bench.operation());
  return ref;
}

async function readFrom(bench: DriverBench, ref: SnapshotRef): Promise<string> {
  await using view = await snapshotsOf(bench).open(ref, bench.operation());
  return await bench.files.read(`${view.path}/data`);
}

function snapshotsOf({ driver }: DriverBench): SnapshotCapable {
  return driver.snapshots ?? fail("the driver has no snapshots facet");
}
