// The row for what the size of a volume costs when it is removed: Holdfast alone.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Engine } from "../engines.ts";
import { settle } from "../file-system.ts";
import { measureRounds, type Step } from "../measure.ts";
import { quiet } from "../quiet.ts";
import { type Group, type RowPlan, rowFrom } from "../rows.ts";
import type { Workbench } from "../workbench.ts";

const FILES = 20_000;
const FILES_PER_DIRECTORY = 1000;
/** One request is compared with one request: this much is noise. */
const EQUAL_SHARE = 1.5;

const removeLarge: RowPlan = {
  id: "remove-large",
  work: `remove, a volume of ${FILES.toLocaleString("en-US")} files against an empty one`,
  unit: "ms",
  judged: "ratio",
  target: { bound: "at_most", value: EQUAL_SHARE },
  against: "itself",
  how:
    "One volume is filled and synced, then the time of its removal is taken. For the empty one " +
    "the same files are written beside it, so that both find the machine alike. It stays in " +
    "the trash, where its size is measured in the background; nothing else is measured before " +
    "that has ended.",
};

interface Sized {
  readonly engine: Engine;
  readonly name: "large" | "empty";
}

function removing(workbench: Workbench, disk: string): Step<Sized> {
  return {
    name: removeLarge.id,
    async measure({ engine, name }, round) {
      const one = {
        socket: engine.socket,
        connections: 1,
        amount: { count: 1 },
        prefix: `${name}-${round + 1}`,
      };
      await workbench.tools.burst({ ...one, mode: "create" });
      const data = join(engine.place.data, "volumes", `${one.prefix}-0`, "_data");
      const beside = join(disk, "beside");
      await fill(name === "large" ? data : beside);
      await settle(disk, workbench.signal);
      const load = await workbench.tools.burst({ ...one, mode: "remove" });
      await quiet(engine.pid, workbench.signal);
      await rm(beside, { recursive: true, force: true });
      return load.seconds * 1000;
    },
  };
}

async function fill(directory: string): Promise<void> {
  for (let first = 0; first < FILES; first += FILES_PER_DIRECTORY) {
    const below = join(directory, `from-${first}`);
    await mkdir(below, { recursive: true });
    const names = Array.from({ length: FILES_PER_DIRECTORY }, (_, index) =>
      join(below, `${index}`),
    );
    await Promise.all(names.map((name) => writeFile(name, "")));
  }
}

/** Removing by size. */
export const sizeGroup: Group = {
  name: "size",
  rows: [removeLarge],
  async run(workbench) {
    await using ground = await workbench.ground();
    const engine = await ground.start(workbench.candidate, "a");
    const figures = await measureRounds({
      subjects: [
        { engine, name: "large" },
        { engine, name: "empty" },
      ],
      rounds: workbench.sizes.rounds,
      signal: workbench.signal,
      steps: [removing(workbench, ground.disk)],
    });
    return { rows: [rowFrom(removeLarge, figures.get(removeLarge.id))], tables: [] };
  },
};
