// The engine dies at each single step of retire, describe, restore, purge, eviction and rename.
import { describe, expect, test } from "bun:test";
import { readdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseVolumeName } from "../../src/core/names.ts";
import type { RetiredEntry } from "../../src/core/state-store.ts";
import { trashDefaults } from "../../src/engine/trash/policy.ts";
import { create, named, startedEngine } from "../support/engine-bench.ts";
import { dieAtEachStep, loseRename, type Place, type Scenario, type Stage } from "./dying-steps.ts";

const limitMs = 60_000;
const trash = { defaults: trashDefaults };

const isVolume = (name: string) => (place: Place) => place.kind === "volume" && place.name === name;
const isInTrash = (place: Place): boolean => place.kind === "trash";
const isGone = (place: Place): boolean => place.kind === "gone";

/** The keeper has been round: what lies beside the data says how large it is. */
async function untilDescribed(stage: Stage): Promise<void> {
  await stage.until("a description with the size", () =>
    stage.entries().every(({ sizeBytes }) => sizeBytes !== null),
  );
}

const scenarios: readonly Scenario[] = [
  {
    verb: "retire, measure and describe",
    act: async (stage) => {
      await stage.remove();
      stage.done();
      await untilDescribed(stage);
    },
    volumeNames: ["wiki"],
    mayBeInTrash: true,
    mayBeGone: false,
    after: isInTrash,
  },
  {
    verb: "restore",
    prepare: async (stage) => {
      await stage.remove();
      await untilDescribed(stage);
    },
    act: async (stage) => {
      await stage.restore(undefined);
    },
    volumeNames: ["wiki"],
    mayBeInTrash: true,
    mayBeGone: false,
    after: isVolume("wiki"),
  },
  {
    verb: "restore under another name",
    prepare: async (stage) => {
      await stage.remove();
      await untilDescribed(stage);
    },
    act: async (stage) => {
      await stage.restore("wiki-old");
    },
    volumeNames: ["wiki-old"],
    mayBeInTrash: true,
    mayBeGone: false,
    after: isVolume("wiki-old"),
  },
  {
    verb: "purge",
    prepare: async (stage) => {
      await stage.remove();
      await untilDescribed(stage);
    },
    act: async (stage) => {
      const { bench } = stage;
      await bench.engine.trash.purge(stage.trashId(), bench.operation());
      stage.done();
      await stage.until("its end", () => stage.entries().length === 0);
    },
    volumeNames: [],
    mayBeInTrash: true,
    mayBeGone: true,
    after: isGone,
  },
  {
    verb: "removal for good",
    act: async (stage) => {
      await stage.remove("wiki", true);
      stage.done();
      await stage.until("its end", () => stage.entries().length === 0);
    },
    volumeNames: ["wiki"],
    mayBeInTrash: true,
    mayBeGone: true,
    after: isGone,
  },
  {
    verb: "eviction",
    trash: { budget: { kind: "bytes", bytes: 0 } },
    prepare: async (stage) => {
      await stage.remove();
      await untilDescribed(stage);
      // What was just removed is spared, and the newest is never evicted for the budget's sake.
      await stage.age();
      const newest = named("newest", { options: { trash: "30d" } });
      const { mountpoint } = await create(stage.bench, newest);
      writeFileSync(join(mountpoint, "file"), "data");
    },
    act: async (stage) => {
      await stage.remove("newest");
      const isWiki = ({ volume }: RetiredEntry) => volume.name === parseVolumeName("wiki");
      await stage.until("its end", () => !stage.entries().some(isWiki));
    },
    volumeNames: [],
    mayBeInTrash: true,
    mayBeGone: true,
    after: isGone,
  },
  ...[false, true].map((keepAlias) => ({
    verb: `rename${keepAlias ? " with an alias" : ""}`,
    act: async ({ bench }: Stage) => {
      await bench.engine.upkeep.rename("wiki", "wiki-data", { keepAlias }, bench.operation());
    },
    volumeNames: ["wiki", "wiki-data"],
    mayBeInTrash: false,
    mayBeGone: false,
    after: isVolume("wiki-data"),
  })),
];

describe.each([false, true])("with the state lost as well: %p", (isStateLost) => {
  test.each(scenarios)(
    "$verb",
    async (scenario) => {
      const steps = await dieAtEachStep(scenario, isStateLost);
      console.log(`${scenario.verb}: ${steps.length} steps`);
      // At least a commit and a rename: otherwise the steps are not those of the verb.
      expect(steps.length).toBeGreaterThan(1);
    },
    limitMs,
  );
});

test("a removal whose rename a power cut has taken is finished, and not taken back", async () => {
  expect((await loseRename()).kind).toBe("trash");
});

/** What a power cut may leave of a volume that nobody has ever used. */
const leftovers = [
  ["nothing", (directory: string) => rmSync(directory, { recursive: true })],
  ["no data directory", (directory: string) => rmdirSync(join(directory, "_data"))],
] as const;

test.each(leftovers)(
  "what was never used is made again by its restore: %s is left",
  async (_, cut) => {
    await using bench = await startedEngine({ drivers: (each) => [each.local()], trash });
    const labels = { of: "unused" };
    await create(bench, named("unused", { labels }));
    await bench.engine.volumes.remove("unused", bench.operation());
    const directory = join(bench.root, "trash");
    await bench.restart(() => {
      for (const name of readdirSync(directory)) cut(join(directory, name));
    });
    const { id } = bench.engine.trash.find("unused");
    const entry = await bench.engine.trash.restore(id, "back", bench.operation());
    expect(entry.labels).toEqual(labels);
    expect(readdirSync(bench.volumePath("back"))).toEqual(["_data"]);
  },
);
