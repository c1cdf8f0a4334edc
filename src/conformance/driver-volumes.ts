// Checks of a driver's volumes: validate, create, get, list, forget and destroy.
import { deepEqual, equal, fail, notEqual, ok } from "node:assert/strict";
import type { VolumeRecord } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import type { Check } from "./check.ts";
import { type DriverBench, notOfPlugins } from "./driver-bench.ts";
import {
  cancelled,
  collect,
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

/** An option that no driver knows, because this file made it up. */
const unknownOption = "holdfast-verify-unknown";

/** How many volumes the check of `list` makes. */
const listedCount = 3;

export const volumeChecks: readonly Check<DriverBench>[] = [
  {
    promise: "A driver refuses what it does not know, by name.",
    applies: notOfPlugins,
    async run(bench) {
      const options = { ...bench.optionSets[0], [unknownOption]: "1" };
      const refusal = await rejectsWith(
        "volume.option_invalid",
        "create with an unknown option",
        create(bench, "refused", options),
      );
      ok(refusal.message.includes(unknownOption), `it must name the option: ${refusal.message}`);
      await mustBeGone(bench, bench.name("refused"));
    },
  },
  {
    promise:
      "Throws `volume.option_invalid` when `create` could never accept these options, naming the " +
      "option.",
    applies: notOfPlugins,
    async run({ driver, optionSets }) {
      for (const options of optionSets) driver.validate(options);
      const refusal = thrownBy(() => driver.validate({ [unknownOption]: "1" }));
      ok(refusal instanceof EngineError, `validate must throw an EngineError: ${String(refusal)}`);
      equal(refusal.code, "volume.option_invalid");
      ok(refusal.message.includes(unknownOption), `it must name the option: ${refusal.message}`);
    },
  },
  {
    promise: "Creates the volume.",
    async run(bench) {
      const [options] = bench.optionSets;
      const name = bench.name("made");
      await mustBeGone(bench, name);
      const record = await bench.driver.create({ name, options }, bench.operation());
      equal(record.name, name);
      ok(Number.isFinite(record.createdAtMs), "createdAtMs must be a number");
      const found = await mustFind(bench, name);
      // A plugin is not told what was there before, and does not tell options back.
      if (bench.driver.isPlugin === true) return equal(found.name, name);
      deepEqual(record.options, options);
      equal(record.origin, "made");
      sameVolume(found, record);
    },
  },
  {
    promise: "Repeating it with an equal spec returns a record with the same identity.",
    async run(bench) {
      for (const [index, options] of bench.optionSets.entries()) {
        const first = await create(bench, `repeated-${index}`, options);
        await writeInto(bench, first.name, "kept");
        const again = await succeeds("create again", create(bench, `repeated-${index}`, options));
        equal(again.identity, first.identity);
        await mustHold(bench, first.name, "kept");
      }
    },
  },
  {
    promise: "With other options it throws `volume.exists_differently`.",
    applies: (bench) => notOfPlugins(bench) && bench.optionSets.length > 1,
    async run(bench) {
      const [options, otherOptions] = bench.optionSets;
      const record = await create(bench, "different", options);
      await rejectsWith(
        "volume.exists_differently",
        "create with other options",
        create(bench, "different", otherOptions),
      );
      sameVolume(await mustFind(bench, record.name), record);
    },
  },
  {
    promise: "When it throws, nothing of the volume is left behind.",
    // What a plugin was asked for cannot be called back.
    applies: notOfPlugins,
    async run(bench) {
      const name = bench.name("given-up");
      const controller = new AbortController();
      const [options] = bench.optionSets;
      const creation = bench.driver.create({ name, options }, bench.operation(controller.signal));
      controller.abort(cancelled());
      const [outcome] = await Promise.allSettled([creation]);
      if (outcome.status === "fulfilled") await mustFind(bench, name);
      else await mustBeGone(bench, name);
    },
  },
  {
    promise: '"absent" is said only by a driver that is sure.',
    async run(bench) {
      const { name } = await create(bench, "there");
      const stranger = bench.name("never-created");
      await mustFind(bench, name);
      notEqual((await bench.driver.get(stranger, bench.operation())).state, "found");
    },
  },
  {
    promise: 'One that cannot tell says "unknown".',
    applies: ({ hideStorage }) => hideStorage !== undefined,
    async run(bench) {
      const { name } = await create(bench, "hidden");
      await using _hidden = (await bench.hideStorage?.()) ?? fail("nothing was hidden");
      const presence = await succeeds("get", bench.driver.get(name, bench.operation()));
      equal(presence.state, "unknown", "get while the storage cannot be reached");
    },
  },
  {
    promise: "Every volume once, in no particular order.",
    async run(bench) {
      const expected: VolumeRecord[] = [];
      for (let index = 0; index < listedCount; index++) {
        expected.push(await create(bench, `listed-${index}`));
      }
      const gone = await create(bench, "not-listed");
      await bench.driver.destroy(gone.name, bench.operation());
      const listed = await collect(bench.driver.list(bench.operation()));
      const names = listed.map((record) => record.name);
      equal(new Set(names).size, names.length, "list shows a volume twice");
      ok(!names.includes(gone.name), "list shows a destroyed volume");
      for (const record of expected) {
        const shown = listed.find(({ name }) => name === record.name);
        if (shown === undefined) fail(`list does not show ${record.name}`);
        if (notOfPlugins(bench)) sameVolume(shown, record);
      }
    },
  },
  {
    promise: "Ends the driver's part in the volume and leaves its data alone.",
    async run(bench) {
      const { name } = await create(bench, "forgotten");
      await writeInto(bench, name, "kept");
      await bench.driver.forget(name, bench.operation());
      await create(bench, "forgotten");
      await mustHold(bench, name, "kept");
    },
  },
  {
    promise: "Forgetting what is not there succeeds.",
    async run(bench) {
      const { driver } = bench;
      const name = bench.name("never-created");
      await succeeds("forget", driver.forget(name, bench.operation()));
    },
  },
  {
    promise: "Destroys the volume and its data.",
    async run(bench) {
      const { name } = await create(bench, "destroyed");
      await writeInto(bench, name, "to be destroyed");
      await bench.driver.destroy(name, bench.operation());
      await mustBeGone(bench, name);
      await create(bench, "destroyed");
      await mustHold(bench, name, undefined);
    },
  },
  {
    promise: "What `create` found rather than made is left where it is, as `forget` leaves it.",
    applies: ({ plant }) => plant !== undefined,
    async run(bench) {
      const name = bench.name("adopted");
      const file = (await bench.plant?.(name)) ?? fail("nothing was planted");
      const { origin } = await create(bench, "adopted");
      equal(origin, "adopted");
      await succeeds("destroy", bench.driver.destroy(name, bench.operation()));
      ok(await bench.files.exists(file), "the data of somebody else is gone");
    },
  },
  {
    promise: "Refuses with `volume.in_use` while a holder has it mounted.",
    async run(bench) {
      const { driver } = bench;
      const { name } = await create(bench, "in-use");
      const path = await mount(bench, name);
      await bench.files.write(`${path}/data`, "in use");
      await rejectsWith("volume.in_use", "destroy", driver.destroy(name, bench.operation()));
      equal(await bench.files.read(`${path}/data`), "in use");
      await unmount(bench, name);
      await succeeds("destroy after unmount", driver.destroy(name, bench.operation()));
    },
  },
  {
    promise: "Destroying what is not there succeeds.",
    async run(bench) {
      const { driver } = bench;
      await succeeds("destroy", driver.destroy(bench.name("never-created"), bench.operation()));
      const { name } = await create(bench, "destroyed-twice");
      await driver.destroy(name, bench.operation());
      await succeeds("destroy again", driver.destroy(name, bench.operation()));
    },
  },
];

function thrownBy(work: () => void): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return fail("validate must throw");
}
