// Drivers that break one promise of usage, quota, fence or snapshots each; see broken-drivers.ts.
import { cpSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../../src/core/errors.ts";
import { unfired } from "../../src/core/operation.ts";
import { type BrokenDriver, empty } from "./broken-drivers.ts";
import { breakerOf } from "./facet-breaker.ts";

const snapshots = breakerOf("snapshots");

export const brokenStorage: readonly BrokenDriver[] = [
  {
    fault: "has a quota that it does not support",
    promise:
      "Present means that it works, absent that it does not: a facet that is present and throws " +
      'an "unsupported" error fails the conformance checks.',
    also: ["From its return on, a write that would bring the volume over the limit fails."],
    break: ({ driver }) => ({
      ...driver,
      quota: {
        async setLimit() {
          throw new EngineError("state.too_new", "this storage has no quota");
        },
      },
    }),
  },
  {
    fault: "counts a file once for each of its names",
    promise: "Apparent bytes of all that is no directory, hard links counted once (Docker's sum).",
    break: ({ driver }) => ({
      ...driver,
      usage: {
        async measure(name, operation) {
          const presence = await driver.get(name, operation);
          if (presence.state !== "found") return { usedBytes: 0 };
          return { usedBytes: everyName(presence.record.mountpoint) };
        },
      },
    }),
  },
  {
    fault: "sets no limit",
    promise: "From its return on, a write that would bring the volume over the limit fails.",
    break: ({ driver }) => ({ ...driver, quota: { async setLimit() {} } }),
  },
  {
    fault: "raises no fence",
    promise: "From its return on, the storage refuses writes of every holder of an older fence.",
    break: ({ driver }) => ({ ...driver, fence: { async raise() {} } }),
  },
  snapshots(
    "The volume as it was at one instant, even while it is being written to.",
    "shows the volume itself",
    (_, { driver }) => ({
      async open(ref, operation) {
        const presence = await driver.get(ref.volume, operation);
        const path = presence.state === "found" ? presence.record.mountpoint : "";
        return { path, async [Symbol.asyncDispose]() {} };
      },
    }),
    ["A read-only view that stays as it is until it is disposed of."],
  ),
  snapshots(
    "Every snapshot of the volume once.",
    "lists snapshots twice",
    (facet) => ({
      async *list(volume, operation) {
        yield* facet.list(volume, operation);
        yield* facet.list(volume, operation);
      },
    }),
    ["Removes the snapshot and leaves the volume alone."],
  ),
  snapshots(
    "A read-only view that stays as it is until it is disposed of.",
    "opens a view that can be written",
    (facet, { root }) => ({
      async open(ref, operation) {
        const view = await facet.open(ref, operation);
        const path = join(root, "views", ref.volume, ref.snapshot);
        cpSync(view.path, path, { recursive: true });
        return { ...view, path };
      },
    }),
  ),
  snapshots(
    "A new, independent, writable volume that starts out as the snapshot.",
    "clones an empty volume",
    (_, { driver }) => ({ clone: (_ref, spec, operation) => driver.create(spec, operation) }),
  ),
  snapshots(
    "Sets the unmounted volume back to the snapshot.",
    "leaves what was written since",
    (facet, { driver }) => ({
      async restore(ref, operation) {
        const presence = await driver.get(ref.volume, operation);
        const view = await facet.open(ref, operation);
        if (presence.state !== "found") return;
        cpSync(view.path, presence.record.mountpoint, { recursive: true });
      },
    }),
  ),
  snapshots(
    "Removes the snapshot and leaves the volume alone.",
    "removes the volume's data with the snapshot",
    (facet, { driver }) => ({
      async remove(ref, operation) {
        await facet.remove(ref, operation);
        await empty(driver, ref.volume, operation);
      },
    }),
  ),
  snapshots("Removing what is not there succeeds.", "cannot remove twice", (facet) => {
    const removed = new Set<string>();
    return {
      async remove(ref, operation) {
        const key = `${ref.volume} ${ref.snapshot}`;
        if (removed.has(key)) throw new EngineError("volume.not_found", "not there");
        await facet.remove(ref, unfired(operation));
        removed.add(key);
      },
    };
  }),
];

function everyName(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) bytes += everyName(path);
    else if (entry.isFile()) bytes += statSync(path).size;
    else bytes += entry.name === "symbolic" ? "large".length : 0;
  }
  return bytes;
}
