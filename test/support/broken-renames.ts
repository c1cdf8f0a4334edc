// Drivers that break one promise of the rename facet each; see broken-drivers.ts.
import { cpSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../../src/core/errors.ts";
import { type BrokenDriver, holders, safeToRepeat } from "./broken-drivers.ts";
import { breakerOf } from "./facet-breaker.ts";

const rename = breakerOf("rename");
const repeats = "Repeating it succeeds.";

export const brokenRenames: readonly BrokenDriver[] = [
  rename(
    "Gives a volume another name.",
    "leaves a copy under the old name",
    (facet, { root }) => ({
      async rename(from, to, operation) {
        await facet.rename(from, to, operation);
        const [source, target] = [join(root, "volumes", to), join(root, "volumes", from)];
        cpSync(source, target, { recursive: true });
      },
    }),
    [repeats, safeToRepeat],
  ),
  rename(
    "Its identity, options and data stay.",
    "makes a new volume of the other name",
    (facet, { driver }) => ({
      async rename(from, to, operation) {
        await facet.rename(from, to, operation);
        await driver.destroy(to, operation);
        await driver.create({ name: to, options: {} }, operation);
      },
    }),
    [repeats],
  ),
  rename(
    repeats,
    "cannot rename twice",
    (facet, { driver }) => ({
      async rename(from, to, operation) {
        const { state } = await driver.get(from, operation);
        if (state !== "found") throw new EngineError("volume.not_found", `no ${from}`);
        await facet.rename(from, to, operation);
      },
    }),
    [safeToRepeat],
  ),
  rename(
    "Refuses with `volume.in_use` while a holder has it mounted, and with " +
      "`volume.exists_differently` when the new name is taken.",
    "renames what is mounted",
    (facet, { driver }) => ({
      async rename(from, to, operation) {
        for (const holder of holders) await driver.unmount(from, holder, operation);
        await facet.rename(from, to, operation);
      },
    }),
  ),
];
