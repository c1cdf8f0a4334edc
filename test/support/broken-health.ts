// Drivers that break one promise of health, update or flush each; see broken-drivers.ts.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../../src/core/errors.ts";
import { type BrokenDriver, empty, safeToRepeat } from "./broken-drivers.ts";
import { randomHex } from "./driver-benches.ts";
import { breakerOf } from "./facet-breaker.ts";

const health = breakerOf("health");
const update = breakerOf("update");
const flush = breakerOf("flush");

const stays = "Data and identity stay.";
const replaces =
  'Replaces what is mounted and "stale": it is taken away lazily and mounted anew, at the same ' +
  "path.";
const answersAlways = "Resolves for storage that does not answer, too.";

export const brokenHealth: readonly BrokenDriver[] = [
  health(
    "Looks at the storage: what is mounted, if anything is, and else whether the server answers.",
    "says that nothing ever answers",
    (facet) => ({
      async check(name, operation) {
        await facet.check(name, operation);
        return { state: "unreachable", reason: "it was not asked", tookMs: null };
      },
    }),
    [answersAlways, replaces],
  ),
  health(answersAlways, "throws what its storage throws", (facet) => ({
    async check(name, operation) {
      const found = await facet.check(name, operation);
      if (found.state !== "unreachable") return found;
      throw new EngineError("driver.timed_out", found.reason);
    },
  })),
  health("Throws only `volume.not_found`.", "calls ready what is not there", (facet) => ({
    check: (name, operation) =>
      facet
        .check(name, operation)
        .catch(() => ({ state: "ready", reason: "", tookMs: 0 }) as const),
  })),
  health(replaces, "heals nothing", (facet) => ({
    async heal(name, operation) {
      operation.signal.throwIfAborted();
      await facet.check(name, operation);
    },
  })),
  health(
    "Nothing is done where nothing is mounted or what is mounted answers.",
    "heals what answers, and loses it",
    (facet, { driver }) => ({
      async heal(name, operation) {
        const { state } = await facet.check(name, operation);
        await facet.heal(name, operation);
        if (state === "ready") await empty(driver, name, operation);
      },
    }),
  ),
  health(
    "Throws what `mount` throws; then nothing is mounted there, or the stale mount still is.",
    "says that it has healed what is not there",
    (facet) => ({
      async heal(name, operation) {
        operation.signal.throwIfAborted();
        await facet.heal(name, operation).catch(() => undefined);
      },
    }),
  ),
  update(
    "Gives a volume other options: another address, another secret.",
    "keeps the options that it had",
    (facet, { driver }) => ({
      async update({ name, options }, operation) {
        const presence = await driver.get(name, operation);
        if (presence.state !== "found") return await facet.update({ name, options }, operation);
        driver.validate(options);
        const kept = { name, options: presence.record.options };
        return await facet.update(kept, operation);
      },
    }),
  ),
  update(
    "Checks and tests them as `create` does.",
    "takes options that it does not know",
    (facet) => ({
      update: ({ name, options: { note, ...rest } }, operation) =>
        facet.update({ name, options: note === undefined ? rest : { note } }, operation),
    }),
  ),
  update(
    stays,
    "makes the volume anew",
    (facet, { driver }) => ({
      async update(spec, operation) {
        const record = await facet.update(spec, operation);
        await empty(driver, spec.name, operation);
        return { ...record, identity: randomHex(8) };
      },
    }),
    [
      "Repeating it changes nothing.",
      "Gives a volume other options: another address, another secret.",
    ],
  ),
  update(
    "Repeating it changes nothing.",
    "fails at the second time",
    (facet, { driver }) => ({
      async update(spec, operation) {
        const presence = await driver.get(spec.name, operation);
        const isDone =
          presence.state === "found" &&
          JSON.stringify(presence.record.options) === JSON.stringify(spec.options);
        if (isDone) throw new EngineError("storage.failed", "it has them already");
        return await facet.update(spec, operation);
      },
    }),
    [safeToRepeat],
  ),
  update(
    "With the options that it has, what their secret says now is tested all the same.",
    "does nothing where nothing seems to have changed",
    (facet, { driver }) => ({
      async update(spec, operation) {
        const presence = await driver.get(spec.name, operation);
        const isSame =
          presence.state === "found" &&
          JSON.stringify(presence.record.options) === JSON.stringify(spec.options);
        if (isSame) return presence.record;
        return await facet.update(spec, operation);
      },
    }),
  ),
  update(
    "When it throws, the options are as before.",
    "writes before it tests",
    (facet, { root }) => ({
      async update(spec, operation) {
        try {
          return await facet.update(spec, operation);
        } catch (thrown) {
          if (thrown instanceof EngineError && thrown.code === "remote.test_failed") {
            rmSync(join(root, "volumes", spec.name), { recursive: true });
          }
          throw thrown;
        }
      },
    }),
  ),
  update("False where nothing is mounted.", "says that it waits for ever", () => ({
    isWaiting: () => true,
  })),
  flush("Resolves when what was written before is on the server.", "never ends in time", () => ({
    async flush() {
      throw new EngineError("driver.timed_out", "something is left");
    },
  })),
];
