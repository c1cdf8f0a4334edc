// kill -9 of the daemon before and after every step of every verb, on a share that holds data.
import { whenPossible } from "../support/needs.ts";
import { drivers, requirementsOf } from "./survive-servers.ts";
import { kinds, openStepRun, verbs } from "./survive-steps.ts";

const limitMs = 3_600_000;

for (const driver of drivers) {
  for (const verb of verbs) {
    whenPossible(
      requirementsOf[driver],
      `${driver}: ${verb.name} dies at each of its steps`,
      async () => {
        await using run = await openStepRun(driver);
        for (const kind of kinds) {
          let deathCount = 0;
          for (let at = 1; ; at += 1) {
            const steps = await run.die(verb, kind, { at, moment: "before" });
            if (steps === false) break;
            deathCount += 1;
            // Of all else the moment after is the one before the next.
            if (steps.at(-1)?.startsWith("start ") !== true) continue;
            await run.die(verb, kind, { at, moment: "after" });
            deathCount += 1;
          }
          console.log(`${driver}: ${verb.name} (${kind}): ${deathCount} deaths`);
        }
      },
      limitMs,
    );
  }
}
