// Checks of the rename facet, where the driver has it.
import { equal, fail } from "node:assert/strict";
import type { RenameCapable } from "../core/driver.ts";
import type { Check } from "./check.ts";
import type { DriverBench } from "./driver-bench.ts";
import {
  create,
  mount,
  mustBeGone,
  mustFind,
  mustHold,
  rejectsWith,
  sameVolume,
  succeeds,
  unmount,
  writeInto,
} from "./expectations.ts";

const canRename = ({ driver }: DriverBench) => driver.rename !== undefined;

export const renameChecks: readonly Check<DriverBench>[] = [
  {
    promise: "Gives a volume another name.",
    applies: canRename,
    async run(bench) {
      const { name } = await create(bench, "before");
      const to = bench.name("after");
      await renameOf(bench).rename(name, to, bench.operation());
      await mustBeGone(bench, name);
      await mustFind(bench, to);
      await rejectsWith("volume.not_found", "mount by the old name", mount(bench, name));
      await create(bench, "before", bench.optionSets.at(-1));
      await mustHold(bench, name, undefined);
    },
  },
  {
    promise: "Its identity, options and data stay.",
    applies: canRename,
    async run(bench) {
      for (const [index, options] of bench.optionSets.entries()) {
        const record = await create(bench, `before-${index}`, options);
        await writeInto(bench, record.name, "renamed");
        const to = bench.name(`after-${index}`);
        await renameOf(bench).rename(record.name, to, bench.operation());
        const found = await mustFind(bench, to);
        sameVolume(found, { ...record, name: to, mountpoint: found.mountpoint });
        await mustHold(bench, to, "renamed");
      }
    },
  },
  {
    promise: "Repeating it succeeds.",
    applies: canRename,
    async run(bench) {
      const { name } = await create(bench, "before");
      await writeInto(bench, name, "renamed");
      const to = bench.name("after");
      const rename = () => renameOf(bench).rename(name, to, bench.operation());
      await succeeds("rename", rename());
      await succeeds("rename again", rename());
      await mustHold(bench, to, "renamed");
    },
  },
  {
    promise:
      "Refuses with `volume.in_use` while a holder has it mounted, and with " +
      "`volume.exists_differently` when the new name is taken.",
    applies: canRename,
    async run(bench) {
      const { name } = await create(bench, "before");
      const to = bench.name("after");
      const rename = () => renameOf(bench).rename(name, to, bench.operation());
      const path = await mount(bench, name);
      await bench.files.write(`${path}/data`, "in use");
      await rejectsWith("volume.in_use", "rename of what is mounted", rename());
      equal(await bench.files.read(`${path}/data`), "in use");
      await unmount(bench, name);
      await create(bench, "after");
      await writeInto(bench, to, "was there before");
      await rejectsWith("volume.exists_differently", "rename to a name that is taken", rename());
      await mustHold(bench, to, "was there before");
      await mustHold(bench, name, "in use");
    },
  },
];

function renameOf({ driver }: DriverBench): RenameCapable {
  return driver.rename ?? fail("the driver has no rename facet");
}
