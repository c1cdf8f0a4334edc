// kill -9 of the daemon at a step of each verb on a share that holds data: all of it is still there.
import { printedSeed, Random } from "../crash/random.ts";
import { whenPossible } from "../support/needs.ts";
import { drivers, requirementsOf } from "./survive-servers.ts";
import { openStepRun, verbs } from "./survive-steps.ts";

const limitMs = 60_000;
/** At most so many steps a verb has; what is drawn beyond its last one is drawn again. */
const stepsMax = { sshfs: 40, rclone: 40 } as const;

for (const driver of drivers) {
  whenPossible(
    requirementsOf[driver],
    `${driver}: a death in each verb`,
    async () => {
      const random = new Random(printedSeed(`deaths of ${driver}`));
      await using run = await openStepRun(driver);
      for (const verb of verbs) {
        const t = performance.now();
        for (let limit = stepsMax[driver]; ; ) {
          const at = 1 + random.below(limit);
          const moment = random.chance(0.5) ? "before" : "after";
          const steps = await run.die(verb, random.chance(0.5) ? "adopted" : "made", {
            at,
            moment,
          });
          console.log(verb.name, at, moment, steps ? steps.at(-1) : false, performance.now() - t);
          if (steps !== false) break;
          limit = at - 1;
          if (limit < 1) throw new Error(`${verb.name} has no step`);
        }
      }
    },
    limitMs,
  );
}
