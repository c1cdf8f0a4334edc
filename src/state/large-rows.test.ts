// Volumes whose labels take many pages: what was made can be removed, on a full disk, too.
import { expect, test } from "bun:test";
import { openIn, temporaryDirectory } from "../../test/support/state-bench.ts";
import { sampleHistory, sampleRetired, sampleVolume } from "../conformance/state-store.ts";
import { makeTrashId, parseVolumeName } from "../core/names.ts";
import type { StateStore, VolumeEntry } from "../core/state-store.ts";

/** More than all the pages in reserve: from before there was a limit. */
const hugeBytes = 4_000_000;

function large(name: string, bytes: number): VolumeEntry {
  return sampleVolume(name, { labels: { padding: "x".repeat(bytes) } });
}

function put(store: StateStore, entry: VolumeEntry): Promise<void> {
  return store.write((transaction) => {
    transaction.putVolume(entry);
    transaction.addHistory(sampleHistory(entry.name, 1));
  });
}

/** As the engine does: the row goes to the trash with all that it says. */
function retire(store: StateStore, entry: VolumeEntry, index: number): Promise<void> {
  return store.write((transaction) => {
    transaction.removeVolume(parseVolumeName(entry.name));
    const id = makeTrashId(index.toString(16).padStart(16, "0"));
    transaction.putRetired(sampleRetired(entry.name, "0", { id, volume: entry }));
    transaction.addHistory({ ...sampleHistory(entry.name, 2), action: "remove" });
  });
}

test("rows larger than the reserve are removed where the disk has room", async () => {
  using directory = temporaryDirectory();
  let store = openIn(directory.path);
  const entries = [large("big0", hugeBytes), large("big1", hugeBytes)];
  for (const entry of entries) await put(store, entry);
  for (const [index, entry] of entries.entries()) await retire(store, entry, index);
  expect(store.read((view) => [view.volumeCount, [...view.retired()].length])).toEqual([0, 2]);
  await store.close();
  store = openIn(directory.path);
  expect(store.read((view) => [...view.retired()].map((each) => each.volume))).toEqual(entries);
  await store.close();
});
