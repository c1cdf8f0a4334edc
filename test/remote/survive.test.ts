// What a remote volume survives, the short path of it, side by side: most of it waits for looks.
//
// All troubles, all steps and many rounds come at night (survive*.nightly.test.ts).

import { sideBySide } from "../support/needs.ts";
import { printedSeed, Random } from "../support/random.ts";
import { reboot } from "./survive-reboot.ts";
import { goRound } from "./survive-rounds.ts";
import { drivers, requirementsOf, type TroubledServer } from "./survive-servers.ts";
import { dieByChance, verbs } from "./survive-steps.ts";
import { goThrough, moveIdle, troubles } from "./survive-troubles.ts";
import { killWhileWriting } from "./survive-writes.ts";

const byDay: Readonly<Record<TroubledServer["driver"], readonly string[]>> = {
  sshfs: ["cut off"],
  rclone: ["frozen", "moved"],
};
/** All of it takes less where nothing else runs. */
const limitMs = 180_000;

for (const driver of drivers) {
  const when = (name: string, run: () => Promise<void>) =>
    sideBySide(requirementsOf[driver], `${driver}: ${name}`, run, limitMs);

  for (const trouble of troubles.filter(({ name }) => byDay[driver].includes(name))) {
    const needs = [...requirementsOf[driver], ...(trouble.needs ?? [])];
    const name = `${driver}: its server is ${trouble.name}`;
    sideBySide(needs, name, () => goThrough(driver, trouble), limitMs);
  }
  when("its server moves while nobody has it", () => moveIdle(driver));
  when("its process is killed while somebody writes", () => killWhileWriting(driver, ["fuse"]));
  when("all is killed while somebody writes", () => killWhileWriting(driver, ["daemon", "both"]));
  when("the host boots before its server", () => reboot(driver, { isServerThere: false }));
  when("ten rounds leave nothing", () => goRound(driver, 10));
  when("a death in create and in another verb on a share that holds data", async () => {
    const random = new Random(printedSeed(`deaths of ${driver}`));
    const [create, ...others] = verbs;
    const other = random.pick(others);
    await dieByChance(driver, random, create === undefined ? [other] : [create, other]);
  });
}
