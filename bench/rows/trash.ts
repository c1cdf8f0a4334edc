// Rows for large volumes that go into the trash and come back: their size must not matter.
import { join } from "node:path";
import { called } from "../calls.ts";
import type { Engine } from "../engines.ts";
import { settle } from "../file-system.ts";
import { programPath, run } from "../processes.ts";
import { type Group, type RowPlan, rowFrom } from "../rows.ts";
import { startPair, type Workbench } from "../workbench.ts";

/** Room for the files of both engines: their number is what needs it, one inode in 16 KiB. */
const DISK_BYTES = 48 * 1024 ** 3;

const figure = { unit: "ms", judged: "figure", target: { bound: "at_most", value: 20 } } as const;

const removeFiles: RowPlan = {
  ...figure,
  id: "trash-remove-files",
  work: "remove, a volume of 1,000,000 files",
  against: "reference",
  how:
    "A volume is filled with files of 1 KiB in directories of 1,000, and synced. Holdfast " +
    "removes it with `DELETE /volumes/<name>`, which moves it into the trash, and the next " +
    "row brings it back, round by round, with a sync of the file system before each. " +
    "dockerd removes one like it, once: of that nothing is left to bring back.",
};

const restoreFiles: RowPlan = {
  ...figure,
  id: "trash-restore-files",
  work: "restore, a volume of 1,000,000 files",
  against: "nothing",
  how:
    "It comes back from the trash under its name, right after its removal: while the trash still " +
    "measures its size.",
};

const removeBytes: RowPlan = {
  ...figure,
  id: "trash-remove-bytes",
  work: "remove, a volume of 10 GB",
  against: "reference",
  how:
    "The same with one file, whose blocks are allocated and not written (fallocate): freeing " +
    "them is the same work, but none of them is in the page cache, which spares dockerd some.",
};

const restoreBytes: RowPlan = {
  ...figure,
  id: "trash-restore-bytes",
  work: "restore, a volume of 10 GB",
  against: "nothing",
  how: "It comes back from the trash in the same way.",
};

interface Large {
  readonly name: string;
  readonly remove: RowPlan;
  readonly restore: RowPlan;
  fill(directory: string): Promise<unknown>;
}

async function largeOnes({ sizes, tools, signal }: Workbench): Promise<readonly Large[]> {
  const writer = await tools.compileStatic("write-load");
  const allocator = programPath("fallocate", "util-linux");
  const { files, bytes } = sizes.trash;
  return [
    {
      ...{ name: "many", remove: removeFiles, restore: restoreFiles },
      fill: (directory) => run({ command: [writer, "tree", directory, String(files)], signal }),
    },
    {
      ...{ name: "big", remove: removeBytes, restore: restoreBytes },
      fill: (directory) =>
        run({ command: [allocator, "-l", String(bytes), join(directory, "file")], signal }),
    },
  ];
}

async function filled(engine: Engine, { name, fill }: Large): Promise<void> {
  const { socket, place } = engine;
  await called({ socket, method: "POST", path: "/volumes/create", body: { Name: name } });
  await fill(join(place.data, "volumes", name, "_data"));
}

/** Milliseconds of removals and restores, round by round. */
interface Figures {
  readonly removed: number[];
  readonly restored: number[];
}

async function thereAndBack(
  { socket }: Engine,
  { name }: Large,
  between: () => Promise<void>,
): Promise<{ readonly removedMs: number; readonly restoredMs: number }> {
  await between();
  const removed = await called({ socket, method: "DELETE", path: `/volumes/${name}` });
  await between();
  const path = `/holdfast/v1/trash/${name}/restore`;
  const restored = await called({ socket, method: "POST", path });
  return { removedMs: removed.ms, restoredMs: restored.ms };
}

/** Large volumes, in the trash. */
export const trashGroup: Group = {
  name: "trash",
  rows: [removeFiles, restoreFiles, removeBytes, restoreBytes],
  async run(workbench) {
    const { sizes, signal } = workbench;
    await using ground = await workbench.ground(DISK_BYTES);
    const [holdfast, dockerd] = await startPair(workbench, ground);
    const between = (): Promise<void> => settle(ground.disk, signal);
    const rows = [];
    for (const large of await largeOnes(workbench)) {
      workbench.say(`  filling: ${large.remove.work}`);
      for (const engine of [dockerd, holdfast]) await filled(engine, large);
      await between();
      const { socket } = dockerd;
      const once = await called({ socket, method: "DELETE", path: `/volumes/${large.name}` });
      const figures: Figures = { removed: [], restored: [] };
      for (let round = -1; round < sizes.rounds; round++) {
        const { removedMs, restoredMs } = await thereAndBack(holdfast, large, between);
        if (round < 0) continue;
        figures.removed.push(removedMs);
        figures.restored.push(restoredMs);
      }
      const measured = (perSubject: readonly (readonly number[])[]) =>
        ({ outcome: "measured", perSubject }) as const;
      rows.push(rowFrom(large.remove, measured([figures.removed, [once.ms]])));
      rows.push(rowFrom(large.restore, measured([figures.restored])));
    }
    return { rows, tables: [] };
  },
};
