// Checks of the facets health, update and flush, each where the driver has it.
import { deepEqual, equal, fail, ok } from "node:assert/strict";
import type { DriverOptions, FlushCapable, HealthCapable, UpdateCapable } from "../core/driver.ts";
import type { VolumeName } from "../core/names.ts";
import type { Check } from "./check.ts";
import type { DriverBench } from "./driver-bench.ts";
import {
  create,
  mount,
  mustFind,
  mustHold,
  rejectsWith,
  sameVolume,
  succeeds,
  unmount,
  writeInto,
} from "./expectations.ts";

const hasHealth = ({ driver }: DriverBench) => driver.health !== undefined;
const canUpdate = ({ driver, optionSets }: DriverBench) =>
  driver.update !== undefined && optionSets.length > 1;

/** An option that no driver knows, because this file made it up. */
const unknownOption = "holdfast-verify-unknown";

export const healthChecks: readonly Check<DriverBench>[] = [
  {
    promise:
      "Looks at the storage: what is mounted, if anything is, and else whether the server answers.",
    applies: hasHealth,
    async run(bench) {
      const { name } = await create(bench, "healthy");
      await mustBe(bench, name, "ready");
      await mount(bench, name);
      await mustBe(bench, name, "ready");
      await unmount(bench, name);
      await mustBe(bench, name, "ready");
    },
  },
  {
    promise: "Resolves for storage that does not answer, too.",
    applies: (bench) => hasHealth(bench) && bench.silence !== undefined,
    async run(bench) {
      const idle = await create(bench, "idle");
      const mounted = await create(bench, "mounted");
      await mount(bench, mounted.name);
      {
        await using _silence = (await bench.silence?.()) ?? fail("nothing was silenced");
        await mustBe(bench, idle.name, "unreachable");
        await mustBe(bench, mounted.name, "unreachable");
      }
      await mustBe(bench, mounted.name, "ready");
    },
  },
  {
    promise: "Throws only `volume.not_found`.",
    applies: hasHealth,
    async run(bench) {
      const name = bench.name("never-created");
      const looking = healthOf(bench).check(name, bench.operation());
      await rejectsWith("volume.not_found", "check of nothing", looking);
    },
  },
  {
    promise:
      'Replaces what is mounted and "stale": it is taken away lazily and mounted anew, at the ' +
      "same path.",
    applies: (bench) => hasHealth(bench) && bench.kill !== undefined,
    async run(bench) {
      const { name } = await create(bench, "stale");
      const path = await mount(bench, name);
      await bench.files.write(`${path}/data`, "kept");
      await bench.kill?.(name);
      await mustBe(bench, name, "stale");
      await succeeds("heal", healthOf(bench).heal(name, bench.operation()));
      await mustBe(bench, name, "ready");
      equal(await bench.files.read(`${path}/data`), "kept");
    },
  },
  {
    promise: "Nothing is done where nothing is mounted or what is mounted answers.",
    applies: hasHealth,
    async run(bench) {
      const { name } = await create(bench, "healthy");
      await succeeds("heal of what is not mounted", healthOf(bench).heal(name, bench.operation()));
      const path = await mount(bench, name);
      await bench.files.write(`${path}/data`, "kept");
      await succeeds("heal of what answers", healthOf(bench).heal(name, bench.operation()));
      equal(await bench.files.read(`${path}/data`), "kept");
    },
  },
  {
    promise:
      "Throws what `mount` throws; then nothing is mounted there, or the stale mount still is.",
    applies: hasHealth,
    async run(bench) {
      const name = bench.name("never-created");
      const healing = healthOf(bench).heal(name, bench.operation());
      await rejectsWith("volume.not_found", "heal of nothing", healing);
    },
  },
  {
    promise: "Gives a volume other options: another address, another secret.",
    applies: canUpdate,
    async run(bench) {
      const { name } = await create(bench, "updated");
      const record = await update(bench, name, otherOptions(bench));
      deepEqual(record.options, otherOptions(bench));
      sameVolume(await mustFind(bench, name), record);
    },
  },
  {
    promise: "Checks and tests them as `create` does.",
    applies: canUpdate,
    async run(bench) {
      const { name } = await create(bench, "refused");
      const options = { ...otherOptions(bench), [unknownOption]: "1" };
      const refusal = await rejectsWith(
        "volume.option_invalid",
        "update with an unknown option",
        update(bench, name, options),
      );
      ok(refusal.message.includes(unknownOption), `it must name the option: ${refusal.message}`);
      const stranger = update(bench, bench.name("never-created"), otherOptions(bench));
      await rejectsWith("volume.not_found", "update of nothing", stranger);
    },
  },
  {
    promise: "Data and identity stay.",
    applies: canUpdate,
    async run(bench) {
      const { name, identity } = await create(bench, "updated");
      await writeInto(bench, name, "kept");
      const record = await update(bench, name, otherOptions(bench));
      equal(record.identity, identity);
      await mustHold(bench, name, "kept");
    },
  },
  {
    promise: "Repeating it changes nothing.",
    applies: canUpdate,
    async run(bench) {
      const { name } = await create(bench, "updated");
      const path = await mount(bench, name);
      await bench.files.write(`${path}/data`, "kept");
      const record = await succeeds("update", update(bench, name, otherOptions(bench)));
      sameVolume(await succeeds("update again", update(bench, name, record.options)), record);
      equal(await bench.files.read(`${path}/data`), "kept");
    },
  },
  {
    promise: "With the options that it has, what their secret says now is tested all the same.",
    applies: (bench) => canUpdate(bench) && bench.silence !== undefined,
    async run(bench) {
      const { name } = await create(bench, "updated");
      const { options } = await succeeds("update", update(bench, name, otherOptions(bench)));
      await using _silence = (await bench.silence?.()) ?? fail("nothing was silenced");
      const [outcome] = await Promise.allSettled([update(bench, name, options)]);
      equal(outcome.status, "rejected", "update with the same options while nothing answers");
    },
  },
  {
    promise: "When it throws, the options are as before.",
    applies: (bench) => canUpdate(bench) && bench.silence !== undefined,
    async run(bench) {
      const record = await create(bench, "refused");
      {
        await using _silence = (await bench.silence?.()) ?? fail("nothing was silenced");
        const updating = update(bench, record.name, otherOptions(bench));
        const [outcome] = await Promise.allSettled([updating]);
        equal(outcome.status, "rejected", "update while nothing answers");
      }
      sameVolume(await mustFind(bench, record.name), record);
    },
  },
  {
    promise: "False where nothing is mounted.",
    applies: (bench) => canUpdate(bench) && bench.driver.update?.isWaiting !== undefined,
    async run(bench) {
      const { name } = await create(bench, "waiting");
      const path = await mount(bench, name);
      await bench.files.write(`${path}/data`, "kept");
      await succeeds("update", update(bench, name, otherOptions(bench)));
      await unmount(bench, name);
      equal(bench.driver.update?.isWaiting?.(name), false);
    },
  },
  {
    promise: "Resolves when what was written before is on the server.",
    applies: ({ driver }) => driver.flush !== undefined,
    async run(bench) {
      const { name } = await create(bench, "flushed");
      const path = await mount(bench, name);
      await bench.files.write(`${path}/data`, "flushed");
      await succeeds("flush", flushOf(bench).flush(name, bench.operation()));
      await unmount(bench, name);
      await mustHold(bench, name, "flushed");
    },
  },
];

async function mustBe(bench: DriverBench, name: VolumeName, state: string): Promise<void> {
  const health = await succeeds("check", healthOf(bench).check(name, bench.operation()));
  equal(health.state, state, `the state of ${name} (${health.reason})`);
}

async function update(bench: DriverBench, name: VolumeName, options: DriverOptions) {
  return await updateOf(bench).update({ name, options }, bench.operation());
}

function otherOptions({ optionSets }: DriverBench): DriverOptions {
  return optionSets[1] ?? fail("there is one set of options");
}

function healthOf({ driver }: DriverBench): HealthCapable {
  return driver.health ?? fail("the driver has no health facet");
}

function updateOf({ driver }: DriverBench): UpdateCapable {
  return driver.update ?? fail("the driver has no update facet");
}

function flushOf({ driver }: DriverBench): FlushCapable {
  return driver.flush ?? fail("the driver has no flush facet");
}
