// A hundred rounds of create, mount, unmount and remove leave nothing.
import { whenPossible } from "../support/needs.ts";
import { goRound } from "./survive-rounds.ts";
import { drivers, requirementsOf } from "./survive-servers.ts";

const limitMs = 1_200_000;

for (const driver of drivers) {
  whenPossible(
    requirementsOf[driver],
    `${driver}: a hundred rounds leave nothing`,
    () => goRound(driver, 100),
    limitMs,
  );
}
